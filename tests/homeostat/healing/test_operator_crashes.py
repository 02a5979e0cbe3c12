"""An operator's decision is carried out once, whenever the healer's process dies."""

from collections.abc import Callable
from typing import Any

import pytest

from homeostat.records import TrainingStatus

Rig = Any  # of conftest, which tests can't import


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
