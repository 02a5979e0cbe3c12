"""What finds a change, how late, and how often it cries wolf: Homeostat and its peers on the same streams."""

import json
import os
import subprocess
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

from homeostat.contract.losses import row_losses
from homeostat.contract.policies import DriftPolicy
from homeostat.drift.counts import Counter, WindowCounts
from homeostat.drift.performance import LossBlock
from homeostat.drift.report import judge_window
from homeostat.records import DriftStatus
from tests.statistics.drift_columns import START, WEEK, Columns
from tests.statistics.drift_environment import SILENT
from tests.statistics.drift_nulls import smallest_level
from tests.statistics.drift_streams import BATCH, BATCHES, CALM, CHANGE, COLUMNS, WORLDS, Kind, Stream, make

WIDTH = 4  # batches in a window
BLOCK = 50  # rows whose luck is one observation
EQUAL_RATE = 0.01  # of calm looks that alarm, where false alarms are made equal
OURS, AS_SHIPPED, APART = "Homeostat", "as shipped", "domain classifier alone"
PEERS_SCRIPT = Path(__file__).with_name("drift_peers.py")
_POLICY = DriftPolicy(min_rows=500)


@dataclass(frozen=True)
class Power:
    """One detector on one kind of stream."""

    kind: str
    detector: str
    delays: list[int]  # batches from the change to the first alarm of each stream that had one
    missed: int
    calm_looks: int
    calm_alarms: int


def looks_of(stream: Stream, *, labels: bool, apart: bool = False) -> dict[str, list[float]]:
    """Homeostat's scores, one a look from the first whole window on: how certain, and whether it alarms as shipped."""
    reference = _columns(stream.reference, stream.categorical, stream.scores[0])
    counter = reference.counter()
    live = _columns(stream.live, stream.categorical, stream.scores[1])
    parts = [live.rows(slice(k * BATCH, (k + 1) * BATCH)).counted(counter) for k in range(BATCHES)]
    blocks = _blocks(stream) if labels else []
    certain, shipped = [], []
    for last in range(WIDTH - 1, BATCHES):
        window = WindowCounts(counter)
        for part in parts[last - WIDTH + 1 : last + 1]:
            window.merge(part)
        seen = blocks[(last - WIDTH + 1) * BATCH // BLOCK : (last + 1) * BATCH // BLOCK]
        certain.append(-np.log(max(smallest_level(window, seen), 1e-300)))
        shipped.append(float(judge_window(window, seen, _POLICY).status is DriftStatus.DRIFTED))
    told = {OURS: certain, f"{OURS}, {AS_SHIPPED}": shipped}
    return told | ({f"{OURS}, {APART}": _apart(reference, live, counter)} if apart else {})


def _apart(reference: Columns, live: Columns, counter: Counter) -> list[float]:
    """The classifier's scores, one a look; a window is taken for a week."""
    before, after = (_week_times(side.scores.size) for side in (reference, live))
    domain, scores = reference.domain(counter, before), []
    for last in range(WIDTH, BATCHES + 1):
        rows = slice((last - WIDTH) * BATCH, last * BATCH)
        told = live.rows(rows).told_apart(counter, domain, after[rows])
        scores.append(-np.log(max(told.p_value, 1e-300)))
    return scores


def _week_times(rows: int) -> list[datetime]:
    return [START + WEEK * (row / (WIDTH * BATCH)) for row in range(rows)]


def powers(group: str, streams: int, seed: int, peers: Path | None, folder: Path) -> list[Power]:
    """Return how every detector does on ``columns`` or on ``worlds`` (there with labels)."""
    kinds = COLUMNS if group == "columns" else WORLDS
    calm = [(kind, 1000 + k) for kind in CALM[group] for k in range(2 * streams)]
    changed = [(kind, seed + k) for kind in kinds for k in range(streams)]
    jobs = [(kind, number, group == "worlds") for kind, number in (*calm, *changed)]
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(2) as pool:
        told = list(pool.map(_told, jobs, chunksize=4))
        if peers is not None:
            chunks = [jobs[k::2] for k in range(2)]
            found = pool.map(_peers_told, chunks, [peers] * 2, [folder / f"{group}{k}.npz" for k in range(2)])
            for k, answers in enumerate(found):
                for place, answer in zip(range(k, len(jobs), 2), answers, strict=True):
                    told[place].update(answer)
    return [power for name in told[0] for power in _powers_of(name, kinds, told, len(calm))]


def _powers_of(name, kinds, told, calm) -> list[Power]:
    quiet = np.asarray([each[name] for each in told[:calm]])
    # what is 0 or 1 has its own threshold; a score gets the one that calm looks exceed as often for everybody
    threshold = 0.5 if set(np.unique(quiet)) <= {0.0, 1.0} else float(np.quantile(quiet, 1 - EQUAL_RATE))
    alarms = int(np.count_nonzero(quiet > threshold))
    streams = (len(told) - calm) // len(kinds)
    found = []
    for k, kind in enumerate(kinds):
        runs = np.asarray([each[name] for each in told[calm + k * streams : calm + (k + 1) * streams]])
        changed = runs[:, CHANGE - WIDTH + 1 :] > threshold
        delays = [int(row.argmax()) + 1 for row in changed if row.any()]
        found.append(Power(kind.name, name, delays, streams - len(delays), quiet.size, alarms))
    return found


def _told(job: tuple[Kind, int, bool]) -> dict[str, list[float]]:
    kind, seed, labels = job
    return looks_of(make(kind, seed), labels=labels, apart=not labels)


def _peers_told(jobs, python: Path, file: Path) -> list[dict[str, list[float]]]:
    """Hand the streams to the peers' own environment and read their scores."""
    arrays = {}
    for k, (kind, seed, labels) in enumerate(jobs):
        stream = make(kind, seed)
        error = [
            (labels) * (np.abs(score - label) > 0.5) for score, label in zip(stream.scores, stream.labels, strict=True)
        ]
        names = ("reference", "live", "categorical", "score_before", "score", "error_before", "error")
        values = (stream.reference, stream.live, stream.categorical, *stream.scores, *error)
        arrays |= {f"{name}_{k}": value for name, value in zip(names, values, strict=True)}
    np.savez(file, batch=BATCH, width=WIDTH, labels=jobs[0][2], streams=len(jobs), **arrays)
    out = file.with_suffix(".json")
    subprocess.run([python, PEERS_SCRIPT, file, out], check=True, env={**os.environ, **SILENT})
    file.unlink()  # tens of megabytes
    return json.loads(out.read_text())


def _columns(rows: np.ndarray, categorical: np.ndarray, scores: np.ndarray) -> Columns:
    values = [
        pl.Series(column.astype(int)).cast(pl.String) if text else column.copy()
        for column, text in zip(rows.T, categorical, strict=True)
    ]
    return Columns(values, scores)


def _blocks(stream: Stream) -> list[LossBlock]:
    blocks = []
    for start in range(0, BATCH * BATCHES, BLOCK):
        scores, labels = stream.scores[1][start : start + BLOCK], stream.labels[1][start : start + BLOCK]
        block = LossBlock()
        block.add(row_losses("log_loss", labels, scores), scores, labels)
        blocks.append(block)
    return blocks
