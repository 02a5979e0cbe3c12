"""What Homeostat's bounds, a t-test that peeks and Kayenta's Mann-Whitney say of a stream, look by look."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from homeostat.canary.confidence import half_widths
from homeostat.canary.evidence import Paired
from homeostat.canary.guardrails import Guardrail, guardrails
from homeostat.canary.spread import spread_of
from homeostat.canary.trial import Health, Shift, Trial
from homeostat.contract.policies import CanaryPolicy
from tests.statistics.canary_streams import Stream

NEVER = -1
TOLERANCE, CONFIDENCE = 0.25, 0.98  # Kayenta's defaults for its Mann-Whitney judge


@dataclass(frozen=True)
class Looks:
    """What a judge says at each block: whether it would promote, and whether it would stop the canary."""

    rows: np.ndarray
    promote: np.ndarray
    stop: np.ndarray

    def first(self, of: np.ndarray, at: np.ndarray) -> int:
        """Return the block of the first of some looks that says so, ``NEVER`` where none does."""
        hits = at[of[at]]
        return int(hits[0]) if len(hits) else NEVER

    def verdict(self, at: np.ndarray) -> tuple[bool, bool]:
        """Return whether a canary looked at ``at`` is ever promoted and ever stopped, whichever comes first."""
        up, down = self.first(self.promote, at), self.first(self.stop, at)
        return up != NEVER and not (0 <= down < up), down != NEVER and not (0 <= up < down)


def spaced(blocks: int, looks: int) -> np.ndarray:
    """Return that many looks at equal distances, the last one at the end."""
    return np.unique(np.linspace(blocks / looks, blocks, looks).round().astype(int) - 1)


def by_bounds(made: Stream, policy: CanaryPolicy) -> Looks:
    """Return what the product's bounds say at every block, computed as the judge computes them at one."""
    rows = made.paired
    spread = spread_of(rows.rows, rows.difference)
    priced = spread_of(rows.rows, rows.difference - policy.margin * rows.incumbent_loss) if policy.margin else spread
    enough = spread.rows >= policy.min_rows
    worth = priced.mean + half_widths(priced, policy.alpha, policy.tuned_rows) < 0
    harm = spread.mean - half_widths(spread, policy.harm_alpha, policy.tuned_rows) > 0
    return Looks(spread.rows, enough & worth & ~harm, enough & harm)


def with_guardrails(found: Looks, made: Stream, shift: Shift, policy: CanaryPolicy) -> Looks:
    """Return what is said when a guardrail that is broken stops the canary whatever the losses, look by look."""
    rows, fine = made.paired, Health(made.paired.row_count)
    slices = {f"group {i}": Paired(*(getattr(rows, name)[:, i::4] for name in rows.__slots__)) for i in range(4)}
    guards = guardrails(Trial(rows, fine, fine, shift, slices), policy)
    broken = np.logical_or.reduce([_broken(guard, policy) for guard in guards])
    return Looks(found.rows, found.promote & ~broken, found.stop | broken)


def _broken(guard: Guardrail, policy: CanaryPolicy) -> np.ndarray:
    """Return what ``Guardrail.is_broken`` says after each block."""
    over = guard.rows.sum(axis=1).cumsum() >= policy.min_rows
    for sums in guard.excess:
        over &= sums.sum(axis=1).cumsum() > 0
    if not over.any():
        return over
    kept = np.flatnonzero(guard.rows.any(axis=1))
    last = np.searchsorted(kept, np.arange(len(over)), side="right") - 1
    for sums in guard.excess:
        spread = spread_of(guard.rows[kept], sums[kept])
        over &= (spread.mean - half_widths(spread, guard.alpha, policy.tuned_rows) > 0)[last]
    return over


def by_peeking(rows: np.ndarray, sums: np.ndarray, squares: np.ndarray, policy: CanaryPolicy) -> Looks:
    """Return what a paired t-test for a sample fixed beforehand says, looked at after every block."""
    n, s, q = rows.cumsum(), sums.cumsum(), squares.cumsum()
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = s / n
        score = mean / np.sqrt(np.maximum(q / n - mean**2, 1e-300) / n)
    limit = t.isf(policy.alpha, np.maximum(n - 1, 1))
    enough = n >= policy.min_rows
    return Looks(n, enough & (score < -limit), enough & (score > limit))


def row_sums(made: Stream, blocks: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, sums and squares of the difference by block."""
    parts = (np.ones(len(made.block)), made.difference, made.difference**2)
    rows, sums, squares = (np.bincount(made.block, part, blocks) for part in parts)
    return rows, sums, squares


def fixed_power(differences: np.ndarray, rows: np.ndarray, alpha: float) -> np.ndarray:
    """Return by number of blocks how often a paired t-test on blocks, looked at then alone, finds a gain.

    Args:
        differences: Summed differences, shape (n_streams, n_blocks).
        rows: Rows, same shape.
        alpha: Of the test, one-sided.
    """
    n = np.arange(1, differences.shape[1] + 1)
    r, s = rows.cumsum(axis=1), differences.cumsum(axis=1)
    mean = s / np.maximum(r, 1)
    squares = ((differences**2).cumsum(axis=1) - 2 * mean * (differences * rows).cumsum(axis=1)) + mean**2 * (
        rows**2
    ).cumsum(axis=1)
    error = np.sqrt(np.maximum(squares, 1e-300) * n / np.maximum(n - 1, 1)) / np.maximum(r, 1)
    return np.asarray((mean / error < -t.isf(alpha, np.maximum(n - 1, 1))).mean(axis=0))


def by_kayenta(made: Stream, at: np.ndarray, rng: np.random.Generator) -> Looks:
    """Return what Kayenta's Mann-Whitney judge says: half of the rows to each arm, a point is a block's mean loss.

    A metric is high or low when the 98 % interval of the shift lies outside a quarter of the shift itself.

    Source: github.com/spinnaker/kayenta, MannWhitneyClassifier (tolerance 0.25, confidence 0.98).
    """
    blocks = made.paired.blocks
    arm = rng.random(len(made.block)) < 0.5
    means = []
    for chosen, losses in ((arm, made.challenger), (~arm, made.champion)):
        count = np.bincount(made.block[chosen], minlength=blocks)
        means.append(np.bincount(made.block[chosen], losses[chosen], blocks) / np.maximum(count, 1))
    high, low = np.zeros(blocks, dtype=bool), np.zeros(blocks, dtype=bool)
    for block in at[at >= 9]:  # fewer points than ten are no test
        lower, middle, upper = _shift(means[0][: block + 1], means[1][: block + 1])
        edge = TOLERANCE * abs(middle)
        high[block], low[block] = lower > edge, upper < -edge
    return Looks(made.paired.rows.sum(axis=1).cumsum(), low, high)


def _shift(experiment: np.ndarray, control: np.ndarray) -> tuple[float, float, float]:
    """Return the interval of the shift between two samples, and its estimate: Hodges and Lehmann's."""
    pairs = (experiment[:, None] - control[None, :]).ravel()
    m, n = len(experiment), len(control)
    reach = norm.ppf((1 + CONFIDENCE) / 2) * np.sqrt(m * n * (m + n + 1) / 12)
    low = max(int(np.floor(m * n / 2 - reach)) - 1, 0)
    middle, high = m * n // 2, m * n - 1 - low
    found = np.partition(pairs, [low, middle, high])
    return float(found[low]), float(found[middle]), float(found[high])
