"""Plays streams with a known truth through the whole loop and judges what became of them.

The excess of a model on a row is the loss it has to expect beyond the best possible one: the Kullback-Leibler
divergence of its score from the probability that the label was drawn from. No label enters, so there is no noise of
labels in it. A run is *healed* when, over the last week of the stream, the excess of what was served is below half of
the excess of the frozen first champion on the same rows. A week, because traffic has a weekly rhythm; half, because
it is far from both ends: a loop that does nothing stands at 1, a refit that knows the time of the change at the
figure in the column "oracle", and no model reaches 0, for it learns from a finite number of rows.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from time import process_time

import numpy as np
import polars as pl

from homeostat.bootstrap import Ports, Stack, build_loop, replay_pace
from homeostat.contract.load import load_contract
from homeostat.contract.model import Contract
from homeostat.examples.streams.kinds import Kind
from homeostat.examples.streams.stream import CONTRACT, Stream, make_stream
from homeostat.flow import topic_name
from homeostat.ports import NewMessage
from homeostat.records import Action, Promotion, RetrainRequest, TrainingRun, TrainingStatus
from homeostat.tail import Tail
from homeostat.training.models import TabularModel, load_model
from homeostat.training.recipe import Recipe, fit
from tests.stacks import memory_stack

BATCH = timedelta(hours=6)  # of virtual time: how long an answer may wait, well below the shortest label delay
JUDGED = timedelta(days=7)
HEALED_BELOW = 0.5  # of the excess of the frozen first champion
FIRST = "1"  # the version of the first champion


@dataclass(frozen=True, slots=True)
class Run:
    """What became of one stream.

    Args:
        frozen: Mean excess of the first champion over the last week, in nats a row; ``served`` and ``oracle`` likewise.
        since_change: Excess of what was served over that of the first champion on all rows since the first change.
        delays: Rows from each change to the first promotion after it and before the next one; None without any.
        retrainings: Without the one that made the first champion; ``promotions`` likewise.
        early: Of the retrainings, those before the first change; on a calm stream all.
        wrong: Promotions of a model with a higher excess over the week behind them (or until the next change).
    """

    kind: str
    rows: int
    frozen: float
    served: float
    oracle: float
    since_change: float
    delays: list[int | None]
    retrainings: int
    early: int
    nothing_better: int
    promotions: int
    rejections: int
    rollbacks: int
    wrong: int
    decisions: list[str] = field(default_factory=list)
    seed: int = 0
    cpu_s: float = 0.0

    @property
    def left(self) -> float:
        """The share of the frozen champion's excess that is left over the last week."""
        return self.served / self.frozen

    @property
    def healed(self) -> bool:
        """Whether the loop brought the excess down."""
        return self.left < HEALED_BELOW


def play(contract: Contract, stream: Stream, stack: Stack, seed: int) -> Tail:
    """Play a stream through the loop on a virtual clock and return what it decided."""
    recording, loop = stream.recording(), build_loop(contract, stack, seed)
    now = recording.first.replace(hour=0, minute=0, second=0, microsecond=0)
    pace = replay_pace(contract.drift.every, now)
    tracks = ((topic_name(contract.product, "raw_events"), recording.events),)
    tracks += ((topic_name(contract.product, "raw_labels"), recording.labels),)
    while now < stream.end + contract.label.maturity:
        before, now = now, now + BATCH
        for topic, track in tracks:
            sent = track.take(track.index_at(before), track.index_at(now))
            stack.log.append([NewMessage(topic, value) for value in sent], now)
        if pace.due(now):
            loop.pace(now)
        else:
            loop.flow(now)
    tail = Tail(stack.log, contract.product)
    tail.follow()
    return tail


