"""What a person decides by moving aliases in the registry, on the healer's two halves and the judge together."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from homeostat.canary.routing import served
from homeostat.errors import ModelError
from homeostat.healing.serving import serving_at
from homeostat.healing.tags import vouched_tag
from homeostat.ports import Aliases, ModelPackage
from homeostat.records import CaseState, TrainingRun, TrainingStatus

Rig = Any  # of conftest, which tests can't import


def told(rig: Rig) -> list[tuple[str, str | None]]:
    """What the ledger says operators did, in order."""
    return [(e.kind, e.payload.get("version")) for e in rig.ledger.entries() if e.actor.startswith("operator")]


def move(rig: Rig, alias: str, version: str | None) -> None:
    rig.registry.set_alias(alias, version)
    rig.run()


def test_champion_moved_to_the_previous_version_is_a_rollback(promoted: Rig) -> None:
    move(promoted, "champion", "1")
    assert promoted.registry.aliases() == Aliases("1", None, "1")
    assert told(promoted)[-1] == ("rollback", "2")
    assert promoted.cases.load().state is CaseState.COOLDOWN
    assert promoted.registry.load("2").tags["homeostat.outcome"] == "rolled_back"


def test_a_rollback_by_hand_ends_well_although_the_way_back_was_taken_away_too(promoted: Rig) -> None:
    promoted.registry.set_alias("previous", None)
    move(promoted, "champion", "1")
    assert promoted.registry.aliases() == Aliases("1", None, "1")
    assert [kind for kind, _ in told(promoted)[-2:]] == ["rollback", "put_back"]


def test_a_rollback_goes_to_who_served_before_wherever_the_alias_of_the_way_back_was_moved(promoted: Rig) -> None:
    stranger = promoted.registry.register(ModelPackage({}), "a stranger")
    promoted.registry.set_alias("previous", stranger)
    assert promoted.decide("rollback", "2").startswith("done: ")
    assert promoted.registry.aliases() == Aliases("1", None, "1")


def test_a_version_that_was_put_back_is_not_rolled_back_too(promoted: Rig) -> None:
    promoted.decide("rollback", "2")
    promoted.run(25)
    stranger = promoted.registry.register(ModelPackage({}), "a stranger")
    promoted.registry.set_alias("champion", stranger)
    assert promoted.decide("rollback", stranger).startswith("refused: ")
    assert promoted.registry.aliases() == Aliases("1", None, "1")
    assert told(promoted)[-1] == ("put_back", stranger)


def test_champion_moved_to_a_version_that_was_validated_once_is_a_promotion_with_a_way_back(promoted: Rig) -> None:
    promoted.canary()
    promoted.decide("reject", "3")
    move(promoted, "champion", "3")
    assert promoted.registry.aliases() == Aliases("3", None, "2")
    assert told(promoted)[-1] == ("promote", "3")


def test_champion_moved_elsewhere_ends_a_canary_that_was_held_against_the_old_one(promoted: Rig) -> None:
    promoted.canary()
    move(promoted, "champion", "1")
    assert promoted.registry.aliases() == Aliases("1", None, "1")
    assert promoted.cases.load().state is CaseState.COOLDOWN
    promoted.outcomes({"1": 0.6, "2": 0.6, "3": 0.9})
    assert promoted.registry.aliases().champion == "1"


@pytest.mark.parametrize("alias", ["champion", "previous", "challenger"])
def test_a_version_that_was_never_validated_is_taken_off_every_alias(promoted: Rig, alias: str) -> None:
    before = promoted.registry.aliases()
    stranger = promoted.registry.register(ModelPackage({}), "a stranger")
    move(promoted, alias, stranger)
    assert promoted.registry.aliases() == before
    assert promoted.registry.answered(stranger).startswith("refused: ")
    assert told(promoted)[-1] == ("put_back", stranger)


@pytest.mark.parametrize("alias", ["champion", "previous", "challenger"])
def test_a_version_that_was_never_validated_answers_nobody_though_no_healer_is_there(promoted: Rig, alias: str) -> None:
    stranger = promoted.registry.register(ModelPackage({}), "a stranger")
    promoted.registry.set_alias(alias, stranger)
    may = served(promoted.registry.aliases())
    assert (may.champion, may.challenger, may.previous) == ("2", None, "1")


def test_the_way_back_needs_no_healer(promoted: Rig) -> None:
    promoted.registry.set_alias("champion", "1")
    assert served(promoted.registry.aliases()).champion == "1"
    promoted.registry.set_alias("champion", None)  # somebody has to
    assert served(promoted.registry.aliases()).champion == "2"


def test_whom_the_loop_vouches_for_is_not_a_person_s_to_say(promoted: Rig) -> None:
    stranger = promoted.registry.register(ModelPackage({}), "a stranger")
    promoted.registry.tag(None, vouched_tag(Aliases(stranger)))
    promoted.run()
    since = promoted.cases.load().serving_since
    assert promoted.registry.aliases().vouched == Aliases("2", None, "1", since=since)


@pytest.mark.parametrize("away", [0, 10 * 24], ids=["at once", "long after its first watch"])
def test_a_version_brought_back_by_hand_is_watched_anew(promoted: Rig, away: int) -> None:
    promoted.outcomes({"1": 0.7, "2": 0.6})
    assert promoted.registry.aliases() == Aliases("1", None, "1")
    promoted.run(away)
    move(promoted, "champion", "2")
    promoted.run(1)
    assert promoted.registry.aliases() == Aliases("2", None, "1")  # what it did the last time is known to that person
    promoted.outcomes({"1": 0.7, "2": 0.6})
    assert promoted.registry.aliases() == Aliases("1", None, "1")
    assert [entry.kind for entry in promoted.ledger.entries() if entry.payload.get("version") == "2"][-4:] == [
        "promote", "rollback", "promote", "rollback",
    ]  # fmt: skip


def test_the_watch_of_a_version_brought_back_survives_a_restart(promoted: Rig) -> None:
    promoted.outcomes({"1": 0.7, "2": 0.6})
    promoted.run(10 * 24)
    move(promoted, "champion", "2")
    promoted.outcomes({"1": 0.7, "2": 0.6}, hours=2)
    promoted.restart()
    promoted.outcomes({"1": 0.7, "2": 0.6}, hours=10)
    assert promoted.registry.aliases() == Aliases("1", None, "1")


def test_a_run_that_ends_while_the_champions_alias_is_away_is_no_first_champion(promoted: Rig) -> None:
    promoted.registry.set_alias("champion", None)
    promoted.put(TrainingRun("run", "asked", TrainingStatus.CANDIDATE, "9", "as planned", 1.0, promoted.now))
    _, _, judge, _ = promoted.workers
    judge.run_once(promoted.now)
    verdicts = promoted.published("canary_verdicts").values()
    assert [one.action for one in verdicts if one.request_id == "asked"] == ["start"]


def test_what_is_put_back_twice_is_in_the_ledger_twice(promoted: Rig) -> None:
    stranger = promoted.registry.register(ModelPackage({}), "a stranger")
    for _ in range(2):
        move(promoted, "champion", stranger)
    assert told(promoted)[-2:] == [("put_back", stranger)] * 2


@pytest.mark.parametrize("alias", ["champion", "previous"])
def test_an_alias_that_was_taken_away_comes_back(promoted: Rig, alias: str) -> None:
    before = promoted.registry.aliases()
    move(promoted, alias, None)
    assert promoted.registry.aliases() == before
    assert promoted.registry.answered(getattr(before, alias)).startswith("refused: ")


def test_who_moved_an_alias_is_in_the_ledger_where_the_server_writes_it_down(promoted: Rig) -> None:
    def moved(alias: str, version: str | None, by: str) -> str:
        promoted.registry._retag(None, {f"homeostat.{alias}_by": by})
        move(promoted, alias, version)
        return [e for e in promoted.ledger.entries() if e.kind != "left_alone"][-1].actor

    assert moved("previous", None, ": ann") == "operator:ann"
    assert moved("champion", "1", "1: bob") == "operator:bob"
    assert moved("champion", "2", "1: bob") == "operator"  # that was another move


def test_a_champion_that_an_operator_put_there_first_is_taken_as_it_is(rig: Rig) -> None:
    version = rig.registry.register(ModelPackage({}), "brought along")
    move(rig, "champion", version)
    assert rig.registry.aliases() == Aliases(version)
    assert told(rig) == [("adopted", version)]
    assert rig.cases.load().champion == version


def test_moves_by_hand_are_carried_out_once_whenever_the_process_dies(new_rig: Callable[..., Rig]) -> None:
    def story(rig: Rig) -> tuple[Any, ...]:
        rig.first_champion()
        rig.canary()
        move(rig, "champion", "2")
        move(rig, "champion", "1")
        rig.run(25)
        rig.canary()
        move(rig, "challenger", None)
        move(rig, "champion", "2")
        move(rig, "champion", None)
        entries = [(e.entry_id, e.kind, e.actor) for e in rig.ledger.entries() if e.kind != "left_alone"]
        return rig.registry.aliases(), replace(rig.cases.load(), revision=0), entries, set(rig.published("promotions"))

    whole = new_rig()
    expected, calls = story(whole), whole.calls[0]
    assert [kind for kind, _ in told(whole)] == ["promote", "rollback", "reject", "promote", "put_back"]
    for crash_at in range(1, calls + 1):
        assert story(new_rig(crash_at)) == expected, f"crash after call {crash_at} of {calls}"


def test_a_version_brought_back_by_hand_and_found_bad_again_is_rolled_back_with_an_entry_of_its_own(
    promoted: Rig,
) -> None:
    promoted.outcomes({"2": 0.5, "1": 0.7}, served="2")
    assert promoted.registry.aliases() == Aliases("1", None, "1")
    move(promoted, "champion", "2")
    promoted.run(25)
    promoted.outcomes({"2": 0.5, "1": 0.7}, served="2")
    assert promoted.registry.aliases() == Aliases("1", None, "1")
    changes = [(e.kind, e.payload["version"]) for e in promoted.ledger.entries() if e.kind in {"promote", "rollback"}]
    assert changes[-3:] == [("rollback", "2"), ("promote", "2"), ("rollback", "2")]
    verdicts = [verdict for verdict in promoted.published("canary_verdicts").values() if verdict.action == "rollback"]
    before = promoted.registry.aliases(), promoted.ledger.entries()
    promoted.put(*verdicts)
    promoted.run()
    assert (promoted.registry.aliases(), promoted.ledger.entries()) == before


def test_where_the_champion_was_deleted_the_way_back_serves_and_the_ledger_says_since_when(
    promoted: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = promoted.registry.answered

    def gone(version: str | None) -> str | None:
        if version == "2":
            raise ModelError("there is no version 2")
        return answered(version)

    monkeypatch.setattr(promoted.registry, "answered", gone)
    move(promoted, "champion", None)
    assert promoted.registry.aliases() == Aliases("1", None, "1")
    (entry,) = [entry for entry in promoted.ledger.entries() if entry.kind == "put_back"]
    assert promoted.cases.load().serving_entry == entry.entry_id
    assert serving_at(promoted.ledger.entries(), promoted.now).champion == "1"
