"""A window of 200,000 rows x 120 columns: ours, bare NumPy and Evidently in one run."""

import json
import os
import subprocess
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from threadpoolctl import threadpool_limits

from homeostat.contract.policies import DriftPolicy
from homeostat.drift.counts import Counter, WindowCounts
from homeostat.drift.profile import build_profile
from homeostat.drift.psi import psi
from homeostat.drift.report import judge_window
from tests.benchmarks.drift_window import NUMBERS, window
from tests.statistics.drift_environment import SILENT, peers_python

pytestmark = [pytest.mark.bench, pytest.mark.peers, pytest.mark.timeout(1800)]

ROWS, ROUNDS, CHUNK = 200_000, 5, 16_384
SCRIPT = Path(__file__).with_name("evidently_window.py")


def table(seed):
    """Columns as the detector takes them, with scores."""
    numbers, codes = window(ROWS, seed)
    texts = [pl.Series(column).cast(pl.String) for column in codes]
    return [*numbers, *texts], np.random.default_rng(seed).random(ROWS)


@pytest.fixture(scope="module")
def case():
    columns, scores = table(0)
    names = [*(f"x{j}" for j in range(NUMBERS)), *(f"c{j}" for j in range(len(columns) - NUMBERS))]
    frame = pl.DataFrame(dict(zip(names, columns, strict=True)))
    profile = build_profile(frame, names, frozenset(names[NUMBERS:]), scores, expected_loss=0.5, seed=1)
    return Counter(profile), (columns, scores), table(1)


def counted(counter, columns, scores):
    counts = WindowCounts(counter)
    counts.add_columns(columns, scores)
    return counts


def phases(counter, columns, scores):
    """CPU seconds of each part of one window, by hand in the order of ``add_columns``."""
    clock, taken = time.process_time, dict.fromkeys(("bins", "counts", "embedding", "tests"), 0.0)
    for start in range(0, ROWS, CHUNK):
        part, began = slice(start, start + CHUNK), clock()
        codes = counter.coder.codes([*(column[part] for column in columns), scores[part]])
        binned = clock()
        np.bincount((codes + counter.starts[:-1]).ravel(order="K"))
        added = clock()
        counter.embedder.features(codes[:, :-1], counter.profile.embedding.bandwidth)
        taken["bins"] += binned - began
        taken["counts"] += added - binned
        taken["embedding"] += clock() - added
    counts, began = counted(counter, columns, scores), clock()
    judge_window(counts, (), DriftPolicy())
    taken["tests"] = clock() - began
    return taken


def bare(counter, columns):
    """Bins of the numbers alone, as plainly as NumPy does them: a search and a count a column."""
    began = time.process_time()
    for bins, column in zip(counter.profile.columns, columns[:NUMBERS], strict=False):
        np.bincount(np.searchsorted(bins.edges, column), minlength=bins.size)
    return time.process_time() - began


def by_sorting(counter, columns):
    """The same through np.histogram, which sorts: the fastest way there is to counts, but no row has its bin."""
    began = time.process_time()
    for bins, column in zip(counter.profile.columns, columns[:NUMBERS], strict=False):
        np.histogram(column, bins=[-np.inf, *bins.edges, np.inf])
    return time.process_time() - began


def test_a_window_is_judged_100_times_faster_than_by_evidently_and_within_twice_bare_numpy(case, tmp_path, capsys):
    counter, before, now = case
    with threadpool_limits(1):
        rounds = [(phases(counter, *now), bare(counter, now[0]), by_sorting(counter, now[0])) for _ in range(ROUNDS)]
    parts = {name: float(np.median([taken[name] for taken, _, _ in rounds])) for name in rounds[0][0]}
    numpy_s, sorted_s = (float(np.median([each[k] for each in rounds])) for k in (1, 2))
    whole = sum(parts.values())
    codes = [counter.coder.codes([*columns, scores]) for columns, scores in (before, now)]
    np.savez(tmp_path / "codes.npz", before=codes[0], now=codes[1])
    python = peers_python(Path(".homeostat"))
    command = [python, SCRIPT, str(ROWS), tmp_path / "codes.npz", tmp_path / "answer.json"]
    subprocess.run(command, check=True, env={**os.environ, **SILENT}, stdout=subprocess.DEVNULL)
    peer = json.loads((tmp_path / "answer.json").read_text())
    told = ", ".join(f"{name} {seconds:.2f}" for name, seconds in parts.items())
    evidently_s, lean = peer["preset_cpu_s"], whole - parts["embedding"]
    with capsys.disabled():
        print(f"\n{ROWS:,} x {len(now[0])}: {whole:.2f} CPU s ({told}); without the embedding {lean:.2f} s")
        print(
            f"Evidently's preset {evidently_s:.0f} CPU s ({peer['preset_s']:.0f} s): ours is {evidently_s / whole:.0f}x"
        )
        print(f"bare NumPy {numpy_s:.2f} s: {whole / numpy_s:.2f}x, without the embedding {lean / numpy_s:.2f}x")
        print(f"counts by sorting {sorted_s:.2f} s: ours takes {whole / sorted_s:.1f}x")
    for theirs, (reference, live) in zip(peer["psi"], _histograms(counter, codes), strict=True):
        if reference.min() > 0 and live.min() > 0:  # they fill an empty bin otherwise than we do
            assert psi(reference, live, pseudo_count=0.0) == pytest.approx(theirs, abs=1e-9)
    assert lean <= 2 * numpy_s
    assert evidently_s >= 100 * lean


def _histograms(counter, codes):
    for j in range(codes[0].shape[1]):
        size = max(int(side[:, j].max()) for side in codes) + 1
        both = [np.bincount(side[:, j], minlength=size).astype(float) for side in codes]
        kept = (both[0] + both[1]) > 0  # a bin that neither side has is no category
        yield both[0][kept], both[1][kept]
