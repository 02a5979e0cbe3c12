from datetime import datetime, timedelta

import pytest

from homeostat.records import Case, CaseState
from tests.homeostat.steps.alerting import DAY, HOUR, START, World


@pytest.fixture
def world() -> World:
    return World()


def wait_for_approval(world: World, since: datetime = START) -> None:
    case = world.cases.load()
    world.cases.save(Case(CaseState.WAITING, case.revision, "case", challenger="2", since=since, reason="drift"))


def test_approval_is_asked_for_at_once_and_again_each_day(world: World) -> None:
    wait_for_approval(world, START - 4.9 * DAY)
    assert [world.look(after=8 * HOUR) for _ in range(7)] == [
        ["approval_wanted"], [], [], ["approval_wanted"], [], [], ["approval_wanted"],
    ]  # fmt: skip
    assert "version 2" in world.sink.inner.alerts[-1].what
    assert "homeostat approve --product toys" in world.sink.inner.alerts[-1].todo


def wait_at_most(world: World, deadline: timedelta) -> None:
    """Let a challenger begin to wait for its approval, as long as the contract's deadline."""
    canary = world.contract.canary.model_copy(update={"approval": "manual", "approval_deadline": deadline})
    world.contract = world.contract.model_copy(update={"canary": canary})
    world.restart()
    waiting = Case(CaseState.WAITING, 0, "case", challenger="2", since=START, waiting_since=START, reason="drift")
    world.cases.save(waiting)


def test_an_approval_whose_time_is_nearly_over_is_asked_for_once_more_with_the_deadline(world: World) -> None:
    wait_at_most(world, 2 * DAY)
    assert [world.look(after=8 * HOUR) for _ in range(6)] == [
        ["approval_wanted"], [], [], ["approval_wanted"], ["approval_wanted"], [],
    ]  # fmt: skip
    alert = world.sink.inner.alerts[-1]
    assert (alert.severity, f"rejected at {START + 2 * DAY:%Y-%m-%d %H:%M} UTC" in alert.what) == ("critical", True)


def test_a_long_last_call_is_repeated_each_day_and_not_by_a_restart(world: World) -> None:
    wait_at_most(world, 12 * DAY)
    assert world.look(after=9 * DAY) == ["approval_wanted"]
    world.restart()
    assert [world.look(after=8 * HOUR) for _ in range(4)] == [[], [], [], ["approval_wanted"]]


def test_an_approval_that_was_given_is_not_asked_for_any_more(world: World) -> None:
    wait_for_approval(world)
    world.look()
    world.cases.save(Case(CaseState.COOLDOWN, world.cases.load().revision))
    assert world.look(after=2 * DAY) == []


def test_a_restart_does_not_ask_for_the_same_approval_again(world: World) -> None:
    wait_for_approval(world)
    world.look()
    world.restart()
    assert world.look() == []
