from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from homeostat.adapters.memory import MemoryCases, MemoryLedger, MemoryRegistry, MemoryTelemetry
from homeostat.contract.model import Contract
from homeostat.errors import TransientError
from homeostat.ports import ModelPackage
from homeostat.records import Case, CaseState, DriftReport, DriftStatus, RetrainRequest
from homeostat.steps.decide import DecideStep

NOW = datetime(2013, 3, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
CONTRACT = Contract.model_validate(
    {
        "product": "toys",
        "event": {"entity": "shop", "fields": {"shop": "string", "price": "number"}},
        "label": {"field": "returned", "delay": "6h", "maturity": "1d"},
        "features": {"price": {"field": "price"}},
        "training": {"cold_start_after": "7d"},
    }
)


class World:
    def __init__(self) -> None:
        self.registry, self.cases, self.ledger = MemoryRegistry(), MemoryCases(), MemoryLedger()
        self.registry.register(ModelPackage({}), "first")
        self.registry.set_alias("champion", "1")

    def step(self, seed: int = 0) -> DecideStep:
        return DecideStep(CONTRACT, self.registry, self.cases, self.ledger, MemoryTelemetry(), seed)


@pytest.fixture
def world() -> World:
    return World()


def report(hours: float, status: DriftStatus = DriftStatus.DRIFTED, version: str | None = "1") -> DriftReport:
    at = NOW + hours * HOUR
    seen = {"reasons": ("price moved",), "labelled_since": 1500}
    return DriftReport(f"r{hours}", at, at - 168 * HOUR, at, 2000, status, version, **seen)


def opened(step: DecideStep) -> RetrainRequest:
    step.handle([report(0), report(1)], NOW)
    (request,) = step.tick(NOW + HOUR)
    assert isinstance(request, RetrainRequest)
    return request


def test_a_confirmed_drift_becomes_a_retrain_request(world: World) -> None:
    request = opened(world.step())
    assert request.champion == "1"
    assert request.report_id == "r1"
    assert request.report == report(1)
    assert request.drift_since == report(0).window_start
    assert world.cases.load().state is CaseState.TRAINING
    assert world.cases.load().request_id == request.request_id


def test_the_case_is_opened_in_the_ledger_with_what_was_seen(world: World) -> None:
    opened(world.step())
    (entry,) = [e for e in world.ledger.entries() if e.kind == "case_opened"]
    assert entry.payload["rows"] == 2000
    assert entry.payload["reason"].startswith("drift in 2 reports in a row")
    needed = [entry.payload["labelled_rows_needed"], entry.payload["labelled_rows_needed_for"]]
    assert needed == [200, "40% of the window's 500"]


def test_a_request_is_published_once_however_often_the_time_passes(world: World) -> None:
    step = world.step()
    opened(step)
    assert [step.tick(NOW + minutes * HOUR / 60) for minutes in range(61, 120)] == [[]] * 59


def test_a_request_that_was_never_answered_is_published_again_after_the_cooldown(world: World) -> None:
    step = world.step()
    request = opened(step)
    assert step.tick(NOW + 25 * HOUR) == [request]


def test_a_restarted_healer_publishes_the_same_request_once_more(world: World) -> None:
    request = opened(world.step())
    again = world.step()
    assert again.tick(NOW + 2 * HOUR) == [request]
    assert again.tick(NOW + 3 * HOUR) == []


def test_memory_restored_is_memory_kept(world: World) -> None:
    step = world.step()
    step.restore([report(0)], NOW)
    step.handle([report(1)], NOW)
    assert len(step.tick(NOW + HOUR)) == 1


def test_reports_from_before_the_last_case_closed_are_not_counted(world: World) -> None:
    world.cases.save(Case(since=NOW + HOUR / 2))
    step = world.step()
    step.handle([report(0), report(1)], NOW)
    assert step.tick(NOW + HOUR) == []


def test_another_seed_of_the_operator_gives_another_seed_of_the_training(world: World) -> None:
    assert opened(world.step(seed=1)).seed != opened(World().step(seed=2)).seed
    assert opened(World().step(seed=2)).seed == opened(World().step(seed=2)).seed


def test_a_cold_start_waits_from_the_first_report_even_over_a_restart(world: World) -> None:
    world.registry.set_alias("champion", None)
    first = world.step()
    first.handle([report(0, DriftStatus.UNKNOWN, None)], NOW)
    assert first.tick(NOW) == []
    second = world.step()
    second.handle([report(190, DriftStatus.UNKNOWN, None)], NOW)
    assert second.tick(NOW + 191 * HOUR) == []
    assert len(second.tick(NOW + 192 * HOUR)) == 1


def test_reports_made_while_a_case_was_open_do_not_open_the_next(world: World) -> None:
    step = world.step()
    opened(step)
    world.cases.save(replace(world.cases.load(), state=CaseState.COOLDOWN, cooldown_until=NOW + 3 * HOUR))
    step.handle([report(2), report(3)], NOW)
    world.cases.save(Case(CaseState.STABLE, world.cases.load().revision, since=NOW + 4 * HOUR))
    assert step.tick(NOW + 5 * HOUR) == []


def test_a_case_that_somebody_else_wrote_meanwhile_is_tried_again_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = world.step()
    step.handle([report(0), report(1)], NOW)
    load: Callable[[], Case] = world.cases.load
    monkeypatch.setattr(world.cases, "load", lambda: replace(load(), revision=41))
    with pytest.raises(TransientError):
        step.tick(NOW + HOUR)


def test_trainings_beyond_the_budgets_span_are_dropped_from_the_case(world: World) -> None:
    world.cases.save(Case(trained_at=(NOW - 40 * 24 * HOUR, NOW - 24 * HOUR)))
    opened(world.step())
    assert world.cases.load().trained_at == (NOW - 24 * HOUR, NOW + HOUR)
