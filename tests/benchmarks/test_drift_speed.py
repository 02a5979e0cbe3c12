"""Counting a window into bins fixed at training time, against tests that look at both samples again."""

import time

import numpy as np
import polars as pl
import pytest
from scipy.stats import ks_2samp

from homeostat.contract.policies import DriftPolicy
from homeostat.drift.counts import Counter, WindowCounts
from homeostat.drift.profile import build_profile
from homeostat.drift.report import judge_window

pytestmark = pytest.mark.bench

ROWS, COLUMNS, ROUNDS = 200_000, 100, 3


def median_s(work):
    """CPU time, so that a busy neighbour doesn't count."""
    taken = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return float(np.median(taken))


def plain_psi(reference, live):
    edges = np.quantile(reference, np.arange(1, 10) / 10)
    shares = [np.bincount(np.searchsorted(edges, side), minlength=10) / len(side) for side in (reference, live)]
    return float(np.sum((shares[1] - shares[0]) * np.log(shares[1] / shares[0])))


def test_a_window_is_judged_faster_than_by_ks_or_psi_on_both_samples(capsys):
    rng = np.random.default_rng(0)
    names = [f"x{j}" for j in range(COLUMNS)]
    before, now = rng.standard_normal((2, COLUMNS, ROWS))
    scores = rng.random(ROWS)
    frame = pl.DataFrame(dict(zip(names, before, strict=True)))
    counter = Counter(build_profile(frame, names, frozenset(), scores, expected_loss=0.5, seed=1))

    def ours():
        window = WindowCounts(counter)
        window.add_columns(list(now), scores)
        judge_window(window, (), DriftPolicy())

    own = median_s(ours)
    ks = median_s(lambda: [ks_2samp(a, b, method="asymp") for a, b in zip(before, now, strict=True)])
    psi = median_s(lambda: [plain_psi(a, b) for a, b in zip(before, now, strict=True)])
    with capsys.disabled():
        print(
            f"\ndrift of {ROWS:,} x {COLUMNS}: PSI + KS + embedding {own:.2f} CPU s, "
            f"SciPy KS {ks:.2f} s ({ks / own:.1f}x), NumPy PSI {psi:.2f} s ({psi / own:.1f}x)"
        )
    assert own < ks


def test_a_micro_batch_of_130_rows_takes_under_2_ms(capsys):
    rng = np.random.default_rng(0)
    names = [f"x{j}" for j in range(17)]
    texts = frozenset(names[:3])
    data = {n: rng.choice(list("abcdef"), 5000) if n in texts else rng.standard_normal(5000) for n in names}
    counter = Counter(build_profile(pl.DataFrame(data), names, texts, rng.random(5000), expected_loss=0.5, seed=1))
    rows = [*zip(*(list(column[:130].tolist()) for column in data.values()), strict=True)]
    scores = rng.random(130).tolist()
    window = WindowCounts(counter)
    taken = median_s(lambda: [window.add(rows, scores) for _ in range(200)]) / 200
    with capsys.disabled():
        print(f"\na micro-batch of 130 x 17: {taken * 1e3:.2f} ms")
    assert taken < 0.002
