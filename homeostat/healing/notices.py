"""What an alert says: each cause in words, with its evidence and what to do."""

from datetime import datetime, timedelta

from homeostat.healing.incidents import incident_id, told_incident
from homeostat.healing.label_watch import StaleLabels
from homeostat.ports import Alert, Severity
from homeostat.records import Action, Case, DataIncident, DriftReport, Promotion, TrainingRun, derived_id

REMIND = timedelta(days=1)
"""How often an approval that is waited for is asked for again."""

_LAST_CALL = 0.25  # of the time there is for it, at the end


def drift_began(product: str, report: DriftReport) -> Alert:
    """Return the alert on the first drifted report of a row."""
    return Alert(
        alert_id=derived_id(product, "drift_began", report.report_id),
        at=report.at,
        product=product,
        kind="drift_began",
        severity="warning",
        what=f"drift in {report.rows:,} rows until {_day(report.window_end)}: {'; '.join(report.reasons)}",
        evidence={"report_id": report.report_id, "version": report.version or ""},
        todo=f"nothing yet: a case is opened if it lasts; `homeostat drift --product {product}` shows every column",
    )


def drift_ended(product: str, report: DriftReport, *, drifted: int, version: str | None) -> Alert:
    """Return the alert on the report that ends a row of drifted ones.

    Args:
        product: Whose it is.
        report: The first that does not say drift of the same champion.
        drifted: How many reports in a row had said so.
        version: The champion they were about.
    """
    why = f"no drift in {report.rows:,} rows until {_day(report.window_end)}"
    if report.version != version:
        why = f"version {report.version} serves now in place of {version}"
    return Alert(
        alert_id=derived_id(product, "drift_ended", report.report_id),
        at=report.at,
        product=product,
        kind="drift_ended",
        severity="info",
        what=f"the drift is over after {drifted} report{'s' if drifted > 1 else ''}: {why}",
        evidence={"report_id": report.report_id, "version": report.version or ""},
        todo="nothing",
    )


def data_incident(product: str, report: DriftReport, incident: DataIncident) -> Alert:
    """Return the alert on a fault in the newest rows."""
    return Alert(
        alert_id=incident_id(product, incident),
        at=report.at,
        product=product,
        kind="data_incident",
        severity="critical",
        what=told_incident(incident),
        evidence={"report_id": report.report_id, "fault": incident.kind, "columns": ", ".join(incident.columns)},
        todo="mend who sends these columns; nothing is learnt from the rows meanwhile, and no case is opened for them",
    )


def data_incident_ended(product: str, report: DriftReport, incident: DataIncident) -> Alert:
    """Return the alert on a fault that the newest rows don't have any more."""
    return Alert(
        alert_id=incident_id(product, incident, "ended"),
        at=report.at,
        product=product,
        kind="data_incident_ended",
        severity="info",
        what=f"over by {_day(incident.until)}: {told_incident(incident)}",
        evidence={"report_id": report.report_id, "fault": incident.kind, "columns": ", ".join(incident.columns)},
        todo="nothing: the broken rows stay left out",
    )


def training_failed(product: str, run: TrainingRun) -> Alert:
    """Return the alert on a training that failed; one that found nothing better did not."""
    return Alert(
        alert_id=derived_id(product, "training_failed", run.run_id),
        at=run.finished_at,
        product=product,
        kind="training_failed",
        severity="warning",
        what=run.reason,
        evidence={"run_id": run.run_id, "request_id": run.request_id},
        todo=f"mend the cause, then `homeostat retrain --product {product}`; the champion goes on serving",
    )


_SAID: dict[Action, tuple[str, Severity, str, str]] = {
    Action.START: ("canary_started", "info", "version {v} answers its share of the traffic", "nothing"),
    Action.STEP: ("canary_step", "info", "version {v} answers a greater share of the traffic", "nothing"),
    Action.PROMOTE: (
        "promoted",
        "info",
        "version {v} is the champion",
        "nothing; `homeostat rollback --product {p}` gives the traffic back to the one before",
    ),
    Action.REJECT: ("rejected", "info", "version {v} was rejected, version {c} goes on serving", "nothing"),
    Action.ROLLBACK: (
        "rolled_back",
        "critical",
        "version {v} was rolled back, version {c} serves again",
        "look at what version {v} was trained on: `homeostat log --product {p}`",
    ),
}


def canary(product: str, promotion: Promotion) -> Alert | None:
    """Return the alert on a canary's start, step or end; a case that brought no version has none."""
    if promotion.version is None:
        return None
    kind, severity, what, todo = _SAID[promotion.action]
    names = {"v": promotion.version, "c": promotion.champion or "none", "p": product}
    return Alert(
        alert_id=derived_id(product, kind, promotion.promotion_id),
        at=promotion.at,
        product=product,
        kind=kind,
        severity=severity,
        what=f"{what.format(**names)}: {promotion.reason}",
        evidence={
            "promotion_id": promotion.promotion_id,
            "request_id": promotion.request_id,
            "version": promotion.version,
        },
        todo=todo.format(**names),
    )


def is_last_call(case: Case, due: datetime | None, now: datetime) -> bool:
    """Return whether most of the time for an approval is over."""
    return due is not None and case.waiting_since is not None and now >= due - _LAST_CALL * (due - case.waiting_since)


def approval_wanted(product: str, case: Case, due: datetime | None, now: datetime) -> Alert:
    """Return the alert on a challenger that waits for an operator; each day of it makes one, and so does its last call.

    Args:
        product: The product.
        case: It waits.
        due: When it is rejected if nobody has decided, None for never.
        now: When this is said.
    """
    since = case.waiting_since or case.since or now
    days, last = max(0, (now - since) // REMIND), is_last_call(case, due, now)
    cause = f"{days}, last call" if last else str(days)
    until = f"; rejected at {_day(due)} UTC if nobody decides" if due else ""
    return Alert(
        alert_id=derived_id(product, "approval_wanted", str(case.request_id), since.isoformat(), cause),
        at=now,
        product=product,
        kind="approval_wanted",
        severity="critical" if last else "warning",
        what=f"version {case.challenger} has waited for approval since {_day(since)} UTC: {case.reason}{until}",
        evidence={"request_id": case.request_id or "", "version": case.challenger or ""},
        todo=f"`homeostat approve --product {product}` or `homeostat reject --product {product}`",
    )


def labels_stale(product: str, found: StaleLabels, now: datetime) -> Alert:
    """Return the alert on labels that stay away."""
    return Alert(
        alert_id=derived_id(product, "labels_stale", found.since.isoformat()),
        at=now,
        product=product,
        kind="labels_stale",
        severity="critical",
        what=found.what,
        evidence={"since": found.since.isoformat()},
        todo="look at who sends the labels: without them neither loss nor canary can be judged",
    )


def _day(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"
