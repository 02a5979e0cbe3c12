from collections.abc import Callable
from datetime import timedelta
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from homeostat.healing.streak import Streak
from homeostat.records import DriftReport, DriftStatus

Report = Callable[..., DriftReport]
HOUR = timedelta(hours=1)
DRIFTED, HEALTHY, UNKNOWN = DriftStatus.DRIFTED, DriftStatus.HEALTHY, DriftStatus.UNKNOWN


def folded(reports: list[DriftReport]) -> Streak:
    return reduce(Streak.after, reports, Streak())


def test_drifted_reports_in_a_row_are_counted(report: Report) -> None:
    assert folded([report(1), report(2), report(3)]).drifted == 3


def test_a_healthy_report_ends_the_row(report: Report) -> None:
    streak = folded([report(1), report(2, HEALTHY), report(3)])
    assert streak.drifted == 1
    assert streak.since == report(3).window_start


def test_an_unknown_report_neither_ends_nor_extends_the_row(report: Report) -> None:
    streak = folded([report(1), report(2, UNKNOWN), report(3)])
    assert streak.drifted == 2
    assert streak.since == report(1).window_start


def test_a_report_on_another_champion_begins_a_new_row(report: Report) -> None:
    assert folded([report(1), report(2), report(3, version="2")]).drifted == 1


def test_the_change_is_dated_by_the_newest_window_that_it_lies_in(report: Report) -> None:
    first, second = report(1).window_start + HOUR, report(2).window_start + 2 * HOUR
    reports = [report(1, changed_at=first), report(2, changed_at=second), report(3, changed_at=report(3).window_start)]
    assert folded(reports[:1]).since == first
    assert folded(reports[:2]).since == folded(reports).since == second


@given(st.lists(st.sampled_from(list(DriftStatus)), max_size=12), st.integers(0, 12))
def test_reports_that_come_again_change_nothing(report: Report, statuses: list[DriftStatus], cut: int) -> None:
    reports = [report(i, status) for i, status in enumerate(statuses)]
    assert folded(reports + reports[cut:]) == folded(reports)
