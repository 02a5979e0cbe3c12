"""What finds a change, how late, and how often it cries wolf: Homeostat and its peers on the same streams."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from homeostat.contract.policies import DriftPolicy
from homeostat.drift.counts import Counter, WindowCounts
from homeostat.drift.report import judge_window
from homeostat.records import DriftStatus
from tests.statistics.drift_columns import WEEK, Columns, blocks, evenly, with_vector
from tests.statistics.drift_environment import SILENT
from tests.statistics.drift_kept import answers, read
from tests.statistics.drift_nulls import smallest_level
from tests.statistics.drift_streams import BATCH, BATCHES, CALM, CHANGE, GROUPS, Kind, Stream, make

WIDTH = 4  # batches in a window
BLOCK = 50  # rows whose luck is one observation
EQUAL_RATE = 0.01  # of calm looks that alarm, where false alarms are made equal
OURS, AS_SHIPPED, APART = "Homeostat", "as shipped", "domain classifier alone"
PEERS_SCRIPT = Path(__file__).with_name("drift_peers.py")
AT_ONCE = 32  # streams handed to the peers
Job = tuple[Kind, int, str]
_POLICY = DriftPolicy(min_rows=500)


@dataclass(frozen=True)
class Power:
    """One detector on one kind of stream."""

    kind: str
    detector: str
    delays: list[int]  # batches from the change to the first alarm of each stream that had one
    missed: int
    calm_looks: int
    calm_alarms: list[int]  # of each calm stream


@dataclass(frozen=True)
class Place:
    """Where the answers are kept, and how many processes make them."""

    folder: Path
    workers: int = 2


def looks_of(stream: Stream, *, labels: bool, apart: bool = False) -> dict[str, list[float]]:
    """Homeostat's scores, one a look from the first whole window on: how certain, and whether it alarms as shipped."""
    reference, live = (
        _columns(rows, stream, scores)
        for rows, scores in zip((stream.reference, stream.live), stream.scores, strict=True)
    )
    counter = reference.counter(WEEK, evenly(reference.scores.size, WIDTH * BATCH))
    parts = [live.rows(slice(k * BATCH, (k + 1) * BATCH)).counted(counter) for k in range(BATCHES)]
    losses = blocks(stream.scores[1], stream.labels[1], BLOCK) if labels else []
    certain, shipped = [], []
    for last in range(WIDTH - 1, BATCHES):
        window = WindowCounts(counter)
        for part in parts[last - WIDTH + 1 : last + 1]:
            window.merge(part)
        seen = losses[(last - WIDTH + 1) * BATCH // BLOCK : (last + 1) * BATCH // BLOCK]
        certain.append(-np.log(max(smallest_level(window, seen), 1e-300)))
        shipped.append(float(judge_window(window, seen, _POLICY).status is DriftStatus.DRIFTED))
    told = {OURS: certain, f"{OURS}, {AS_SHIPPED}": shipped}
    return told | ({f"{OURS}, {APART}": _apart(reference, live, counter)} if apart else {})


def _apart(reference: Columns, live: Columns, counter: Counter) -> list[float]:
    """The classifier's scores, one a look; a window is taken for a week."""
    before, after = (evenly(side.scores.size, WIDTH * BATCH) for side in (reference, live))
    domain, scores = reference.domain(counter, before), []
    for last in range(WIDTH, BATCHES + 1):
        rows = slice((last - WIDTH) * BATCH, last * BATCH)
        told = live.rows(rows).told_apart(counter, domain, after[rows])
        scores.append(-np.log(max(told.p_value, 1e-300)))
    return scores


def powers(group: str, streams: int, seed: int, peers: Path | None, place: Place) -> list[Power]:
    """Return how every detector does on ``columns``, on ``vectors`` or on ``worlds`` (there with labels)."""
    kinds = GROUPS[group]
    calm = [(kind, 1000 + k) for kind in CALM[group] for k in range(2 * streams)]
    changed = [(kind, seed + k) for kind in kinds for k in range(streams)]
    jobs = {f"{kind.name}, {kind.family}, {number}": (kind, number, group) for kind, number in (*calm, *changed)}
    ours = answers(place.folder / f"{group}.jsonl", {name: (_told, job) for name, job in jobs.items()}, place.workers)
    theirs = {} if peers is None else _peers_answers(group, jobs, peers, place)
    told = [ours[name] | theirs.get(name, {}) for name in jobs]
    return [power for name in told[0] for power in _powers_of(name, kinds, told, len(calm))]


def _powers_of(name, kinds, told, calm) -> list[Power]:
    quiet = np.asarray([each[name] for each in told[:calm]])
    # what is 0 or 1 has its own threshold; a score gets the one that calm looks exceed as often for everybody
    threshold = 0.5 if set(np.unique(quiet)) <= {0.0, 1.0} else float(np.quantile(quiet, 1 - EQUAL_RATE))
    alarms = np.count_nonzero(quiet > threshold, axis=1).tolist()
    streams = (len(told) - calm) // len(kinds)
    found = []
    for k, kind in enumerate(kinds):
        runs = np.asarray([each[name] for each in told[calm + k * streams : calm + (k + 1) * streams]])
        changed = runs[:, CHANGE - WIDTH + 1 :] > threshold
        delays = [int(row.argmax()) + 1 for row in changed if row.any()]
        found.append(Power(kind.name, name, delays, streams - len(delays), quiet.size, alarms))
    return found


def _told(kind: Kind, seed: int, group: str) -> dict[str, list[float]]:
    return looks_of(make(kind, seed), labels=group == "worlds", apart=group == "columns")


def _peers_answers(group: str, jobs: dict[str, Job], python: Path, place: Place) -> dict[str, dict[str, list[float]]]:
    """Have the peers' own environment score the streams; each process imports them once and keeps what it has."""
    files = [place.folder / f"{group}-peers-{k}.jsonl" for k in range(place.workers)]
    known = read(place.folder.glob(f"{group}-peers-*.jsonl"))
    missing = [name for name in jobs if name not in known]
    with ThreadPoolExecutor(place.workers) as pool:
        parts = ({name: jobs[name] for name in missing[k :: len(files)]} for k in range(len(files)))
        for _ in pool.map(_ask_peers, parts, [python] * len(files), files):
            pass
    return read(files) | known


def _ask_peers(jobs: dict[str, Job], python: Path, out: Path) -> None:
    """Hand the streams to the peers a few at a time: one takes half a megabyte."""
    names = [*jobs]
    for start in range(0, len(names), AT_ONCE):
        part = names[start : start + AT_ONCE]
        arrays = {}
        for k, name in enumerate(part):
            arrays |= {f"{field}_{k}": value for field, value in _arrays(*jobs[name]).items()}
        file = out.with_suffix(".npz")
        np.savez(file, batch=BATCH, width=WIDTH, labels=jobs[part[0]][2] == "worlds", names=part, **arrays)
        subprocess.run([python, PEERS_SCRIPT, file, out], check=True, env={**os.environ, **SILENT})
        file.unlink()


def _arrays(kind: Kind, seed: int, group: str) -> dict[str, np.ndarray]:
    stream, labels = make(kind, seed), group == "worlds"
    before, now = (
        labels * (np.abs(score - label) > 0.5) for score, label in zip(stream.scores, stream.labels, strict=True)
    )
    return {
        "reference": stream.reference,
        "live": stream.live,
        "categorical": stream.categorical,
        "score_before": stream.scores[0],
        "score": stream.scores[1],
        "error_before": before,
        "error": now,
    }


def _columns(rows: np.ndarray, stream: Stream, scores: np.ndarray) -> Columns:
    if stream.vector:
        return Columns(with_vector(rows, stream.vector).values, scores)
    values = [
        pl.Series(column.astype(int)).cast(pl.String) if text else column.copy()
        for column, text in zip(rows.T, stream.categorical, strict=True)
    ]
    return Columns(values, scores)
