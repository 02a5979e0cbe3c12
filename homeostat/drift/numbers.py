"""How often each number of a vector is other than 0: one that vanishes is lost among thousands in a distance."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import special  # type: ignore[import-untyped]
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]

from homeostat.drift.psi import PSEUDO_COUNT
from homeostat.drift.tails import adjusted_p_values
from homeostat.drift.training_windows import TrainingWindows
from homeostat.vectors import PackedVectors, vector_rows

NUMBER = "number "
"""What the name of a number begins with; its index follows."""

_AT_ONCE = 1 << 22  # numbers of training rows
_ALIKE = 1e9  # degrees of freedom of what is known for certain
_DEGREES = (1e3, 100.0, 50.0, 30.0, 20.0, 12.0, 8.0, 6.0, 4.0, 3.0, 2.0, 1.0)  # of the prior, tried in this order
_MODERATED = 6.5  # degrees of freedom below which a variance is its own: unsteady numbers hide among the steady
_LEAST_SET = 5.0  # of a number in a usual window: below it the spread between windows is next to nothing but chance


@dataclass(frozen=True, slots=True)
class NumbersTest:
    """What each number of a vector says: arrays of shape (size,)."""

    p_values: np.ndarray  # adjusted after Benjamini and Hochberg
    indices: np.ndarray  # of the two bins: 0, and all else
    effects: np.ndarray  # the index less what calm windows give on average

    @property
    def p_value(self) -> float:
        """The chance that any number does this without drift (Simes)."""
        return float(np.min(self.p_values))

    def moved(self, level: float, least: float) -> dict[str, float]:
        """Return the index of each number that is significant at ``level`` and large enough, the largest first."""
        found = np.flatnonzero((self.p_values <= level) & (self.effects >= least))
        order = found[np.argsort(-self.indices[found], kind="stable")]
        return {f"{NUMBER}{i}": float(self.indices[i]) for i in order.tolist()}


@dataclass(frozen=True, slots=True)
class NumbersReference:
    """In what share of the reference's vectors each number is set, and how far calm windows lie from that.

    Variances between windows are estimated from few windows, so each is moderated by those of the other numbers; the
    prior is as wide as the most unsteady of them asks for, and counts for no more windows than they differ in ways.

    Source: Smyth (2004), "Linear models and empirical Bayes methods", doi:10.2202/1544-6115.1027; with
    quasi-likelihood, Lund et al. (2012), doi:10.1515/1544-6115.1826.
    """

    rows: float  # effective
    shares: tuple[float, ...]  # shape (size,)
    between: tuple[float, ...] = ()  # variance from window to window beyond chance, in the unit of 1 / rows
    usual: float = 0.0  # effective rows of a window
    windows: float = 1.0
    degrees: float = _ALIKE  # of freedom behind ``between``

    def test(self, counts: np.ndarray, rows: float) -> NumbersTest | None:
        """Return what each number says, None without vectors.

        Args:
            counts: In how many vectors of the window each number is set, shape (size,).
            rows: How many vectors there are.
        """
        if rows <= 0 or not self.shares:
            return None
        shares = np.minimum(self.shares, 1.0)  # older profiles hold shares a last digit above 1
        between = np.asarray(self.between) if self.between else np.zeros(shares.size)
        chance = 1 / self.rows + 1 / rows
        scale = chance + between * (max(1.0, self.usual / rows) + 1 / self.windows)
        likely = _likelihood_ratio(shares * self.rows, self.rows, counts, rows)
        p_values = special.fdtrc(1.0, self.degrees, np.maximum(likely * chance / scale, 0.0))
        before = (shares * self.rows + PSEUDO_COUNT) / (self.rows + 2 * PSEUDO_COUNT)
        now = (counts + PSEUDO_COUNT) / (rows + 2 * PSEUDO_COUNT)
        indices = (now - before) * (special.logit(now) - special.logit(before))
        return NumbersTest(adjusted_p_values(p_values), indices, indices - scale)

    def gain(self, counts: np.ndarray, rows: float, named: Iterable[str]) -> float:
        """Return the log-likelihood, in nats, that shares of their own give the numbers named over the reference."""
        places = [int(name.removeprefix(NUMBER)) for name in named if name.startswith(NUMBER)]
        if rows <= 0 or not places:
            return 0.0
        before = (np.asarray(self.shares)[places] * self.rows + PSEUDO_COUNT) / (self.rows + 2 * PSEUDO_COUNT)
        live = counts[places]
        own = special.xlogy(live, live / rows) + special.xlogy(rows - live, 1 - live / rows)
        return float(np.sum(own - special.xlogy(live, before) - special.xlogy(rows - live, 1 - before)))


def set_numbers(cells: np.ndarray | PackedVectors, size: int) -> np.ndarray:
    """Return in how many vectors of this size each number is other than 0, shape (size,)."""
    if isinstance(cells, np.ndarray):
        return np.asarray(np.count_nonzero(cells[~np.isnan(cells).any(axis=1)], axis=0), dtype=np.float64)
    known = cells.among(cells.sizes == size)
    if not known.indices.size:
        return np.asarray(np.count_nonzero(known.values.reshape(-1, size), axis=0), dtype=np.float64)
    return np.bincount(known.at[known.values != 0], minlength=size).astype(np.float64)


def numbers_reference(
    cells: pl.Series, size: int, weights: np.ndarray, windows: TrainingWindows | None
) -> NumbersReference:
    """Return in what share of training vectors each number is set, and how far windows of them lie apart.

    Args:
        cells: Lists, null where missing.
        size: Of the vectors that count.
        weights: Row weights, shape (n,).
        windows: As long as the live ones, of rows with vectors of this size alone; None where nothing is known.
    """
    known = (cells.list.len() == size).fill_null(value=False).to_numpy() & (weights > 0)
    place = np.where(known, 0, -1) if windows is None else np.where(known, windows.place, -1)
    whole, sums = _sums(cells, size, np.where(known, weights, 0.0), place)
    mass = weights[known]
    rows = float(mass.sum() ** 2 / np.sum(mass**2))
    # two sums of the same weights in two orders: a number that every row sets came out as a share above 1
    plain = NumbersReference(rows, tuple(np.clip(whole / mass.sum(), 0.0, 1.0).tolist()))
    return plain if windows is None else _between(plain, windows, sums)


def _between(plain: NumbersReference, windows: TrainingWindows, sums: np.ndarray) -> NumbersReference:
    """Return the reference with the moderated variance of each number between windows."""
    share, rows = windows.mass / windows.mass.sum(), windows.mass**2 / windows.squares
    spread = float(np.sum(share**2))
    usual, degrees = float(share @ rows), 1 / spread - 1
    points = sums / windows.mass[:, None]
    mean = share @ points
    chance = np.maximum(mean * (1 - mean), 1e-12)
    gaps = (points - mean) * np.sqrt(share * rows)[:, None] / np.sqrt(chance)
    ratios = np.sum(gaps**2, axis=0) / (1 - spread)
    steady = chance * usual >= _LEAST_SET
    prior, centre = _prior(ratios[steady], degrees)
    ways = np.linalg.eigvalsh(gaps[:, steady] @ gaps[:, steady].T)
    shape = float(ways.sum() ** 2 / np.sum(ways**2)) if ways.sum() > 0 else 1.0
    prior = min(prior, max(shape - 1, 0.0) * degrees)
    # never less than its own: a few unsteady numbers among many steady ones alarmed on 10 % of calm days at 5 %
    moderated = np.maximum((prior * centre + degrees * ratios) / (prior + degrees), ratios)
    between = np.maximum(moderated - 1, 0.0) / usual / windows.parts
    return NumbersReference(
        plain.rows,
        plain.shares,
        tuple(between.tolist()),
        usual * windows.parts,
        1 / spread / windows.parts,
        prior + degrees,
    )


def _prior(ratios: np.ndarray, degrees: float) -> tuple[float, float]:
    """Return the degrees of freedom and the centre of the variances' prior: the narrowest that none is out of.

    By its variance the prior would be too narrow where a few numbers are unsteady and most are not.
    """
    if not ratios.size or degrees < _MODERATED:
        return 0.0, 1.0
    upper = (np.arange(ratios.size) + 0.5) / ratios.size
    ordered, median = np.sort(ratios)[::-1], float(np.median(ratios))
    for prior in _DEGREES:
        centre = max(1.0, median / float(special.fdtri(degrees, prior, 0.5)))
        if np.all(ordered <= centre * special.fdtri(degrees, prior, 1 - upper)):
            return prior, centre
    return 0.0, 1.0


def _sums(cells: pl.Series, size: int, weights: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight of the rows that set each number, of all and by window."""
    count = int(place.max(initial=-1)) + 1
    sums = np.zeros((count + 1, size))
    step = max(1, _AT_ONCE // max(size, 1))
    for start in range(0, len(cells), step):
        at = np.flatnonzero(weights[start : start + step]) + start
        if at.size:
            told = (vector_rows(cells.gather(at), size) != 0).astype(np.float32)
            sums += csr_matrix((weights[at], (place[at] + 1, np.arange(at.size))), (count + 1, at.size)) @ told
    return sums.sum(axis=0), sums[1:]


def _likelihood_ratio(before: np.ndarray, rows: float, live: np.ndarray, live_rows: float) -> np.ndarray:
    """Return twice the log-likelihood ratio of two shares against one, continuity corrected.

    Its tails hold for rare numbers too, where those of an index or of a root are wrong by tenfold.
    """
    pooled = (before + live) / (rows + live_rows)
    due = pooled * live_rows
    nearer = live - np.clip(live - due, -0.5, 0.5)

    def log_likelihood(count: np.ndarray, of: float, share: np.ndarray) -> np.ndarray:
        return np.asarray(special.xlogy(count, share) + special.xlogy(of - count, 1 - share))

    own = log_likelihood(before, rows, before / rows) + log_likelihood(nearer, live_rows, nearer / live_rows)
    joint = (before + nearer) / (rows + live_rows)
    both = log_likelihood(before, rows, joint) + log_likelihood(nearer, live_rows, joint)
    return np.asarray(2 * (own - both))
