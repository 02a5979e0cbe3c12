"""A stream that breaks and is mended, seen by the detect step: what is left out, what is said, and for how long."""

from dataclasses import replace

import numpy as np
import pytest

from homeostat.adapters.memory import MemoryTelemetry
from homeostat.contract.losses import row_losses
from homeostat.drift.profile import FILE, Profile
from homeostat.drift.quarantine import Quarantine, broken_spans
from homeostat.metric_names import DATA_INCIDENT
from homeostat.records import DataIncident, DriftStatus, Outcome, Span
from homeostat.steps.detect import DetectStep
from tests.homeostat.drift.parcels import CONTRACT, DAY, HOUR, ROWS_A_DAY, START, Registry, stream


@pytest.fixture(scope="module")
def registry():
    return Registry()


def played(registry, rows, until, telemetry=None):
    """A step that has looked every six hours; its last report."""
    step = DetectStep(CONTRACT, registry, telemetry or MemoryTelemetry())
    now, fed, report = START, 0, None
    while now < until:
        now += 6 * HOUR
        new = fed + sum(row.event_time <= now for row in rows[fed : fed + ROWS_A_DAY])
        step.handle(rows[fed:new], now)
        fed = new
        (report,) = step.tick(now)
    return step, report


def test_a_broken_day_is_an_incident_and_no_drift(registry):
    telemetry = MemoryTelemetry()
    rows = stream(6, broken=(5.0, 6.0))
    _, report = played(registry, rows, START + 6 * DAY, telemetry)
    (incident,) = report.incidents
    assert (incident.kind, incident.columns, incident.factor) == ("unit_change", ("weight",), 1000.0)
    assert incident.active
    assert START + 4 * DAY < incident.since <= START + 5 * DAY
    assert report.status is DriftStatus.HEALTHY
    assert 3.5 * ROWS_A_DAY < report.rows <= 5 * ROWS_A_DAY
    assert telemetry.value(DATA_INCIDENT, product="parcels", kind="unit_change") == 1
    assert telemetry.value(DATA_INCIDENT, product="parcels", kind="stuck_value") == 0


def test_a_fault_has_a_name_within_a_tenth_of_the_window(registry):
    rows = stream(6, broken=(5.0, 6.0))
    _, report = played(registry, rows, START + 5.75 * DAY)
    assert [incident.kind for incident in report.incidents] == ["unit_change"]


def test_things_go_on_by_themselves_once_it_is_mended_and_its_rows_stay_left_out(registry):
    rows = stream(8, broken=(4.0, 5.0))
    _, report = played(registry, rows, START + 8 * DAY)
    (incident,) = report.incidents
    assert not incident.active
    assert incident.since <= START + 4 * DAY
    assert START + 5 * DAY - 2 * HOUR <= incident.until <= START + 6.5 * DAY
    assert report.status is DriftStatus.HEALTHY
    assert report.rows > 4 * ROWS_A_DAY


def test_a_true_shift_of_the_same_column_is_drift_and_no_incident(registry):
    rows = stream(6, broken=(3.0, 6.0), spoil=lambda values: (values[0] + 6, values[1]))
    _, report = played(registry, rows, START + 6 * DAY)
    assert (report.status, report.incidents) == (DriftStatus.DRIFTED, ())


def test_labels_of_broken_rows_say_nothing_about_the_model(registry):
    rows = stream(7, broken=(5.0, 6.0))
    step, _ = played(registry, rows, START + 7 * DAY)
    rng = np.random.default_rng(9)
    outcomes = []
    for row in rows:
        day = (row.event_time - START) / DAY
        label = 1.0 - round(row.score) if 5 <= day < 6 else float(rng.random() < row.score)
        outcomes.append(
            Outcome(row.event_id, "d", row.event_time, row.event_time, label, row.arm, "1", row.score, row.scores)
        )
    step.handle(outcomes, START + 7 * DAY)
    (report,) = step.tick(START + 7 * DAY)
    assert report.performance.rows <= 6 * ROWS_A_DAY
    assert not report.performance.degraded
    wrong = row_losses("log_loss", np.ones(2), np.array([0.3, 0.3])).mean()
    assert report.performance.loss < wrong


def test_a_restarted_step_says_the_same(registry):
    rows = stream(6, broken=(4.0, 5.0))
    _, before = played(registry, rows, START + 6 * DAY)
    step = DetectStep(CONTRACT, registry, MemoryTelemetry())
    step.restore(rows[::-1], START + 6 * DAY)
    (after,) = step.tick(START + 6 * DAY)
    assert after.incidents == before.incidents
    assert after == replace(before, incidents=after.incidents)


def test_an_event_time_far_ahead_is_a_broken_clock(registry):
    rows = stream(3)
    ahead = [replace(row, event_time=row.event_time + 40 * DAY) for row in stream(1, since=START + 2 * DAY, seed=7)]
    step, _ = played(registry, rows, START + 3 * DAY)
    step.handle(ahead, START + 3 * DAY)
    (report,) = step.tick(START + 3 * DAY)
    (incident,) = report.incidents
    assert (incident.kind, incident.columns) == ("clock", ("event_time",))
    assert incident.since > START + 2 * DAY


class Saying:
    """A size of pieces that names the same faults at every look."""

    def __init__(self, *said):
        self.said = said

    def incidents(self, samples, now):
        return [(Span(one.since, one.until), one) for one in self.said]


def test_a_fault_that_small_pieces_named_is_not_another_one_in_a_long_piece_now_or_later(registry):
    swapped = DataIncident("swapped_columns", ("weight", "size"), "", START, START + 5 * HOUR, active=True)
    unit = DataIncident("unit_change", ("weight",), "x72 or so", START + HOUR, START + DAY, active=True)
    other = replace(unit, columns=("kind",))
    later = replace(unit, since=START + DAY, until=START + 2 * DAY)
    quarantine = Quarantine(Profile.from_bytes(registry.files[FILE]), 7 * DAY)
    quarantine._scales = [Saying(swapped), Saying(unit, other)]
    assert set(quarantine.look([], START + DAY, DAY)) == {swapped, other}
    quarantine._scales = [Saying(), Saying(unit, later)]  # small pieces are cut anew as the window moves
    looked = quarantine.look([], START + 2 * DAY, DAY)
    assert [one.kind for one in looked if "weight" in one.columns] == ["swapped_columns", "unit_change"]
    assert later in looked
    assert quarantine.look([], START + 30 * DAY, DAY) == ()


def test_a_vanished_category_is_an_incident_and_leaves_no_drift(registry):
    rows = stream(6, broken=(5.0, 6.0), spoil=lambda values: (values[0], "a" if values[1] == "c" else values[1]))
    _, report = played(registry, rows, START + 6 * DAY)
    (incident,) = report.incidents
    assert (incident.kind, incident.columns, incident.active) == ("vanished_category", ("kind",), True)
    assert START + 4.5 * DAY < incident.since <= START + 5 * DAY
    assert report.status is DriftStatus.HEALTHY


def test_spans_that_meet_are_one():
    incidents = [
        DataIncident("stuck_value", (name,), "", START + a * HOUR, START + b * HOUR, active=False)
        for name, a, b in (("x", 5, 9), ("y", 0, 2), ("z", 8, 12))
    ]
    assert broken_spans(incidents) == (
        Span(START, START + 2 * HOUR),
        Span(START + 5 * HOUR, START + 12 * HOUR),
    )
