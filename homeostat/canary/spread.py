"""How uncertain a mean is whose rows depend on each other: through their time, and through their entity."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MIN_BATCHES = 24
"""Blocks are joined to longer ones as long as this many are left to compare."""

MIN_GROUPS = 20
"""Fewer entities than this are no sample of entities: those seen are all there are, and will be the same tomorrow."""

_BY_CHANCE = 0.5  # standard errors that groups which have nothing in common may seem to, before it counts

_MAX_CARRY = 0.5  # correlation of neighbours that is corrected for; more of it is a model that turned bad meanwhile
_TINY = 1e-300
_MOST_FREEDOM = 1e12  # as good as known


@dataclass(frozen=True, slots=True)
class Spread:
    """What is known of a mean after each block."""

    rows: Floats  # so far, shape (n_blocks,)
    mean: Floats  # shape (n_blocks,)
    variance: Floats  # of the mean; one row for each length of batches, shape (n_lengths, n_blocks)
    freedom: Floats  # degrees of freedom behind each variance, same shape


def spread_of(rows: Floats, sums: Floats) -> Spread:
    """Return the mean a row after each block and its variance, whatever the rows of a block or entity share.

    Only sums of blocks are compared, so rows of one block may depend on each other in any way. What is carried
    from block to block is corrected for as that of an autoregression, and blocks joined in pairs, fours and so on
    are compared too, because what lasts longer shows there. To that comes what one group's rows have in common
    beyond a block: the part of the two-way variance that time does not see.

    Args:
        rows: Rows by block in time order and by group of entities, shape (n_blocks, n_groups).
        sums: Sum of the values of those rows, same shape.

    Source: batch means, Flegal and Jones (2010), doi:10.1214/09-AOS735; two-way clusters, Cameron, Gelbach and
    Miller (2011), doi:10.1198/jbes.2010.07136; degrees of freedom, Satterthwaite (1946), doi:10.2307/3002019.
    """
    block_rows = rows.sum(axis=1)
    total = np.maximum(block_rows.cumsum(), 1.0)
    centre = sums.sum() / max(block_rows.sum(), 1.0)  # against cancellation in the squares below
    centred = sums - centre * rows
    block_sums = centred.sum(axis=1)
    mean = block_sums.cumsum() / total
    shared, groups = _between_groups(rows, centred, mean)
    lengths = 2 ** np.arange(max(1, int(np.log2(max(len(rows) / MIN_BATCHES, 1.0))) + 1))
    batches = [_between_batches(block_rows, block_sums, mean, int(length)) for length in lengths]
    own = np.array([squares for squares, _ in batches])
    own[0] *= _carried(block_rows, block_sums, mean)
    own_freedom = np.array([freedom for _, freedom in batches])
    both = np.maximum(own + shared, _TINY)
    freedom = 1 / np.maximum((own / both) ** 2 / own_freedom + (shared / both) ** 2 / groups, _MOST_FREEDOM**-1)
    return Spread(total, mean + centre, (own + shared) / total**2, freedom)


def _between_batches(rows: Floats, sums: Floats, mean: Floats, length: int) -> tuple[Floats, Floats]:
    """Return after each block the squared deviations of batches of ``length`` blocks, and their degrees of freedom.

    The last batch may be incomplete. Zero where too few batches are complete to say something; longer batches,
    being few, say it only as far as they exceed what chance makes of few.
    """
    place = np.arange(len(rows))
    first = place // length * length
    r, s = _since(rows, first), _since(sums, first)
    ended = place % length == length - 1
    parts = np.array([s * s, s * r, r * r, r**4])
    before = np.where(ended, parts, 0.0).cumsum(axis=1) - np.where(ended, parts, 0.0)
    ss, sr, rr, r4 = before + parts
    alike = rr**2 / np.maximum(r4, _TINY)  # so many batches of equal size would know as much
    freedom = np.maximum(alike - 1, 1e-9)
    squares = np.maximum(ss - 2 * mean * sr + mean**2 * rr, 0.0) * alike / freedom
    if length > 1:
        complete = (place + 1) / length
        squares = np.where(complete >= MIN_BATCHES, squares / (1 + np.sqrt(2 / complete)), 0.0)
    return squares, freedom


def _since(values: Floats, first: NDArray[np.intp]) -> Floats:
    """Return the sum of the values from the place ``first`` names up to each place."""
    before = np.concatenate([[0.0], values.cumsum()])
    return np.asarray(before[1:] - before[first])


def _carried(rows: Floats, sums: Floats, mean: Floats) -> Floats:
    """Return by what a block's likeness to the next one multiplies the variance; never less than 1.

    It counts as far as it exceeds what chance makes of blocks that are not alike, one standard error.
    """
    squares = _quadratic(sums * sums, sums * rows, rows * rows, mean)
    shifted_rows, shifted_sums = np.roll(rows, 1), np.roll(sums, 1)
    shifted_rows[:1], shifted_sums[:1] = 0.0, 0.0
    mixed = (sums * shifted_rows + rows * shifted_sums) / 2
    likeness = _quadratic(sums * shifted_sums, mixed, rows * shifted_rows, mean) / np.maximum(squares, _TINY)
    kept = np.clip(likeness - 1 / np.sqrt(np.arange(1, len(rows) + 1)), 0.0, _MAX_CARRY)
    return np.asarray((1 + kept) / (1 - kept))


def _quadratic(ss: Floats, sr: Floats, rr: Floats, mean: Floats) -> Floats:
    """Return the cumulated products of deviations from the mean so far."""
    return np.asarray(ss.cumsum() - 2 * mean * sr.cumsum() + mean**2 * rr.cumsum())


def _between_groups(rows: Floats, sums: Floats, mean: Floats) -> tuple[Floats, Floats]:
    """Return after each block the squared deviations that groups share beyond blocks, and their degrees of freedom."""
    r, s = rows.cumsum(axis=0), sums.cumsum(axis=0)
    squares = r * r
    alike = squares.sum(axis=1) ** 2 / np.maximum((squares * squares).sum(axis=1), _TINY)
    between = ((s - mean[:, None] * r) ** 2).sum(axis=1)
    within = _quadratic((sums * sums).sum(axis=1), (sums * rows).sum(axis=1), (rows * rows).sum(axis=1), mean)
    by_chance = within * (1 + _BY_CHANCE * np.sqrt(2 / np.maximum(alike, 1.0)))
    shared = np.where((r > 0).sum(axis=1) >= MIN_GROUPS, np.maximum(between - by_chance, 0.0), 0.0)
    return shared, np.maximum(alike - 1, 1.0)
