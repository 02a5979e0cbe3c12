"""The obligations of Clock, over every adapter."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from homeostat.adapters.manual_clock import ManualClock
from homeostat.adapters.stream_clock import UNSET, StreamClock
from homeostat.adapters.system_clock import SystemClock
from homeostat.errors import HomeostatError
from homeostat.ports import Clock

ADAPTERS: dict[str, Callable[[Path], Clock]] = {
    "manual": lambda _: ManualClock(datetime(2024, 3, 1, tzinfo=UTC)),
    "system": lambda _: SystemClock(),
    "stream": lambda folder: StreamClock(folder / "clock.json"),
}
SET_BY_HAND = ("manual", "stream")


@pytest.fixture(params=ADAPTERS)
def clock(request: pytest.FixtureRequest, tmp_path: Path) -> Clock:
    return ADAPTERS[request.param](tmp_path)


def test_the_time_is_aware_and_in_utc(clock: Clock) -> None:
    assert clock.now().utcoffset() == timedelta(0)


def test_the_time_does_not_go_back(clock: Clock) -> None:
    assert clock.now() <= clock.now()


@pytest.mark.parametrize("clock", SET_BY_HAND, indirect=True)
def test_a_clock_set_by_hand_stands_still_until_told(clock: ManualClock | StreamClock, at: datetime) -> None:
    for time in (at, at, at + timedelta(hours=1)):
        clock.advance_to(time)
        assert clock.now() == clock.now() == time


@pytest.mark.parametrize("clock", SET_BY_HAND, indirect=True)
def test_a_clock_set_by_hand_refuses_to_go_back(clock: ManualClock | StreamClock, at: datetime) -> None:
    clock.advance_to(at)
    with pytest.raises(ValueError, match="can't go back"):
        clock.advance_to(at - timedelta(microseconds=1))
    assert clock.now() == at


def test_a_stream_clock_that_nobody_set_shows_the_epoch(tmp_path: Path) -> None:
    assert StreamClock(tmp_path / "clock.json").now() == UNSET


def test_a_stream_clock_is_one_for_all_who_open_it(tmp_path: Path, at: datetime) -> None:
    one, two = (StreamClock(tmp_path / "clock.json") for _ in range(2))
    for minutes in range(100):
        one.advance_to(at + timedelta(minutes=minutes))
        assert two.now() == at + timedelta(minutes=minutes)


def test_a_stream_clock_takes_no_time_without_a_zone(tmp_path: Path, at: datetime) -> None:
    with pytest.raises(ValueError, match="no zone"):
        StreamClock(tmp_path / "clock.json").advance_to(at.replace(tzinfo=None))


def test_a_stream_clock_names_the_file_that_holds_no_time(tmp_path: Path) -> None:
    (tmp_path / "clock.json").write_text('{"now": "noon"}')
    with pytest.raises(HomeostatError, match=r"clock\.json"):
        StreamClock(tmp_path / "clock.json").now()
