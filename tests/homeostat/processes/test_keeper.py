from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from homeostat.adapters.memory import MemoryTelemetry
from homeostat.errors import HomeostatError, TransientError
from homeostat.metric_names import WAITING
from homeostat.processes import keeper
from homeostat.processes.keeper import BackOff, keep
from homeostat.processes.life import Life
from homeostat.processes.patience import WaitGauge

from .conftest import START


class Script:
    """Rounds that do as they are told."""

    product = "turbines"

    def __init__(self, *acts: int | Exception) -> None:
        self.acts = list(acts)
        self.runs = 0

    def run(self, now: datetime) -> int:
        self.runs += 1
        act = self.acts.pop(0)
        if isinstance(act, Exception):
            raise act
        return act


@pytest.fixture
def tick(monkeypatch: pytest.MonkeyPatch) -> Any:
    time = SimpleNamespace(now=100.0)
    monkeypatch.setattr(keeper, "monotonic", lambda: time.now)
    return time


def test_what_may_heal_by_itself_is_left_alone_longer_each_time(tick: Any) -> None:
    script = Script(TransientError("locked"), TransientError("locked"), 0)
    product = BackOff(script)  # type: ignore[arg-type]
    assert not product.run(START)
    tick.now += 0.9
    assert not product.run(START)
    assert script.runs == 1
    tick.now += 0.2
    product.run(START)
    tick.now += 1.9
    product.run(START)
    assert script.runs == 2
    tick.now += 0.2
    assert product.run(START)


def test_a_night_of_failures_ends_nothing(tick: Any) -> None:
    product = BackOff(Script(*[TransientError("the broker is away")] * 1_100, 0))  # type: ignore[arg-type]
    for _ in range(1_100):
        assert not product.run(START)
        tick.now += 30.1
    assert product.run(START)


def test_a_sign_of_life_says_what_each_product_waits_for() -> None:
    mine, said = Life(), []

    class Heart:
        def beat(self, at: datetime, passed: datetime | None, **more: object) -> None:
            said.append(more)
            mine.over.set()

    product = BackOff(Script(TransientError("the broker is away", 60.0)))  # type: ignore[arg-type]
    keep([product], SimpleNamespace(now=lambda: START), Heart(), mine, promptly=True)  # type: ignore[arg-type]
    assert said == [{"waits": {"turbines": "the broker is away"}}]


def test_that_it_waits_is_shown_from_the_failure_until_a_round_goes_through(tick: Any) -> None:
    telemetry = MemoryTelemetry()
    script = Script(0, TransientError("the disk is full"), TransientError("the disk is full"), 0)
    product = BackOff(script, WaitGauge(telemetry, "turbines", "joiner"))  # type: ignore[arg-type]
    shown = []
    for _ in range(4):
        product.run(START)
        shown.append(telemetry.value(WAITING, product="turbines", process="joiner"))
        tick.now += 5
    assert shown == [0, 1, 1, 0]


def test_a_round_that_moved_something_is_not_the_last_one(tick: Any) -> None:
    product = BackOff(Script(3, 0))  # type: ignore[arg-type]
    assert [product.run(START), product.run(START)] == [False, True]


def test_what_will_not_heal_ends_the_process(tick: Any) -> None:
    with pytest.raises(HomeostatError):
        BackOff(Script(HomeostatError("the disk is full"))).run(START)  # type: ignore[arg-type]