def excess(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return the expected log loss beyond the best possible one, in nats, shape (n,)."""
    s = np.clip(scores, 1e-6, 1 - 1e-6)
    return truth * np.log(truth / s) + (1 - truth) * np.log((1 - truth) / (1 - s))


def run(kind: Kind, seed: int, contract: Contract | None = None) -> Run:
    """Play one stream in this process and judge it."""
    contract, started = contract or load_contract(CONTRACT), process_time()
    stream = make_stream(kind, seed)
    with tempfile.TemporaryDirectory() as workdir:
        stack = memory_stack(contract, Path(workdir))
        tail = play(contract, stream, stack, seed)
    return replace(judged(contract, stream, stack, tail), seed=seed, cpu_s=process_time() - started)


def judged(contract: Contract, stream: Stream, stack: Ports, tail: Tail) -> Run:
    """Return what became of a stream that was played on a stack, and what that is worth."""
    frame = stack.offline.training_frame(stream.end + contract.label.maturity)
    served = pl.DataFrame(
        [(o.event_id, o.score) for o in tail.outcomes() if o.score is not None], ["event_id", "served"], orient="row"
    )
    frame = frame.join(stream.rows.select("event_id", "truth", "world"), on="event_id")
    frame = frame.join(served, on="event_id", how="left", maintain_order="left")
    moves = [r for r in tail.story if isinstance(r, Promotion) and r.action in {Action.PROMOTE, Action.ROLLBACK}]
    first_at = moves[0].at
    begun = min(stream.changes, default=first_at)
    live = frame.filter(pl.col("event_time") >= begun, pl.col("served").is_not_null())
    last = live.filter(pl.col("event_time") >= stream.end - JUDGED)
    truth, models = last["truth"].to_numpy(), Models(stack)
    requests = [r for r in tail.story if isinstance(r, RetrainRequest)][1:]
    runs = [r for r in tail.story if isinstance(r, TrainingRun)][1:]
    return Run(
        kind=stream.kind.value,
        rows=stream.rows.height,
        frozen=models.excess(FIRST, last),
        served=float(excess(truth, last["served"].to_numpy()).mean()),
        oracle=float(excess(truth, oracle(contract, stack, frame, stream.end - JUDGED).score(last)).mean()),
        since_change=float(excess(live["truth"].to_numpy(), live["served"].to_numpy()).mean())
        / models.excess(FIRST, live),
        delays=delays(stream, [m.at for m in moves[1:]]),
        retrainings=len(requests),
        early=sum(r.requested_at < begun or not stream.changes for r in requests),
        nothing_better=sum(r.status is not TrainingStatus.CANDIDATE for r in runs),
        promotions=sum(m.action is Action.PROMOTE for m in moves) - 1,
        rejections=sum(isinstance(r, Promotion) and r.action is Action.REJECT for r in tail.story),
        rollbacks=sum(m.action is Action.ROLLBACK for m in moves),
        wrong=models.wrong(stream, frame, moves),
        decisions=list(tail.decisions),
    )


class Models:
    """The registered models of a run, each with what it would have cost."""

    def __init__(self, stack: Ports) -> None:
        self._registry = stack.registry

    def excess(self, version: str, frame: pl.DataFrame) -> float:
        """Return the mean excess of a version on rows, in nats."""
        scores = load_model(self._registry.load(version).files).score(frame)
        return float(excess(frame["truth"].to_numpy(), scores).mean())

    def wrong(self, stream: Stream, frame: pl.DataFrame, moves: Sequence[Promotion]) -> int:
        """Return how many promotions put a worse model in the place of a better one."""
        found = 0
        for before, move in pairwise(moves):
            until = min([move.at + JUDGED, *(time for time in stream.changes if time > move.at)])
            rows = frame.filter(pl.col("event_time") >= move.at, pl.col("event_time") < until)
            if move.action is Action.PROMOTE and rows.height:
                found += self.excess(str(move.champion), rows) > self.excess(str(before.champion), rows)
        return found


def oracle(contract: Contract, stack: Ports, frame: pl.DataFrame, now: datetime) -> TabularModel:
    """Return the first champion's recipe, refitted on all mature rows of the world that is to be served."""
    recipe = Recipe.from_json(stack.registry.load(FIRST).files["recipe.json"])
    mature = frame.filter(pl.col("event_time") < now - contract.label.maturity)
    rows = mature.filter((pl.col("world") - frame["world"][-1]).abs() < 1e-9)
    return fit(recipe, rows, contract.feature_names, contract.categorical, until=now, seed=1, threads=1)


def delays(stream: Stream, moves: Sequence[datetime]) -> list[int | None]:
    """Return the rows from each change to the first move after it and before the next change, None without one."""
    ends = [*stream.changes, stream.end][1:]
    times, out = stream.rows["event_time"], []
    for start, end in zip(stream.changes, ends, strict=True):
        at = next((time for time in moves if start < time <= end), None)
        out.append(None if at is None else int(((times >= start) & (times < at)).sum()))
    return out
