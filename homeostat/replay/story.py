"""Turns what a replay left behind into the content of its report."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from homeostat.contract.model import Contract
from homeostat.records import Action, DriftStatus, Promotion, RetrainRequest, TrainingRun
from homeostat.replay.driver import Played, ReplayOptions, ratio
from homeostat.replay.evaluation import Interval, by_week, paired_difference, quality
from homeostat.replay.memory import peak_rss_mib
from homeostat.replay.report_data import DriftMap, Kind, Moment, Receipt, ReportData
from homeostat.tail import Decision, Tail, count, words

_KINDS: dict[Action, Kind] = {
    Action.START: "canary",
    Action.STEP: "canary",
    Action.PROMOTE: "promotion",
    Action.REJECT: "rejection",
    Action.ROLLBACK: "rollback",
}


@dataclass(frozen=True, slots=True)
class Scored:
    """Every mature row that all three were asked about, in event-time order; arrays of shape (n,)."""

    times: np.ndarray  # int64, microseconds since 1970
    labels: np.ndarray
    scores: dict[str, np.ndarray]


def tell(contract: Contract, played: Played, options: ReplayOptions, mlflow_command: str) -> ReportData:
    """Return the content of the report of a finished replay.

    Raises:
        ValueError: No row was ever scored: the stream ended before there was a champion.
    """
    scored = score(played)
    return ReportData(
        title=contract.description or contract.product,
        summary=summarise(played, options, scored),
        weeks=by_week(scored.times, scored.labels, scored.scores),
        drift=drift_map(played.tail),
        timeline=[moment(record) for record in played.tail.story],
        receipts=receipts(played),
        mlflow_command=mlflow_command,
    )


def score(played: Played) -> Scored:
    """Return the rows served by the loop with the scores of the baselines beside them."""
    served = {o.event_id: o.score for o in played.tail.outcomes() if o.score is not None and o.label is not None}
    if not served:
        raise ValueError("no row was scored: the stream ended before there was a first champion")
    frame = played.stack.offline.training_frame(played.ended_at)
    healed = pl.DataFrame({"event_id": list(served), "healed": list(served.values())})
    frame = frame.join(healed, on="event_id", how="inner").sort("event_time", "event_id")
    frozen, monthly = played.baselines.scores(frame)
    return Scored(
        times=frame["event_time"].dt.epoch("us").to_numpy(),
        labels=frame["label"].to_numpy(),
        scores={"healed": frame["healed"].to_numpy(), "frozen": frozen, "monthly": monthly},
    )


def summarise(played: Played, options: ReplayOptions, scored: Scored) -> dict[str, Any]:
    """Return the content of report.json."""
    story = played.tail.story
    # the first champion is everybody's: only what came after it counts as retraining
    retrains = {"healed": sum(isinstance(r, RetrainRequest) for r in story) - 1, "frozen": 0}
    retrains["monthly"] = played.baselines.refits
    models = {
        name: {**asdict(quality(scored.labels, values)), "retrains": retrains[name]}
        for name, values in scored.scores.items()
    }
    pairs = {
        f"healed_minus_{other}": _interval(
            paired_difference(scored.times, scored.labels, scored.scores["healed"], scored.scores[other])
        )
        for other in ("frozen", "monthly")
    }
    statuses = Counter(report.status for report in played.tail.reports)
    return {
        "rows": played.rows,
        "scored_rows": len(scored.labels),
        "wall_s": round(played.wall_s, 2),
        "peak_rss_mib": round(peak_rss_mib() + played.ingestor_rss_mib, 1),
        "seed": options.seed,
        **models,
        **pairs,
        "retrains": retrains["healed"],
        "promotions": count(story, Action.PROMOTE),
        "rejections": count(story, Action.REJECT),
        "rollbacks": count(story, Action.ROLLBACK),
        "windows": {status.value: statuses[status] for status in DriftStatus},
        "quarantined_rows": played.tail.quarantined(),
        "ledger_entries": played.stack.ledger.verify(),
        "stage_s": stages(played),
        "cost_usd_per_1k_predictions": sum(played.loop.cost().values()),
        "cost_usd_per_1k_by_part": played.loop.cost(),
    }


def stages(played: Played) -> dict[str, float]:
    """Return the wall seconds of each stage."""
    own = {worker.row.step: round(worker.wall_s, 2) for worker in played.loop.workers}
    return {"feed": round(played.feed_s, 2), **own, "baselines": round(played.baseline_s, 2)}


def drift_map(tail: Tail) -> DriftMap:
    """Return drift by feature and look, for the looks that had a champion to compare with."""
    looks = [report for report in tail.reports if report.features]
    names = tuple(score.name for score in looks[0].features) if looks else ()
    return DriftMap(
        features=names,
        times=tuple(report.at for report in looks),
        ratios=[[ratio(report.features[i]) for report in looks] for i in range(len(names))],
        drifted=[[report.features[i].drifted for report in looks] for i in range(len(names))],
        statuses=tuple(report.status.value for report in looks),
    )


def moment(record: Decision) -> Moment:
    """Return a decision as one line of the timeline."""
    match record:
        case RetrainRequest():
            return Moment(record.requested_at, "trigger", words(record))
        case TrainingRun():
            return Moment(record.finished_at, "training", words(record))
        case Promotion():
            return Moment(record.at, _KINDS[record.action], words(record))


def receipts(played: Played) -> list[Receipt]:
    """Return the ledger's entries, with the training receipts beside the decisions they led to."""
    entries = [
        Receipt(
            entry.at,
            f"#{entry.seq} {entry.kind}",
            entry.kind,
            str(entry.payload.get("reason", "")),
            dict(entry.payload),
        )
        for entry in played.stack.ledger.entries()
    ]
    trainings = [
        Receipt(run.finished_at, f"training {run.run_id}", run.status, run.reason, run.receipt)
        for run in played.tail.story
        if isinstance(run, TrainingRun)
    ]
    return sorted(entries + trainings, key=lambda receipt: receipt.at)


def _interval(interval: Interval) -> dict[str, float | bool]:
    return {**asdict(interval), "excludes_zero": interval.excludes_zero}
