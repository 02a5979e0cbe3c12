"""A look back at a window whose data broke for some days: broken is not drifted on the page either."""

import pytest

from homeostat.adapters.memory import MemoryLog
from homeostat.codec import encode
from homeostat.drift.profile import FILE, Profile
from homeostat.drift.watch import Watch
from homeostat.flow import topic_name
from homeostat.inspection.drift import label_lines, told_report
from homeostat.inspection.drift_page import look_back
from homeostat.inspection.window_rows import served_rows
from homeostat.ports import NewMessage
from homeostat.records import DriftReport, DriftStatus, Span
from tests.homeostat.drift.parcels import CONTRACT, DAY, ROWS_A_DAY, START, Registry, stream


@pytest.fixture(scope="module")
def profile() -> Profile:
    return Profile.from_bytes(Registry().files[FILE])


def looked_back(profile: Profile, span: Span, broken: tuple[float, float]) -> DriftReport:
    log, watch = MemoryLog(), Watch("1", profile, CONTRACT)
    for row in stream(8, broken=broken):
        log.append([NewMessage(topic_name(CONTRACT.product, "predictions"), *encode(row))], row.event_time)
    served_rows(CONTRACT, log, watch, span)
    return look_back(CONTRACT, watch, span)


def test_a_window_that_broke_for_two_days_has_an_incident_and_no_drift(profile: Profile) -> None:
    report = looked_back(profile, Span(START + DAY, START + 8 * DAY), broken=(3.0, 5.0))
    (incident,) = report.incidents
    assert (incident.kind, incident.columns) == ("unit_change", ("weight",))
    assert START + 2.5 * DAY < incident.since <= START + 3 * DAY
    assert START + 5 * DAY - DAY / 24 <= incident.until < START + 5.5 * DAY
    assert report.status is DriftStatus.HEALTHY
    assert 4 * ROWS_A_DAY < report.rows <= 5 * ROWS_A_DAY
    assert any(line.startswith("data incident: unit change in weight") for line in label_lines(told_report(report)))


def test_a_fault_early_in_a_span_longer_than_a_look_s_is_named_too(profile: Profile) -> None:
    contract = CONTRACT.model_copy(update={"drift": CONTRACT.drift.model_copy(update={"window": 2 * DAY})})
    watch, rows = Watch("1", profile, contract), stream(8, broken=(1.0, 2.0))
    watch.count(rows)
    report = look_back(contract, watch, Span(START, START + 8 * DAY))
    assert [incident.kind for incident in report.incidents] == ["unit_change"]
    assert report.status is DriftStatus.HEALTHY
