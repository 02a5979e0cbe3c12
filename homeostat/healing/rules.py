"""When a healing case is opened, and why not: one rule after the other, each with its reason."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import ceil

from homeostat.contract.durations import written
from homeostat.contract.model import Contract
from homeostat.healing.closing import back_off
from homeostat.healing.incidents import told_incident
from homeostat.healing.streak import Streak
from homeostat.records import Case, CaseState, DriftReport, DriftStatus

_LATEST_SHARE = 0.4  # of a window's labelled rows


class Kind(StrEnum):
    """What a decision amounts to; all but OPEN leave things as they are."""

    OPEN = "open"
    CASE_OPEN = "case_open"
    COOLDOWN = "cooldown"
    BUDGET = "budget"
    NO_REPORT = "no_report"
    COLD = "cold"  # no champion yet, and too short a history for one
    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    DATA_INCIDENT = "data_incident"
    UNCONFIRMED = "unconfirmed"
    FEW_ROWS = "few_rows"


@dataclass(frozen=True, slots=True)
class Decision:
    """What the healer decided, in words."""

    kind: Kind
    reason: str
    report: DriftReport | None = None
    drift_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything a decision rests on."""

    case: Case
    champion: str | None
    streak: Streak  # reports since the last case closed
    history_since: datetime | None  # when the stream was first watched, None before any report
    now: datetime


@dataclass(frozen=True, slots=True)
class RowsNeeded:
    """How many labelled rows behind a change a training waits for, and where the number comes from."""

    rows: int
    why: str


def decide(contract: Contract, seen: Situation) -> Decision:
    """Return whether to open a healing case now; the first rule that applies gives the reason."""
    return (
        _hold_for_case(contract, seen)
        or _hold_for_incident(seen)
        or (_cold_start(contract, seen) if seen.champion is None else _drift(contract, seen, seen.champion))
        or hold_for_budget(contract, seen.case, seen.now)
        or _open(contract, seen)
    )


def labelled_rows(report: DriftReport) -> int:
    """Return the mature rows with a label that a report knows of: behind the change, where it dates one."""
    if report.labelled_since is not None:
        return report.labelled_since
    return report.performance.rows if report.performance else 0


def rows_needed(contract: Contract, report: DriftReport) -> RowsNeeded:
    """Return the labelled rows behind a change that a training has to wait for.

    What the contract says holds. Else it is what the forward tests of a training take: until they reach back to the
    change, most of them hold candidates that learnt the old world against a champion of the old world, and doing
    nothing wins whatever the damage. On streams of a known truth that lost 0.1 nats a row the first training to win
    had 700 to 1,400 rows with three blocks of 350, up to 2,000 with 700, 2,800 with 1,400. What it takes to estimate a
    model, parameters / (2 * damage) (Akaike (1974), doi:10.1109/TAC.1974.1100705), is some 100 rows for twenty
    parameters there: that a model can be learnt comes long before that it can be proven.

    A change that comes slowly is dated somewhere within the window and may never have much more than half of its
    rows behind it: two fifths have to do. A number for all streams is out of reach of a slow one, and minutes of a
    fast one.
    """
    if (rows := contract.healing.min_rows_after_drift) is not None:
        return RowsNeeded(rows, "healing.min_rows_after_drift")
    labelled = max(report.performance.rows if report.performance else 0, contract.drift.min_rows)
    tested = contract.training.blocks * contract.training.block / contract.drift.window
    if tested < _LATEST_SHARE:
        blocks = f"{contract.training.blocks} blocks of {written(contract.training.block)} that a training is tested on"
        return RowsNeeded(ceil(tested * labelled), f"as many as come in the {blocks}")
    return RowsNeeded(ceil(_LATEST_SHARE * labelled), f"{_LATEST_SHARE:.0%} of the window's {labelled}")


def _hold_for_case(contract: Contract, seen: Situation) -> Decision | None:
    case = seen.case
    if case.state is CaseState.STABLE:
        return None
    if case.state is CaseState.COOLDOWN:
        until = f"{case.cooldown_until:%Y-%m-%d %H:%M}" if case.cooldown_until else "the next tick"
        times = back_off(contract.healing, case.fruitless)
        longer = (
            f" ({times:g} times the cooldown: {case.fruitless} cases in a row brought nothing better than "
            f"version {case.fruitless_against})"
            if times > 1
            else ""
        )
        return Decision(Kind.COOLDOWN, f"the last case closed; nothing new before {until}{longer}")
    return Decision(Kind.CASE_OPEN, f"case {case.request_id} is open: {case.state}")


def _cold_start(contract: Contract, seen: Situation) -> Decision | None:
    wanted = contract.training.cold_start_after
    if seen.history_since is None:
        return Decision(Kind.NO_REPORT, "no champion, and no drift report yet")
    labelled = seen.now - contract.label.maturity - seen.history_since  # younger rows have no mature label
    if labelled < wanted:
        since = f"{seen.history_since:%Y-%m-%d %H:%M}"
        return Decision(Kind.COLD, f"no champion; waiting for {written(wanted)} of labelled history since {since}")
    return None


def _hold_for_incident(seen: Situation) -> Decision | None:
    """Return the decision to wait while the newest rows are broken: whatever moved, it is no drift."""
    broken = [incident for incident in (seen.streak.latest.incidents if seen.streak.latest else ()) if incident.active]
    if not broken:
        return None
    return Decision(Kind.DATA_INCIDENT, f"the newest rows are broken: {told_incident(broken[0])}")


def _drift(contract: Contract, seen: Situation, champion: str) -> Decision | None:
    report, policy = seen.streak.latest, contract.healing
    if report is None or report.version != champion:
        return Decision(Kind.NO_REPORT, f"no window of champion {champion} is full enough for a drift report yet")
    if report.status is DriftStatus.UNKNOWN:
        return Decision(Kind.UNKNOWN, f"the last window says nothing: {_why(report)}")
    if report.status is DriftStatus.HEALTHY:
        return Decision(Kind.HEALTHY, f"no drift in {report.rows} rows")
    if seen.streak.drifted < policy.confirm:
        return Decision(Kind.UNCONFIRMED, f"drift in {seen.streak.drifted} of {policy.confirm} reports: {_why(report)}")
    rows, needed = labelled_rows(report), rows_needed(contract, report)
    if rows < needed.rows:
        reason = f"drift, but {rows} of {needed.rows} labelled rows to learn from ({needed.why}): {_why(report)}"
        return Decision(Kind.FEW_ROWS, reason)
    return None


def hold_for_budget(contract: Contract, case: Case, now: datetime) -> Decision | None:
    """Return the decision to leave things alone when the trainings that the budget allows are spent."""
    budget = contract.budget
    recent = sum(time > now - budget.per for time in case.trained_at)
    if recent < budget.max_trainings:
        return None
    return Decision(Kind.BUDGET, f"{recent} trainings within {written(budget.per)}, all that the budget allows")


def _open(contract: Contract, seen: Situation) -> Decision:
    report = seen.streak.latest
    if seen.champion is None or report is None:
        return Decision(
            Kind.OPEN, f"no champion, and {written(contract.training.cold_start_after)} of labelled history"
        )
    reason = f"drift in {seen.streak.drifted} reports in a row: {_why(report)}"
    return Decision(Kind.OPEN, reason, report, seen.streak.since)


def _why(report: DriftReport) -> str:
    return "; ".join(report.reasons) or f"{report.rows} rows"
