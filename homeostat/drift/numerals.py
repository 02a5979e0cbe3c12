"""How a column's numbers are written: which of them come back, and where their last digit stands."""

from dataclasses import dataclass, replace

import numpy as np

_POWERS = np.arange(-8.0, 7.0)[:, None]  # of ten, that a last digit is looked for at
_PLACES = np.arange(1, _POWERS.size + 1)[:, None]
_UP, _DOWN = 10 ** np.maximum(-_POWERS, 0), 10 ** np.maximum(_POWERS, 0)
_FIGURES = 1e12  # times that power: beyond it a float's own rounding looks like a digit
_RARE = 0.01  # share of numbers that may have more decimals than a column's own
_MOST = 1024  # values kept: the filter then takes 1 KiB
_BITS = 8  # of the filter for each value, and
_HASHES = 4  # of them set: 2.4 % of strangers pass; next to none where values are few, as
_LEAST_BITS = 1024  # at least are kept
_ENOUGH, _ENOUGH_TRAINED = 300, 10_000  # numbers that show where last digits are, of a piece and of all rows
_STEADY = 0.5  # share of values that come back in the stretch that has the fewest: less, and new ones say nothing
_COVERED = 0.5  # share of the known cells that the kept values have at least, else they say nothing


@dataclass(frozen=True, slots=True)
class Numerals:
    """The places of last digits, and a Bloom filter of the values that more than one stretch of training rows had.

    A change of unit or another column's values show in them where the distribution says nothing, as the weather's:
    a warm week has other temperatures, but written with as many decimals.

    Source: Bloom (1970), "Space/time trade-offs in hash coding with allowable errors", doi:10.1145/362686.362692.
    """

    last: tuple[float, ...]  # share of the numbers other than zero by power of ten, the first for none found
    filter: bytes = b""  # empty where values don't come back in each stretch of time
    steady: float = 0.0  # share of known values that came back in the stretch that had the fewest of them
    low: float = 0.0  # of the values that came back: one beyond them is new whatever its unit
    high: float = 0.0

    def off(self, last: np.ndarray) -> float:
        """Return how far shares of last digits lie from the training's, 0 to 1 (total variation), 0 for no digits."""
        return float(np.abs(last - np.asarray(self.last)).sum() / 2) if last.any() else 0.0

    def finer(self, values: np.ndarray) -> float:
        """Return the share of numbers other than zero with more decimals than the training's have."""
        there, usual = _spread(values), int(np.argmax(np.cumsum(self.last) > _RARE))
        return float(np.mean(_last_digits(there) < usual)) if there.size else 0.0

    def known(self, values: np.ndarray) -> float:
        """Return the share of known values that came back in training, 1 where nothing is known of that.

        Only those within the range of what came back say something; NaN where that is less than half of them.
        """
        if not self.filter or not values.size:
            return 1.0
        within = values[(values >= self.low) & (values <= self.high)]
        if 2 * within.size < values.size:
            return np.nan
        bits = np.unpackbits(np.frombuffer(self.filter, dtype=np.uint8))
        return float(np.mean(bits[_hashes(_keys(within), bits.size)].all(axis=0)))


def numerals(values: np.ndarray, pieces: np.ndarray) -> Numerals | None:
    """Return how numbers are written, None where there is none but zero.

    What comes back is believed of a column only whose values do in each stretch of either half of the training rows,
    by the other half: a rate of a few rows has new values every day.

    Args:
        values: Training values, shape (n,), NaN where missing.
        pieces: Which stretch of time each is of, shape (n,).
    """
    known = np.isfinite(values)
    values, pieces = values[known], pieces[known]
    if not (values != 0).any():
        return None
    first = np.asarray(pieces <= np.median(pieces))
    steady = min(_steadiness(values, pieces, learnt) for learnt in (first, ~first))
    one = Numerals(tuple(last_digits(values, _ENOUGH_TRAINED).tolist()), steady=steady)
    return _with_filter(one, values, pieces) if steady >= _STEADY else one


def _steadiness(values: np.ndarray, pieces: np.ndarray, learnt: np.ndarray) -> float:
    """Return the least share of values in any other stretch that come back in those learnt, 0 if that says nothing."""
    if not learnt.any():
        return 0.0
    one, there = _with_filter(Numerals(()), values[learnt], pieces[learnt]), ~learnt & (values != 0)
    if not one.filter:
        return 0.0
    shares = [one.known(values[there & (pieces == piece)]) for piece in np.unique(pieces[there])]
    return float(np.nanmin(shares)) if np.isfinite(shares).any() else 0.0


def last_digits(values: np.ndarray, most: int = _ENOUGH) -> np.ndarray:
    """Return the shares of numbers other than zero by the place of their last digit, all 0 for none; see ``last``."""
    there = _spread(values, most)
    return np.bincount(_last_digits(there), minlength=_POWERS.size + 1) / max(there.size, 1)


def _spread(values: np.ndarray, most: int = _ENOUGH) -> np.ndarray:
    """Return so many numbers other than zero at most, every so many of them."""
    there = values[values != 0]
    return np.asarray(there[:: max(1, -(-there.size // most))])


def _with_filter(one: Numerals, values: np.ndarray, pieces: np.ndarray) -> Numerals:
    """Return it with the values that came back in another stretch, as it is where those are too few."""
    found, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    if found.size > (1 + _COVERED) / 2 * values.size:
        return one
    width = int(pieces.max()) + 1
    seen = np.unique(inverse * width + pieces) // width
    again = np.flatnonzero(np.bincount(seen, minlength=found.size) > 1)
    kept = again[np.argsort(-counts[again], kind="stable")[:_MOST]]
    if counts[kept].sum() < _COVERED * values.size:
        return one
    bits = np.zeros(max(_LEAST_BITS, kept.size * _BITS), dtype=np.uint8)
    bits[_hashes(_keys(found[kept]), bits.size)] = 1
    low, high = float(found[kept].min()), float(found[kept].max())
    return replace(one, filter=np.packbits(bits).tobytes(), low=low, high=high)


def _keys(values: np.ndarray) -> np.ndarray:
    """Return values as bits of single precision: what was multiplied and divided again is still the same."""
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float32) + np.float32(0)  # no negative zero
    return rounded.view(np.uint32).astype(np.uint64)


def _hashes(keys: np.ndarray, size: int) -> np.ndarray:
    """Return the bits of each key, shape (_HASHES, n).

    Source: Steele, Lea and Flood (2014), doi:10.1145/2714064.2660195, for the mixing; Kirsch and Mitzenmacher (2008),
    doi:10.1002/rsa.20208, for two hashes that make many.
    """
    mixed = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    first, step = mixed & np.uint64(0xFFFFFFFF), (mixed >> np.uint64(32)) | np.uint64(1)
    return np.asarray((first + np.arange(_HASHES, dtype=np.uint64)[:, None] * step) % np.uint64(size))


def _last_digits(values: np.ndarray) -> np.ndarray:
    """Return the place of the last digit of numbers other than zero: 1 for 10**-8, one more for each ten, 0 for none.

    >>> _last_digits(np.array([0.25, 32.0, 40.0, 1 / 3])).tolist()
    [7, 9, 10, 0]
    """
    with np.errstate(over="ignore", invalid="ignore"):  # what is too large for a float has no last digit
        scaled = values * _UP / _DOWN  # one of them is 1: a tenth is no float
        size = np.abs(scaled)
        whole = np.abs(scaled - np.rint(scaled)) <= 1e-6 + 1e-15 * size
    return np.asarray(np.max(_PLACES * (whole & (size < _FIGURES) & (size > 1 / 2)), axis=0))
