from dataclasses import replace
from datetime import UTC, datetime, timedelta

from homeostat.adapters.memory import MemoryCases, MemoryLedger, MemoryRegistry, MemoryTelemetry
from homeostat.adapters.memory_alerts import MemoryAlerts
from homeostat.contract.model import Contract
from homeostat.healing.incidents import BrokenSpans, told_incident
from homeostat.ports import ModelPackage
from homeostat.records import CaseState, DataIncident, DriftReport, DriftStatus, Span
from homeostat.steps.alert import AlertStep
from homeostat.steps.decide import DecideStep

NOW = datetime(2013, 3, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
INCIDENT = DataIncident("unit_change", ("price",), "x1000", NOW - 5 * HOUR, NOW - HOUR, active=True, factor=1000.0)
OVER = replace(INCIDENT, active=False, until=NOW)
CONTRACT = Contract.model_validate(
    {
        "product": "toys",
        "event": {"entity": "shop", "fields": {"shop": "string", "price": "number"}},
        "label": {"field": "returned", "delay": "6h", "maturity": "1d"},
        "features": {"price": {"field": "price"}},
    }
)


def report(hours, *incidents, version="1"):
    at = NOW + hours * HOUR
    return DriftReport(
        f"r{hours}",
        at,
        at - 168 * HOUR,
        at,
        2000,
        DriftStatus.DRIFTED,
        version,
        reasons=("moved",),
        incidents=incidents,
        labelled_since=1500,
    )


def healer(ledger):
    registry, cases = MemoryRegistry(), MemoryCases()
    registry.register(ModelPackage({}), "first")
    registry.set_alias("champion", "1")
    return DecideStep(CONTRACT, registry, cases, ledger, MemoryTelemetry()), cases


def test_no_case_is_opened_while_the_newest_rows_are_broken_and_the_ledger_says_why():
    ledger = MemoryLedger()
    step, cases = healer(ledger)
    step.handle([report(hour, INCIDENT) for hour in range(5)], NOW)
    assert step.tick(NOW + 5 * HOUR) == []
    assert cases.load().state is CaseState.STABLE
    (entry,) = ledger.entries()
    assert entry.payload["reason"] == ("the newest rows are broken: unit change in price since 2013-03-19 19:00: x1000")


def test_drift_that_lasts_after_the_mending_is_healed_without_the_broken_rows():
    step, _ = healer(MemoryLedger())
    step.handle([report(0, INCIDENT), report(1, OVER), report(2, OVER)], NOW)
    (request,) = step.tick(NOW + 3 * HOUR)
    assert request.broken == (Span(INCIDENT.since, NOW),)


def test_an_old_incident_is_left_out_of_every_later_training_also_by_a_healer_that_starts_anew():
    ledger = MemoryLedger()
    step, _ = healer(ledger)
    step.handle([report(0, INCIDENT), report(1, OVER)], NOW)
    later, _ = healer(ledger)
    later.handle([report(1000), report(1001)], NOW + 1001 * HOUR)
    (request,) = later.tick(NOW + 1002 * HOUR)
    assert request.broken == (Span(INCIDENT.since, NOW),)


def test_an_incident_is_written_once_however_often_it_is_reported():
    ledger = MemoryLedger()
    spans = BrokenSpans("toys", ledger)
    for hour in range(5):
        spans.note(report(hour, OVER))
    BrokenSpans("toys", ledger).note(report(9, OVER))
    assert len(ledger.entries()) == 1


def test_an_incident_that_a_promotion_hides_is_kept_too():
    spans = BrokenSpans("toys", MemoryLedger())
    spans.note(report(0, INCIDENT))
    spans.note(report(1, version="2"))
    assert spans.known_at(NOW + HOUR, None) == (Span(INCIDENT.since, INCIDENT.until),)


def test_what_was_learnt_after_the_case_was_opened_does_not_change_its_request():
    spans = BrokenSpans("toys", MemoryLedger())
    spans.note(report(3, OVER))
    assert spans.known_at(NOW, report(0)) == ()
    assert spans.known_at(NOW, report(0, INCIDENT)) == (Span(INCIDENT.since, INCIDENT.until),)


def test_an_incident_alarms_once_as_one_and_once_more_when_it_is_over():
    sink = MemoryAlerts()
    step = AlertStep(CONTRACT, MemoryCases(), sink, MemoryTelemetry())
    calm = [replace(each, status=DriftStatus.HEALTHY) for each in (report(0, INCIDENT), report(1, INCIDENT))]
    step.handle([*calm, replace(report(2, OVER), status=DriftStatus.HEALTHY)], NOW)
    assert [(alert.kind, alert.severity) for alert in sink.alerts] == [
        ("data_incident", "critical"),
        ("data_incident_ended", "info"),
    ]
    assert told_incident(INCIDENT) in sink.alerts[0].what
