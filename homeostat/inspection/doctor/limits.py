"""Whether the contract's looks at drift leave limits that the shift to be seen can pass."""

from pathlib import Path

from homeostat.bootstrap import past_of
from homeostat.contract.model import Contract
from homeostat.inspection.blindness import blind_lines, looks_too_often
from homeostat.inspection.doctor.finding import Finding, ok, warning
from homeostat.inspection.drift import told_limits, told_report
from homeostat.records import DriftReport, DriftStatus
from homeostat.tail import Tail

_LOOKS_BACK = 200  # searched for one that says something


def limits(home: Path, known: Contract) -> list[Finding]:
    """Return whether looks are so frequent that columns are blind, which the last look knows.

    A column may be blind for its calm windows' sake too; that is nothing to be mended here, `homeostat drift` says it.
    """
    if not (home / "log.db").exists():
        return [ok("limits", "no look at drift yet")]
    records = Tail(past_of(known, home), known.product).newest("drift_reports", _LOOKS_BACK)
    looks = [look for look in records if isinstance(look, DriftReport) and look.status is not DriftStatus.UNKNOWN]
    if not looks:
        return [ok("limits", "no look at drift with rows enough yet")]
    told, by = told_report(looks[-1]), told_limits(known)
    if looks_too_often(told, by):
        first, cures = blind_lines(told, by)
        return [warning("limits", first, cures)]
    return [ok("limits", f"{by['looks']:,.0f} looks in {by['per']} leave limits that fit the window of {by['window']}")]
