"""The obligations of Clock, over every adapter."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from homeostat.adapters.memory import ManualClock
from homeostat.adapters.system_clock import SystemClock
from homeostat.ports import Clock

ADAPTERS: dict[str, Callable[[], Clock]] = {
    "manual": lambda: ManualClock(datetime(2024, 3, 1, tzinfo=UTC)),
    "system": SystemClock,
}


@pytest.fixture(params=ADAPTERS)
def clock(request: pytest.FixtureRequest) -> Clock:
    return ADAPTERS[request.param]()


def test_the_time_is_aware_and_in_utc(clock: Clock) -> None:
    assert clock.now().utcoffset() == timedelta(0)


def test_the_time_does_not_go_back(clock: Clock) -> None:
    assert clock.now() <= clock.now()


def test_a_manual_clock_stands_still_until_told(at: datetime) -> None:
    clock = ManualClock(at)
    assert clock.now() == clock.now() == at
    clock.advance_to(at + timedelta(hours=1))
    assert clock.now() == at + timedelta(hours=1)


def test_a_manual_clock_refuses_to_go_back(at: datetime) -> None:
    with pytest.raises(ValueError, match="can't go back"):
        ManualClock(at).advance_to(at - timedelta(microseconds=1))
