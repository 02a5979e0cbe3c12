"""Looks for a better model when one is asked for, and registers what it finds."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from time import process_time

import polars as pl

from homeostat.codec import decode, encode
from homeostat.contract.model import Contract
from homeostat.drift.domain import domain_reference
from homeostat.drift.label_rate import label_reference
from homeostat.drift.profile import FILE as PROFILE_FILE
from homeostat.drift.profile import build_profile
from homeostat.drift.seasonal import with_season
from homeostat.errors import InvalidRecordError, ModelError, TransientError
from homeostat.ports import ModelPackage, ModelRegistry, OfflineFeatures
from homeostat.records import Record, RetrainRequest, TrainingRun, TrainingStatus, derived_id
from homeostat.training.attribution import attribution
from homeostat.training.champion import Champion, load_champion
from homeostat.training.failures import FAILURES
from homeostat.training.package import model_mib, package_of
from homeostat.training.rows import without_spans
from homeostat.training.search import SearchResult, search

_TOPIC = "training_runs"
REPORT_FILE = "drift_report.json"
_TAG_CHARACTERS = 1000  # registries cut or refuse long tags
_KEPT_NOTES = 100  # a request comes again in the batch it came in, or next to it


class TrainStep:
    """Answers each retrain request with one training run, whatever becomes of it.

    A failure travels like any other result, otherwise its case would never close. A run is noted in the
    work folder after its model is registered: a request that comes again is answered from the note, one
    that was killed half-way finds its study there and goes on. The newest hundred notes are kept.
    """

    def __init__(
        self,
        contract: Contract,
        registry: ModelRegistry,
        offline: OfflineFeatures,
        workdir: Path,
    ) -> None:
        """Take where models and rows are, and the folder for studies and notes."""
        self._contract = contract
        self._registry = registry
        self._offline = offline
        self._workdir = workdir

    def handle(self, records: Sequence[Record], now: datetime) -> list[Record]:
        """Train once for each request, in order.

        Raises:
            TransientError: The registry or the store can't be reached now.
        """
        return [self._answer(record, now) for record in records if isinstance(record, RetrainRequest)]

    def restore(self, records: Sequence[Record], now: datetime) -> None:
        """Need no memory: what was trained is in the registry."""

    def tick(self, now: datetime) -> list[Record]:  # noqa: ARG002 - the worker's shape
        """Have nothing to do as time passes."""
        return []

    def _answer(self, request: RetrainRequest, now: datetime) -> TrainingRun:
        noted = self._noted(request)
        if noted is not None:
            return noted
        started = process_time()
        try:
            run = self._trained(request, now)
        except TransientError:
            raise
        except FAILURES as error:
            reason = f"training failed: {type(error).__name__}: {error}"
            run = _run(request, now, TrainingStatus.FAILED, reason)
        run = replace(run, cpu_s=process_time() - started)
        self._note(run)
        return run

    def _trained(self, request: RetrainRequest, now: datetime) -> TrainingRun:
        frame = self._frame(request)
        champion, problem = self._champion(request.champion)
        result = search(
            self._contract,
            frame,
            champion,
            seed=request.seed,
            study_path=self._file(request, "study"),
            drift_since=request.drift_since,
        )
        receipt = {**result.receipt, "report_id": request.report_id, "request_reason": request.reason}
        receipt |= {"champion_problem": problem} if problem else {}
        if request.broken:
            receipt["left_out"] = [[span.since.isoformat(), span.until.isoformat()] for span in request.broken]
        if result.made is None:
            return _run(request, now, TrainingStatus.NOTHING_BETTER, result.reason, receipt)
        limit, size = self._contract.objective.constraints.max_model_mib, model_mib(result.made)
        if size > limit:
            reason = f"constraint max_model_mib: the model takes {size:.2f} MiB, {limit:g} is allowed"
            return _run(request, now, TrainingStatus.NOTHING_BETTER, reason, receipt)
        package = self._package(result, frame, receipt, request)
        version = self._registry.register(package, request.request_id)
        run = _run(request, now, TrainingStatus.CANDIDATE, result.reason, receipt)
        return replace(run, version=version)

    def _frame(self, request: RetrainRequest) -> pl.DataFrame:
        """Return the rows whose labels were mature when the request was made, without those that a fault has broken.

        A run repeated after a crash sees the same rows, so it may go on with its study and comes out the same.
        """
        until = request.requested_at - self._contract.label.maturity
        frame = self._offline.training_frame(request.requested_at)
        mature = frame.filter(pl.col("event_time") <= until, pl.col("label").is_not_null())
        return without_spans(mature, request.broken)

    def _champion(self, version: str | None) -> tuple[Champion | None, str | None]:
        """Return the champion, or why it can't be read: a broken one must not keep a better one away."""
        if version is None:
            return None, None
        try:
            return load_champion(self._registry.load(version), version), None
        except ModelError as error:
            return None, str(error)

    def _package(
        self, result: SearchResult, frame: pl.DataFrame, receipt: dict[str, object], request: RetrainRequest
    ) -> ModelPackage:
        if result.made is None or result.winner is None or result.trained_until is None:
            raise ModelError("a search without a winner has nothing to package")
        contract = self._contract
        metric = contract.objective.metric
        package = package_of(
            result.made,
            result.winner,
            receipt,
            metric=metric,
            trained_until=result.trained_until,
            seed=result.model_seed,
        )
        scores = result.made.model.score(frame)
        profile = build_profile(
            frame,
            contract.feature_names,
            contract.categorical,
            scores,
            result.made.weights,
            expected_loss=result.winner.loss,
            seed=request.seed,
            window=contract.drift.window,
        )
        if contract.drift.domain_classifier:
            features, weights, window = profile.columns[:-1], result.made.weights, contract.drift.window
            profile = replace(profile, domain=domain_reference(features, frame, weights, window, request.seed))
        if contract.drift.season is not None:
            profile = with_season(profile, frame, scores, result.made.weights, contract.drift)
        worth = attribution(result.made.model, contract.feature_names, frame, metric, request.seed)
        labels = label_reference(frame, result.made.weights, contract.drift.window)
        profile = replace(profile, expected_loss_se=result.expected_loss_se, attribution=worth, labels=labels)
        tags = {"homeostat.report_id": request.report_id or "", "homeostat.reason": request.reason[:_TAG_CHARACTERS]}
        files = {**package.files, PROFILE_FILE: profile.to_bytes()}
        if request.report is not None:
            files[REPORT_FILE] = encode(request.report)[0]
        return replace(package, files=files, tags=tags)

    def _noted(self, request: RetrainRequest) -> TrainingRun | None:
        path = self._file(request, "run")
        if not path.exists():
            return None
        try:
            record = decode(_TOPIC, path.read_bytes(), {"schema": f"{_TOPIC}.v1"})
        except InvalidRecordError:  # half a note from another release: train again
            return None
        return record if isinstance(record, TrainingRun) else None

    def _note(self, run: TrainingRun) -> None:
        """Write the run beside its final place and move it there: a crash leaves no half a note."""
        self._workdir.mkdir(parents=True, exist_ok=True)
        path = self._file(run, "run")
        draft = path.with_suffix(".draft")
        draft.write_bytes(encode(run)[0])
        draft.replace(path)
        self._file(run, "study").unlink(missing_ok=True)
        notes = sorted(self._workdir.glob("*.run"), key=lambda note: note.stat().st_mtime_ns, reverse=True)
        for old in notes[_KEPT_NOTES:]:
            old.unlink()

    def _file(self, cause: RetrainRequest | TrainingRun, suffix: str) -> Path:
        return self._workdir / f"{derived_id('training', cause.request_id)}.{suffix}"


def _run(
    request: RetrainRequest,
    now: datetime,
    status: TrainingStatus,
    reason: str,
    receipt: dict[str, object] | None = None,
) -> TrainingRun:
    return TrainingRun(
        run_id=derived_id("run", request.request_id),
        request_id=request.request_id,
        status=status,
        version=None,
        reason=reason,
        cpu_s=0.0,
        finished_at=now,
        receipt=receipt or {},
    )
