from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.adapters.memory import MemoryTelemetry
from homeostat.contract.model import Contract
from homeostat.metric_names import LABELS
from homeostat.records import Arm, DeadLetter, Label, Outcome, Prediction
from homeostat.steps.join import JoinStep

T0 = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
MATURITY = 24 * HOUR
CONTRACT = Contract.model_validate_json(
    """{"product": "p", "event": {"entity": "k", "fields": {"k": "string", "x": "number"}},
    "label": {"field": "y", "delay": "1h", "maturity": "1d"}, "features": {"x": {"field": "x"}}}"""
)


def prediction(name: str, hours: float = 0) -> Prediction:
    at = T0 + hours * HOUR
    return Prediction(f"p-{name}", name, "k", at, at, Arm.CHAMPION, "1", 0.3, 1.0, 2.0, (1.0,), {"1": 0.3})


def label(name: str, hours: float, value: float = 1.0) -> Label:
    return Label(name, T0 + hours * HOUR, value)


@pytest.fixture
def telemetry() -> MemoryTelemetry:
    return MemoryTelemetry()


@pytest.fixture
def step(telemetry: MemoryTelemetry) -> JoinStep:
    return JoinStep(CONTRACT, telemetry)


def test_nothing_is_released_before_the_label_is_mature(step: JoinStep) -> None:
    step.handle([prediction("a"), label("a", 2)], T0 + 3 * HOUR)
    assert step.tick(T0 + MATURITY - HOUR) == []
    [outcome] = step.tick(T0 + MATURITY)
    assert isinstance(outcome, Outcome)
    assert (outcome.event_id, outcome.label, outcome.scores) == ("a", 1.0, {"1": 0.3})


def test_a_label_that_never_comes_leaves_an_outcome_without_one(step: JoinStep) -> None:
    step.handle([prediction("a")], T0)
    [outcome] = step.tick(T0 + MATURITY)
    assert isinstance(outcome, Outcome)
    assert outcome.label is None


def test_a_prediction_that_comes_again_after_its_outcome_makes_no_second_one(step: JoinStep) -> None:
    step.handle([prediction("a"), label("a", 2)], T0)
    (outcome,) = step.tick(T0 + MATURITY)
    step.handle([prediction("a")], T0 + MATURITY)
    assert step.tick(T0 + MATURITY + HOUR) == []
    assert isinstance(outcome, Outcome)
    assert outcome.label == 1.0


def test_a_label_whose_outcome_went_out_before_a_restart_is_no_orphan(step: JoinStep) -> None:
    now = T0 + 3 * MATURITY
    tail = [prediction("young", 60), label("young", 70), label("old", 1), label("older", 40)]
    step.restore(tail, now)
    assert [type(record) for record in step.tick(now + HOUR)] == []
    (outcome,) = step.tick(T0 + 60 * HOUR + MATURITY)
    assert isinstance(outcome, Outcome)
    assert (outcome.event_id, outcome.label) == ("young", 1.0)


def test_a_label_sent_twice_counts_once(step: JoinStep, telemetry: MemoryTelemetry) -> None:
    step.handle([prediction("a"), label("a", 2), label("a", 2)], T0)
    assert len(step.tick(T0 + MATURITY)) == 1
    assert telemetry.value(LABELS, product="p", fate="repeated") == 1


def test_a_correction_before_maturity_wins(step: JoinStep) -> None:
    step.handle([prediction("a"), label("a", 5, 0.0), label("a", 2, 1.0)], T0)
    [outcome] = step.tick(T0 + MATURITY)
    assert isinstance(outcome, Outcome)
    assert outcome.label == 0.0


def test_a_label_may_come_before_its_prediction(step: JoinStep) -> None:
    step.handle([label("a", 1)], T0)
    step.handle([prediction("a")], T0 + HOUR)
    [outcome] = step.tick(T0 + MATURITY)
    assert isinstance(outcome, Outcome)
    assert outcome.label == 1.0


@pytest.mark.parametrize("late", [label("nobody", 1), label("a", 30)])
def test_a_label_nobody_waits_for_goes_to_the_dead_letters(step: JoinStep, late: Label) -> None:
    step.handle([prediction("a")], T0)
    released = step.tick(T0 + MATURITY)
    step.handle([late], T0 + 30 * HOUR)
    letters = [r for r in [*released, *step.tick(late.label_time + MATURITY)] if isinstance(r, DeadLetter)]
    assert [letter.topic for letter in letters] == ["labels"]
    assert late.event_id in letters[0].reason


def test_an_orphan_keeps_bytes_that_can_be_read_again(step: JoinStep) -> None:
    step.handle([label('quoted "id"', 1)], T0)
    [letter] = step.tick(T0 + 2 * MATURITY)
    assert isinstance(letter, DeadLetter)
    assert b'quoted \\"id\\"' in letter.value


@given(
    st.lists(st.tuples(st.integers(0, 30), st.floats(0, 20)), unique_by=lambda pair: pair[0], max_size=20),
    st.integers(0, 19),
)
def test_a_restart_loses_and_invents_nothing(rows: list[tuple[int, float]], cut: int) -> None:
    records = [r for i, hour in rows for r in (prediction(str(i), hour), label(str(i), hour + 1))]
    steps = [JoinStep(CONTRACT, MemoryTelemetry()) for _ in range(3)]
    steps[0].handle(records, T0)
    steps[1].handle(records[:cut], T0)
    steps[2].restore(records[:cut], T0)
    steps[2].handle(records[cut:], T0)
    assert steps[2].tick(T0 + 2 * MATURITY) == steps[0].tick(T0 + 2 * MATURITY)
