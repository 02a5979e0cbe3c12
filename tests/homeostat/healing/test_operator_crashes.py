"""An operator's decision is carried out once, whenever the healer's process dies."""

from collections.abc import Callable
from typing import Any

import pytest

from homeostat.flow import topic_name
from homeostat.healing.serving import serving_at
from homeostat.ports import Aliases
from homeostat.records import HOMEOSTAT, TrainingStatus

Rig = Any  # of conftest, which tests can't import

VERDICTS = topic_name("toys", "canary_verdicts")


def operated(rig: Rig) -> None:
    """Everything an operator may do, and some that may not be."""
    rig.decide("retrain", None, "cold start")
    rig.decide("approve", "1")
    rig.run(25)
    rig.decide("retrain", "1")
    rig.decide("hold", "2")
    rig.decide("hold", "1")
    rig.outcomes({"1": 0.6, "2": 0.7})
    rig.decide("approve", "2")
    rig.decide("rollback", "2")
    rig.run(49)
    rig.plan["next"] = TrainingStatus.NOTHING_BETTER
    rig.decide("retrain")
    rig.decide("retrain")
    rig.run(8 * 24)


def approved(rig: Rig) -> None:
    """A challenger that waits for its approval and gets it, and one that is rejected while it waits."""
    rig.first_champion()
    rig.canary()
    rig.outcomes({"1": 0.6, "2": 0.7})
    rig.decide("approve", "2")
    rig.run(25)
    rig.canary()
    rig.outcomes({"2": 0.6, "3": 0.7})
    rig.decide("reject", "3")


def end_of(rig: Rig) -> tuple[Any, ...]:
    decisions = [
        (e.entry_id, e.at, e.kind, e.actor, e.payload.get("version"), e.payload["reason"])
        for e in rig.ledger.entries()
        if e.kind not in {"left_alone", "history_began"}
    ]
    published = {topic: set(rig.published(topic)) for topic in ("retrain_requests", "canary_verdicts", "promotions")}
    answers = {version: rig.registry.answered(version) for version in (None, "1", "2", "3")[: rig.versions + 1]}
    return rig.registry.aliases(), rig.cases.load(), decisions, published, answers, rig.registry.decisions()


@pytest.mark.parametrize("story", [operated, approved])
def test_a_crash_after_any_port_call_ends_the_same(
    new_rig: Callable[..., Rig], new_manual_rig: Callable[..., Rig], story: Callable[[Rig], None]
) -> None:
    new = new_rig if story is operated else new_manual_rig
    whole = new()
    story(whole)
    expected, calls = end_of(whole), whole.calls[0]
    assert whole.registry.decisions() == []
    for crash_at in range(1, calls + 1):
        rig = new(crash_at)
        story(rig)
        assert end_of(rig) == expected, f"crash after call {crash_at} of {calls}"


def test_a_rollback_half_done_is_the_loop_s_own_whatever_comes_again(
    new_rig: Callable[..., Rig],
) -> None:
    """The process had died before it committed the promotion, too: of the moved alias nobody else is to be blamed."""
    for calls in range(1, 30):
        rig = new_rig()
        rig.first_champion()
        rig.canary()
        offset = rig.log.committed("promote", VERDICTS)
        rig.outcomes({"1": 0.6, "2": 0.7})
        rig.log.commit("promote", {VERDICTS: offset})
        rig.label({"2": 0.6, "1": 0.7})
        rig.run_part_way(calls)
        rig.run()
        assert [(e.kind, e.actor) for e in rig.ledger.entries() if e.kind in {"promote", "rollback"}] == [
            ("promote", HOMEOSTAT),
            ("promote", HOMEOSTAT),
            ("rollback", HOMEOSTAT),
        ]


def test_a_person_who_takes_back_a_promotion_half_done_is_followed(new_rig: Callable[..., Rig]) -> None:
    found = []
    for calls in range(1, 30):
        rig = new_rig()
        rig.first_champion()
        rig.canary()
        rig.label({"1": 0.6, "2": 0.7})
        rig.run_part_way(calls)
        if rig.registry.aliases() == Aliases("2", None, "1") and rig.cases.load().on_trial:
            rig.registry.set_alias("champion", "1")
            rig.run()
            assert rig.registry.aliases() == Aliases("1", None, "1")
            found.append([(e.kind, e.actor) for e in rig.ledger.entries() if e.kind in {"promote", "rollback"}][1:])
    assert found
    assert all(end == [("promote", HOMEOSTAT), ("rollback", "operator")] for end in found)


def test_a_move_by_hand_half_done_is_told_though_it_was_taken_back_before_the_healer_was_up(
    new_rig: Callable[..., Rig],
) -> None:
    for calls in range(1, 30):
        rig = new_rig()
        rig.first_champion()
        rig.canary()
        rig.outcomes({"1": 0.6, "2": 0.7})
        rig.registry.set_alias("champion", "1")
        rig.run_part_way(calls)
        rig.registry.set_alias("champion", "2")
        rig.run()
        assert serving_at(rig.ledger.entries(), rig.now).champion == rig.registry.aliases().champion == "2"
