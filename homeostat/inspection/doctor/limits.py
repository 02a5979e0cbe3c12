"""Whether the contract's looks at drift leave limits that the shift to be seen can pass."""

from pathlib import Path

from homeostat.bootstrap import sight_of
from homeostat.contract.model import Contract
from homeostat.inspection.blindness import blind_lines, looks_too_often
from homeostat.inspection.doctor.finding import Finding, ok, warning
from homeostat.inspection.drift import told_limits, told_report
from homeostat.inspection.onlooker import Onlooker


def limits(home: Path, known: Contract) -> list[Finding]:
    """Return whether looks are so frequent that columns are blind, which the last look knows.

    A column may be blind for its calm windows' sake too; that is nothing to be mended here, `homeostat drift` says it.
    """
    if not (home / "log.db").exists():
        return [ok("limits", "no look at drift yet")]
    look = Onlooker(known, sight_of(known, home)).last_telling()
    if look is None:
        return [ok("limits", "no look at drift with rows enough yet")]
    told, by = told_report(look), told_limits(known)
    if looks_too_often(told, by):
        first, cures = blind_lines(told, by)
        return [warning("limits", first, cures)]
    return [ok("limits", f"{by['looks']:,.0f} looks in {by['per']} leave limits that fit the window of {by['window']}")]
