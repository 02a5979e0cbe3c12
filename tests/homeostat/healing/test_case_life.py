"""The healer's two halves and the judge together: a case's whole life, and what a crash does to it."""

from collections.abc import Callable
from typing import Any

import pytest

from homeostat.ports import Aliases
from homeostat.records import CaseState, DriftStatus, TrainingStatus

Rig = Any  # of conftest, which tests can't import


def healed_and_rolled_back(rig: Rig) -> None:
    """Cold start, drift, canary, promotion, harm, rollback; then a failed training and a rejected challenger."""
    rig.first_champion()
    rig.report()
    rig.report()
    rig.outcomes({"1": 0.6, "2": 0.7})
    rig.outcomes({"1": 0.7, "2": 0.6}, hours=14)
    rig.run(25)
    rig.plan["next"] = TrainingStatus.FAILED
    rig.report(hours=700)
    rig.report()
    rig.run(25)
    rig.plan["next"] = TrainingStatus.CANDIDATE
    rig.report()
    rig.report()
    rig.outcomes({"1": 0.7, "3": 0.6})
    rig.run(25)


def end_of(rig: Rig) -> tuple[Any, ...]:
    decisions = [
        (e.entry_id, e.at, e.kind, e.actor, e.payload.get("version"))
        for e in rig.ledger.entries()
        if e.kind != "left_alone"
    ]
    published = {topic: set(rig.published(topic)) for topic in ("retrain_requests", "canary_verdicts", "promotions")}
    return rig.registry.aliases(), rig.cases.load(), decisions, published


def test_a_case_lives_through_every_state(rig: Rig) -> None:
    states = []

    def note() -> None:
        states.append(rig.cases.load().state)

    rig.first_champion()
    note()
    rig.report()
    rig.report()
    note()
    rig.outcomes({"1": 0.6, "2": 0.7})
    note()
    rig.run(25)
    note()
    assert states == [CaseState.STABLE, CaseState.CANARY, CaseState.COOLDOWN, CaseState.STABLE]
    assert rig.registry.aliases().champion == "2"
    assert rig.registry.aliases().previous == "1"


def test_the_whole_story_is_told_by_the_ledger(rig: Rig) -> None:
    healed_and_rolled_back(rig)
    kinds = [entry.kind for entry in rig.ledger.entries() if entry.kind != "left_alone"]
    opened_and = ["case_opened", "start"]
    assert kinds == [
        "history_began", "case_opened", "promote", *opened_and, "promote", "rollback",
        "case_opened", "reject", *opened_and, "reject",
    ]  # fmt: skip
    assert rig.ledger.verify() == len(rig.ledger.entries())
    assert rig.registry.aliases().champion == "1"


def test_a_crash_after_any_port_call_ends_the_same(new_rig: Callable[..., Rig]) -> None:
    whole = new_rig()
    healed_and_rolled_back(whole)
    expected, calls = end_of(whole), whole.calls[0]
    for crash_at in range(1, calls + 1):
        rig = new_rig(crash_at)
        healed_and_rolled_back(rig)
        assert end_of(rig) == expected, f"crash after call {crash_at} of {calls}"


def test_a_failed_training_closes_its_case(rig: Rig) -> None:
    rig.first_champion()
    rig.plan["next"] = TrainingStatus.FAILED
    rig.report()
    rig.report()
    assert rig.cases.load().state is CaseState.COOLDOWN
    rig.run(25)
    assert rig.cases.load().state is CaseState.STABLE


def test_a_canary_without_outcomes_ends_when_its_time_is_up(rig: Rig) -> None:
    rig.first_champion()
    rig.report()
    rig.report()
    rig.run(3 * 24)
    assert rig.cases.load().state is CaseState.CANARY  # its last rows are not mature yet
    rig.run(24)
    assert rig.cases.load().state is CaseState.COOLDOWN
    assert rig.registry.aliases().challenger is None


def test_drift_seen_before_a_case_closed_opens_no_other(rig: Rig) -> None:
    rig.first_champion()
    rig.plan["next"] = TrainingStatus.NOTHING_BETTER
    for _ in range(6):
        rig.report()
    rig.run(20)
    assert len(rig.published("retrain_requests")) == 2  # the cold start and one
    rig.report(hours=24)
    assert len(rig.published("retrain_requests")) == 2
    rig.report()
    assert len(rig.published("retrain_requests")) == 3


def test_doing_nothing_is_noted_once_for_each_reason_between_two_cases(rig: Rig) -> None:
    rig.first_champion()
    for _ in range(10):
        rig.report(DriftStatus.HEALTHY)
        rig.report(DriftStatus.UNKNOWN)
        rig.report(DriftStatus.HEALTHY)
        rig.report(DriftStatus.DRIFTED)
    notes = [entry.payload["kind"] for entry in rig.ledger.entries() if entry.kind == "left_alone"]
    assert len(notes) == len(set(notes)) + notes.count("cooldown") - 1 <= 8


def test_the_labelled_history_survives_a_restart(rig: Rig) -> None:
    rig.report(DriftStatus.UNKNOWN)
    rig.run(7 * 24)
    rig.restart()
    rig.report(DriftStatus.UNKNOWN, hours=24)
    assert rig.registry.aliases().champion == "1"


@pytest.mark.parametrize("alias", ["champion", "challenger"])
def test_a_rollback_ends_the_case_that_was_open_on_the_bad_champion(rig: Rig, alias: str) -> None:
    rig.first_champion()
    rig.report()
    rig.report()
    rig.outcomes({"1": 0.6, "2": 0.7})
    rig.run(25)
    rig.report()
    rig.report()
    assert rig.registry.aliases().challenger == "3"
    rig.outcomes({"1": 0.7, "2": 0.6, "3": 0.6}, hours=14)
    assert getattr(rig.registry.aliases(), alias) == {"champion": "1", "challenger": None}[alias]
    assert rig.cases.load().state is CaseState.COOLDOWN


def test_after_a_rollback_the_same_candidate_is_not_tried_again_before_a_row_is_new(rig: Rig) -> None:
    rig.first_champion()
    rig.plan["receipt"] = {"recipe": {"learner": "lightgbm"}, "data_span": ["2013-03-01", "2013-04-01"]}
    rig.canary()
    rig.decide("approve", "2")
    rig.decide("rollback", "2")
    rig.run(48)
    rig.canary()
    assert rig.registry.aliases() == Aliases("1", None, "1")
    (entry,) = (entry for entry in rig.ledger.entries() if entry.kind == "reject")
    assert entry.payload["version"] == "3"
    assert entry.payload["reason"] == "the same as version 2, which was rolled back: no row is new since"
    rig.plan["receipt"] |= {"data_span": ["2013-03-01", "2013-04-02"]}
    rig.run(31 * 24)  # the budget has three trainings in 30 days
    rig.canary()
    assert rig.registry.aliases().challenger == "4"


def test_a_start_that_is_told_again_after_the_rollback_of_its_version_is_no_second_trial(rig: Rig) -> None:
    rig.first_champion()
    rig.plan["receipt"] = {"recipe": {"learner": "lightgbm"}, "data_span": ["2013-03-01", "2013-04-01"]}
    rig.canary()
    rig.decide("approve", "2")
    rig.decide("rollback", "2")
    rig.put(*rig.published("canary_verdicts").values())
    rig.run()
    assert "reject" not in {promotion.action for promotion in rig.published("promotions").values()}
