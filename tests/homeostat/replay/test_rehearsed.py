"""What a rehearsal counts of its looks."""

from dataclasses import replace
from datetime import timedelta

from homeostat.records import DataIncident, DriftReport, DriftStatus
from homeostat.replay.rehearsed import incidents
from tests.homeostat.drift.parcels import DAY, START

HOUR = timedelta(hours=1)
STUCK = DataIncident("stuck_value", ("weight",), "98% are 3", START, START + 2 * HOUR, active=True)
NULLS = replace(STUCK, kind="null_burst", since=START + DAY, until=START + 2 * DAY, what="60% missing")


def look(at, *found: DataIncident) -> DriftReport:
    return DriftReport(at.isoformat(), at, at - 7 * DAY, at, 1000, DriftStatus.HEALTHY, "1", incidents=found)


def test_an_incident_that_many_looks_saw_grow_is_one_and_is_told_as_last_seen():
    grown = replace(STUCK, until=START + 5 * HOUR, what="100% are 3")
    over = replace(grown, active=False)
    looks = [look(START + 2 * HOUR, STUCK), look(START + 5 * HOUR, grown), look(START + 2 * DAY, NULLS, over)]
    assert [(one["diagnosis"], one["until"], one["what"]) for one in incidents(looks)] == [
        ("stuck_value", (START + 5 * HOUR).isoformat(), "100% are 3"),
        ("null_burst", (START + 2 * DAY).isoformat(), "60% missing"),
    ]


def test_the_same_fault_on_another_day_is_another_incident():
    again = replace(STUCK, since=START + 3 * DAY, until=START + 4 * DAY)
    assert [one["since"] for one in incidents([look(START + DAY, STUCK), look(START + 4 * DAY, again, STUCK)])] == [
        START.isoformat(),
        (START + 3 * DAY).isoformat(),
    ]
    assert incidents([look(START + DAY)]) == []
