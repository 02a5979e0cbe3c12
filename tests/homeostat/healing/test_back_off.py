"""Trainings that come to nothing are asked for less and less often."""

from collections.abc import Callable
from typing import Any

import pytest

from homeostat.contract.model import Contract
from homeostat.records import TrainingStatus

Rig = Any  # of conftest, which tests can't import


def fruitless(rig: Rig, times: int) -> list[float]:
    """Let trainings come to nothing and return the hours between the end of a case and the next training."""
    rig.plan["next"] = TrainingStatus.NOTHING_BETTER
    waits = []
    for _ in range(times):
        before = len(rig.published("retrain_requests"))
        closed_at = rig.cases.load().since
        while len(rig.published("retrain_requests")) == before:
            rig.report(hours=12)
        waits.append((rig.now - closed_at).total_seconds() / 3600)
    return waits


@pytest.mark.parametrize(("backoff", "days"), [(2.0, [1, 2, 4, 8, 8]), (1.0, [1, 1, 1, 1, 1]), (4.0, [1, 4, 8, 8, 8])])
def test_the_cooldown_grows_with_each_training_that_comes_to_nothing(
    contract: Contract, new_rig: Callable[..., Rig], backoff: float, days: list[int]
) -> None:
    rig = new_rig()
    rig.contract = contract.model_copy(
        update={
            "healing": contract.healing.model_copy(update={"backoff": backoff}),
            "budget": contract.budget.model_copy(update={"max_trainings": 50}),
        }
    )
    rig.restart()
    rig.first_champion()
    waits = fruitless(rig, 6)[1:]
    assert [round(wait / 24 - 0.99) for wait in waits] == days  # two reports of half a day confirm a drift


def test_the_reason_for_waiting_longer_is_given_and_a_promotion_ends_it(rig: Rig) -> None:
    rig.first_champion()
    fruitless(rig, 2)
    rig.report()
    noted = [e.payload["reason"] for e in rig.ledger.entries() if e.payload.get("kind") == "cooldown"]
    assert noted[-1].endswith("(2 times the cooldown: 2 cases in a row brought nothing better than version 1)")
    rig.plan["next"] = TrainingStatus.CANDIDATE
    rig.run(31 * 24)
    rig.decide("retrain")
    rig.decide("approve", "2")
    assert rig.cases.load().fruitless == 0
