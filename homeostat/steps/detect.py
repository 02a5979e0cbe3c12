"""detect: holds live rows against the champion's training profile, and mature labels against its promise."""

from collections.abc import Sequence
from datetime import datetime

from homeostat import metric_names
from homeostat.contract.model import Contract
from homeostat.drift.faults import FaultKind
from homeostat.drift.profile import stored_profile
from homeostat.drift.quarantine import broken_spans
from homeostat.drift.report import report_of, unknown
from homeostat.drift.watch import Watch
from homeostat.errors import ModelError
from homeostat.ports import ModelRegistry, Telemetry
from homeostat.records import (
    Arm,
    DataIncident,
    DriftReport,
    DriftScore,
    DriftStatus,
    Outcome,
    Prediction,
    Record,
    Span,
    derived_id,
)


class DetectStep:
    """Folds predictions and outcomes into a moving window under the champion's profile; each tick reports on it.

    A new champion starts with an empty window, so its first reports say `unknown` until enough rows came.
    """

    def __init__(self, contract: Contract, registry: ModelRegistry, telemetry: Telemetry) -> None:
        """Watch the champion that ``registry`` names."""
        self._contract = contract
        self._registry = registry
        self._telemetry = telemetry
        self._watch: Watch | None = None
        self._blind = "no champion yet"  # why there is no watch
        for status in DriftStatus:  # a counter that springs up at 1 has no rate: the first drift would raise no alert
            telemetry.count(metric_names.DRIFT_REPORTS, 0, product=contract.product, status=status.value)

    def handle(self, records: Sequence[Record], now: datetime) -> list[Record]:
        """Fold the records in; reports are made by ``tick`` alone."""
        self.restore(records, now)
        return []

    def restore(self, records: Sequence[Record], now: datetime) -> None:  # noqa: ARG002 (every step has this shape)
        """Fold records that were handled before a restart."""
        predictions = [record for record in records if isinstance(record, Prediction)]
        outcomes = [record for record in records if isinstance(record, Outcome)]
        if self._is_news(predictions, outcomes):
            self._follow_champion()
        if self._watch is None:
            return
        version = self._watch.version
        start = _restart_after(predictions, version)
        if start:
            self._watch.restart_inputs()
        self._watch.count([row for row in predictions[start:] if counts_for(row, version)])
        start = _restart_after(outcomes, version)
        if start:
            self._watch.restart_losses()
        self._watch.mature([row for row in outcomes[start:] if counts_for(row, version)])

    def tick(self, now: datetime) -> list[Record]:
        """Return one report on the window that ends now."""
        self._follow_champion()
        judgement, span = unknown(self._blind), None
        incidents: tuple[DataIncident, ...] = ()
        if self._watch is not None:
            oldest = now - self._contract.drift.window
            maturity = self._contract.label.maturity
            incidents = self._watch.incidents(now, maturity)
            broken = broken_spans(incidents)
            self._watch.inputs.forget(oldest)
            self._watch.losses.forget(oldest - maturity)
            judgement = self._watch.judgement(broken)
            span = self._watch.inputs.span()
        version = self._watch.version if self._watch else None
        report = report_of(
            judgement,
            derived_id(self._contract.product, "drift", now.isoformat(), version or ""),
            at=now,
            span=Span(*(span or (now - self._contract.drift.window, now))),
            version=version,
            incidents=incidents,
        )
        self._measure(report)
        return [report]

    def _is_news(self, predictions: Sequence[Prediction], outcomes: Sequence[Outcome]) -> bool:
        """Return whether the rows name a champion other than the one under watch."""
        if self._watch is None:
            return any(row.version for row in predictions) or any(row.version for row in outcomes)
        return any(_of_another_champion(row, self._watch.version) for row in predictions)

    def _follow_champion(self) -> None:
        champion = self._registry.aliases().champion
        if self._watch is not None and self._watch.version == champion:
            return
        self._watch, self._blind = None, "no champion yet"
        if champion is None:
            return
        try:
            profile = stored_profile(self._registry.load(champion).files, self._contract.feature_names)
        except ModelError as error:
            self._blind = f"version {champion} can't be watched: {error}"
            return
        self._watch = Watch(champion, profile, self._contract)

    def _measure(self, report: DriftReport) -> None:
        product, telemetry = self._contract.product, self._telemetry
        telemetry.count(metric_names.DRIFT_REPORTS, product=product, status=report.status.value)
        for score in (*report.features, report.prediction, report.embedding):
            if score is not None:
                self._measure_score(score)
        if report.status is not DriftStatus.UNKNOWN:
            share = sum(score.drifted for score in report.features) / len(report.features)
            telemetry.gauge(metric_names.DRIFTED_FEATURES, share, product=product)
        for kind in FaultKind:
            active = any(incident.active and incident.kind == kind for incident in report.incidents)
            telemetry.gauge(metric_names.DATA_INCIDENT, float(active), product=product, kind=kind.value)
        self._measure_labels(report)

    def _measure_labels(self, report: DriftReport) -> None:
        product, telemetry = self._contract.product, self._telemetry
        if report.performance is not None and report.version is not None:
            telemetry.gauge(metric_names.MODEL_LOSS, report.performance.loss, product=product, version=report.version)
        if (labels := report.label_rate) is not None:
            telemetry.gauge(metric_names.LABEL_RATE, labels.rate, product=product, of="window")
            telemetry.gauge(metric_names.LABEL_RATE, labels.training_rate, product=product, of="training")
        blocks = self._watch.losses.sums() if self._watch else []
        if outcomes := sum(block.outcomes for block in blocks):
            ratio = sum(block.rows for block in blocks) / outcomes
            telemetry.gauge(metric_names.LABEL_MATURITY, ratio, product=product)

    def _measure_score(self, score: DriftScore) -> None:
        indices = {
            metric_names.DRIFT_PSI: score.psi,
            metric_names.DRIFT_KS: score.ks,
            metric_names.DRIFT_DISTANCE: score.embedding,
        }
        for metric, value in indices.items():
            if value is not None:
                self._telemetry.gauge(metric, value, product=self._contract.product, feature=score.name)


def counts_for(row: Prediction | Outcome, champion: str) -> bool:
    """Return whether the row was predicted while ``champion`` was the champion.

    A row of the canary arm names the challenger; the champion scored it too.
    """
    if champion not in row.scores:
        return False
    return row.version == champion if row.arm is Arm.CHAMPION else row.version != champion


def _of_another_champion(row: Prediction | Outcome, champion: str) -> bool:
    """Return whether the row was served by another champion in its own right, not in place of a failed model."""
    if isinstance(row, Prediction) and row.fallback is not None:
        return False
    return row.arm is Arm.CHAMPION and row.version != champion


def _restart_after(rows: Sequence[Prediction] | Sequence[Outcome], champion: str) -> int:
    """Return the position behind the last row that another champion served, 0 if there is none.

    It makes the window a fold over the rows alone: a restarted process ends with the same one.
    """
    others = (i for i in range(len(rows) - 1, -1, -1) if _of_another_champion(rows[i], champion))
    return next(others, -1) + 1
