"""detect: holds live rows against the champion's training profile, and mature labels against its promise."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from homeostat import metric_names
from homeostat.contract.losses import row_losses
from homeostat.contract.model import Contract
from homeostat.drift.budget import policy_in_force
from homeostat.drift.counts import Counter, WindowCounts
from homeostat.drift.diagnosis import FaultKind
from homeostat.drift.domain import ROWS, DomainTest, domain_test
from homeostat.drift.norms import SCALES
from homeostat.drift.performance import LossBlock
from homeostat.drift.profile import Profile, stored_profile
from homeostat.drift.quarantine import Quarantine, broken_spans
from homeostat.drift.report import Judgement, judge_window, unknown
from homeostat.drift.samples import Sample, thinned
from homeostat.drift.window import MovingWindow
from homeostat.errors import ModelError
from homeostat.ports import ModelRegistry, Telemetry
from homeostat.records import Arm, DataIncident, DriftReport, DriftStatus, Outcome, Prediction, Record, Span, derived_id

_BUCKETS = max(SCALES)  # of counts in a window: its start moves in steps of 1 %, in bounded memory
_LOSS_BLOCKS = 7  # at least, in a window: the degrees of freedom of the loss test come from them
_LONGEST_BLOCK = timedelta(days=1)  # rows of one day share weather, strikes and campaigns


@dataclass(frozen=True, slots=True)
class _Live:
    """The rows of one stretch of time: counted, and a few of them kept."""

    counts: WindowCounts
    sample: Sample


class _Watch:
    """One champion under watch: its reference and what has been seen since it serves."""

    def __init__(self, version: str, profile: Profile, contract: Contract) -> None:
        policy = contract.drift
        self.version = version
        self.counter = Counter(profile)
        self.metric = contract.objective.metric
        self._window = policy.window
        self._bucket = policy.window / _BUCKETS
        self._block = min(_LONGEST_BLOCK, policy.window / _LOSS_BLOCKS)
        self.restart_inputs()
        self.restart_losses()

    def restart_inputs(self) -> None:
        """Forget the live rows."""
        self.quarantine = Quarantine(self.counter.profile, self._window)
        self.inputs = MovingWindow(
            self._bucket, lambda: _Live(WindowCounts(self.counter), Sample(self.quarantine.coder))
        )

    def restart_losses(self) -> None:
        """Forget the mature rows."""
        self.losses = MovingWindow(self._block, LossBlock)

    def count(self, rows: Sequence[Prediction]) -> None:
        """Count live rows, each event once."""
        for live, new in self.inputs.admit((row.event_id, row.event_time) for row in rows):
            values, times = [rows[i].values for i in new], [rows[i].event_time.timestamp() for i in new]
            live.counts.add(values, [rows[i].scores[self.version] for i in new])
            live.sample.add([rows[i].event_id for i in new], values, times)

    def mature(self, rows: Sequence[Outcome]) -> None:
        """Add up the losses of mature rows, each event once."""
        for block, new in self.losses.admit((row.event_id, row.event_time) for row in rows):
            pairs = [(rows[i].scores[self.version], label) for i in new if (label := rows[i].label) is not None]
            scores, labels = np.asarray(pairs, dtype=np.float64).reshape(-1, 2).T
            block.add(row_losses(self.metric, labels, scores), scores, labels)
            block.outcomes += len(new) - len(pairs)

    def total(self, broken: Sequence[Span]) -> WindowCounts:
        """Return the counts of the whole window without the broken spans."""
        total = WindowCounts(self.counter)
        for live in self.inputs.sums(broken):
            total.merge(live.counts)
        return total

    def told_apart(self, broken: Sequence[Span]) -> DomainTest | None:
        """Return how well a classifier tells the window's rows from the reference's; None where it has none."""
        reference, kept = self.counter.profile.domain, self.inputs.sums(broken)
        if reference is None or not kept:
            return None
        return domain_test(
            reference, self.quarantine.coder, thinned([live.sample for live in kept], ROWS), self._window
        )


class DetectStep:
    """Folds predictions and outcomes into a moving window under the champion's profile; each tick reports on it.

    A new champion starts with an empty window, so its first reports say `unknown` until enough rows came.
    """

    def __init__(self, contract: Contract, registry: ModelRegistry, telemetry: Telemetry) -> None:
        """Watch the champion that ``registry`` names."""
        self._contract = contract
        self._policy = policy_in_force(contract)
        self._registry = registry
        self._telemetry = telemetry
        self._watch: _Watch | None = None
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
            samples = [live.sample for live in self._watch.inputs.sums()]
            incidents = self._watch.quarantine.look(samples, now, maturity)
            broken = broken_spans(incidents)
            self._watch.inputs.forget(oldest)
            self._watch.losses.forget(oldest - maturity)
            judgement = self._judged(self._watch, broken)
            span = self._watch.inputs.span()
        report = self._report(judgement, span or (now - self._contract.drift.window, now), now)
        report = replace(report, incidents=incidents)
        self._measure(report)
        return [report]

    def _judged(self, watch: _Watch, broken: Sequence[Span]) -> Judgement:
        counts, losses, metric = watch.total(broken), watch.losses.sums(broken), self._contract.objective.metric
        asked = self._policy.domain_classifier and counts.rows >= self._policy.min_rows
        return judge_window(counts, losses, self._policy, metric, watch.told_apart(broken) if asked else None)

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
        self._watch = _Watch(champion, profile, self._contract)

    def _report(self, judgement: Judgement, span: tuple[datetime, datetime], now: datetime) -> DriftReport:
        version = self._watch.version if self._watch else None
        return DriftReport(
            report_id=derived_id(self._contract.product, "drift", now.isoformat(), version or ""),
            at=now,
            window_start=span[0],
            window_end=span[1],
            rows=judgement.rows,
            status=judgement.status,
            version=version,
            features=judgement.features,
            prediction=judgement.prediction,
            embedding=judgement.embedding,
            performance=judgement.performance,
            reasons=judgement.reasons,
            estimate=judgement.estimate,
            domain=judgement.domain,
        )

    def _measure(self, report: DriftReport) -> None:
        product, telemetry = self._contract.product, self._telemetry
        telemetry.count(metric_names.DRIFT_REPORTS, product=product, status=report.status.value)
        for score in (*report.features, report.prediction, report.embedding):
            if score is not None:
                telemetry.gauge(metric_names.DRIFT_PSI, score.psi, product=product, feature=score.name)
            if score is not None and score.ks is not None:
                telemetry.gauge(metric_names.DRIFT_KS, score.ks, product=product, feature=score.name)
        if report.status is not DriftStatus.UNKNOWN:
            share = sum(score.drifted for score in report.features) / len(report.features)
            telemetry.gauge(metric_names.DRIFTED_FEATURES, share, product=product)
        if report.performance is not None and report.version is not None:
            telemetry.gauge(metric_names.MODEL_LOSS, report.performance.loss, product=product, version=report.version)
        for kind in FaultKind:
            active = any(incident.active and incident.kind == kind for incident in report.incidents)
            telemetry.gauge(metric_names.DATA_INCIDENT, float(active), product=product, kind=kind.value)
        blocks = self._watch.losses.sums() if self._watch else []
        if outcomes := sum(block.outcomes for block in blocks):
            ratio = sum(block.rows for block in blocks) / outcomes
            telemetry.gauge(metric_names.LABEL_MATURITY, ratio, product=product)


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
