"""Drift reports in a row: the memory behind a diagnosis."""

from dataclasses import dataclass, replace
from datetime import datetime

from homeostat.records import DriftReport, DriftStatus


@dataclass(frozen=True, slots=True)
class Streak:
    """The newest report, and how many drifted ones of the same champion came in a row.

    ``unknown`` neither confirms a drift nor ends it: silence says nothing.
    """

    latest: DriftReport | None = None
    drifted: int = 0
    since: datetime | None = None  # when the change came, as estimated; else the start of the first drifted window

    def after(self, report: DriftReport) -> "Streak":
        """Return the streak with one more report; a repeated or older one changes nothing."""
        if self.latest is not None and report.at <= self.latest.at:
            return self
        same = self.latest is not None and report.version == self.latest.version
        known = self if same else Streak()
        if report.status is DriftStatus.UNKNOWN:
            return replace(known, latest=report)
        if report.status is DriftStatus.HEALTHY:
            return Streak(report)
        # a window that begins behind the change can't date it
        inside = report.changed_at is not None and report.changed_at > report.window_start
        since = report.changed_at if inside else known.since or report.window_start
        return Streak(report, known.drifted + 1, since)
