"""A change of unit: what a column's values have to be divided by to look calm again."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite, log

import numpy as np

from homeostat.drift.bins import Bins
from homeostat.drift.faults import SLACK, Reference

_SURE = 8.0  # no drift multiplies a column by so much
_MOST = 0.5  # share of values of an unheard-of size
_HARDLY = 0.1  # of them once it is undone
_APART = 0.9  # distance from which a known factor smaller than that is believed: hardly any value is where one was
_BETTER = 0.15  # by so much at least the distance has to fall
_ZERO = 30.0  # degrees may come so much nearer to zero in a cold week
_NEAR = 1.6  # a piece's level is known up to about this factor
_OFF = 0.1  # of distance that a factor's logarithm off the ratio of the quantiles is worth
_FEW = 30  # numbers other than zero below which their size and digits say nothing
_DISTINCT = 3  # values that all come back once a factor is undone: of fewer, chance may do so
_SPREAD = 0.25  # the middle half may be wider by so much, by chance

_FACTORS = (
    *(10.0, 100.0, 1000.0, 1e6, 8.0, 1024.0, 12.0),  # tenths, percent, thousands, millions, bits, kibi, dozens
    *(7.0, 24.0, 60.0, 3600.0, 86_400.0),  # time
    *(1.609344, 1.943844, 3.6, 3.28084, 30.48, 2.54, 25.4),  # miles, knots, km/h, feet, inches
    *(2.204623, 28.349523, 3.785412),  # pounds, ounces, gallons
)
_KNOWN = tuple(sorted({*_FACTORS, *(1 / factor for factor in _FACTORS)}))
_SHIFTED = ((1.8, 32.0), (1 / 1.8, -32 / 1.8), (1.0, 273.15), (1.0, -273.15))  # degrees C, F and K


@dataclass(frozen=True, slots=True)
class Conversion:
    """``new = factor * old + shift``, and what speaks for it."""

    factor: float
    shift: float
    known: bool  # a constant that units are converted by
    rough: float  # the factor that the quantiles give
    gap: float  # distance to the reference once it is undone

    def words(self) -> str:
        """Return it as a formula."""
        return f"x{self.factor:.4g}{f' {self.shift:+g}' if self.shift else ''}"


def unit_change(one: Reference, values: np.ndarray) -> Conversion | None:
    """Return the change of unit that a column's values show, None where they show none.

    Undone, it must make the values look calm. A factor of 8 is no drift, whatever it is; a smaller one has to be
    a known conversion that leaves hardly any value where one was, and as wide as before. A column that is too wide
    for such a factor may have drifted instead: that is what it is then called. Where pieces don't look like the
    whole anyway, most values have to be of a size that the reference never had, or written as hardly any there, and
    as usual when undone; the constant is then a guess among the known ones.

    Args:
        one: A column of numbers.
        values: Known live values, shape (n,).
    """
    if len(one.bins.edges) < 2:  # without values
        return None
    found = _by_distribution(one, values) if one.norm.is_typical else None
    return found or _by_numerals(one, values)


def _by_distribution(one: Reference, values: np.ndarray) -> Conversion | None:
    before, most = one.gap(values), one.norm.gap + SLACK
    if before < most:
        return None
    levels = np.cumsum(one.counts[:-2]) / one.counts[:-1].sum()
    told = [
        Conversion(factor, shift, known, rough, one.gap((values - shift) / factor))
        for factor, shift, known, rough in _candidates(np.asarray(one.bins.edges), levels, values)
    ]
    calm = [each for each in told if each.gap <= min(most, before - _BETTER)]
    fitting = [each for each in calm if _is_large(each) or _is_apart(each, before, one.bins, levels, values)]
    return min(fitting, key=_doubt, default=None)


def _by_numerals(one: Reference, values: np.ndarray) -> Conversion | None:
    """Return what the size of numbers and how they are written show, where their distribution says nothing."""
    rest = values[values != 0]
    lost_zeros = one.norm.zeros > _MOST and rest.size == values.size  # no factor makes them something else
    if rest.size < _FEW or lost_zeros or not one.norm.most:
        return None
    shown = _Shown.by(one, values, rest)
    if not (shown.far or shown.strange):
        return None
    rough = float(np.median(np.abs(rest))) / _usual_size(one)
    told = [
        Conversion(factor, 0.0, known=True, rough=rough, gap=one.gap(values / factor))
        for factor in _KNOWN
        if abs(log(factor)) >= log(_SURE) and one.norm.outside(rest / factor) < _HARDLY
    ]
    fitting = [each for each in told if shown.by_size(one, rest, each) or shown.by_digits(one, rest, each)]
    return min(fitting, key=lambda each: _doubt(each) + _strangeness(one, rest / each.factor), default=None)


def _strangeness(one: Reference, values: np.ndarray) -> float:
    known = one.known(values)
    return one.finer(values) - (known if isfinite(known) else 0.0)


def _usual_size(one: Reference) -> float:
    """Return the median size of the reference's numbers other than zero."""
    sizes, weights = np.abs(one.bins.edges), np.where(np.asarray(one.bins.edges) == 0, 0.0, one.counts[:-2])
    order = np.argsort(sizes)
    mass = np.cumsum(weights[order])
    return max(float(sizes[order][np.searchsorted(mass, mass[-1] / 2)]), np.finfo(float).tiny)


@dataclass(frozen=True, slots=True)
class _Shown:
    """What numbers other than zero show by their size and by how they are written."""

    far: bool  # most are of a size that the reference never had
    beyond: bool  # of no size that a drift could give them
    finer: float  # share with more decimals than there
    strange: bool  # most are, or hardly any came back there
    gap: float

    @staticmethod
    def by(one: Reference, values: np.ndarray, rest: np.ndarray) -> "_Shown":
        finer, norm = one.finer(rest), one.norm
        varied = np.unique(rest).size >= _DISTINCT or bool(norm.constants)
        sizes = np.abs(rest)
        beyond = float(np.mean((sizes > _SURE * norm.most) | (sizes < norm.least / _SURE))) > _MOST
        strange = finer > _MOST or (varied and one.known(rest) < _HARDLY)
        return _Shown(norm.outside(rest) > _MOST, beyond, finer, strange, one.gap(values))

    def by_size(self, one: Reference, rest: np.ndarray, undone: Conversion) -> bool:
        """Whether numbers were too large or too small; not as those of a storm: new ones, but written as usual.

        Where pieces look like the whole, the undone ones have to.
        """
        if one.norm.is_typical and undone.gap > one.norm.gap + SLACK:
            return False
        natural = self.finer < _HARDLY and not self.beyond and one.finer(rest / undone.factor) > _MOST
        return self.far and not natural and _is_large(undone) and not 1 / _ZERO < undone.factor < 1

    def by_digits(self, one: Reference, rest: np.ndarray, undone: Conversion) -> bool:
        """Whether numbers were written as hardly any in the reference, and are as there once a factor is undone."""
        if not self.strange or undone.gap > self.gap + _OFF or one.finer(rest / undone.factor) >= _HARDLY:
            return False
        return one.numerals is not None and one.known(rest / undone.factor) >= one.numerals.steady - SLACK


def _doubt(one: Conversion) -> float:
    """Return what speaks against it: the distance left, how far it is off the quantiles, and being unknown."""
    return one.gap + _OFF * abs(log(one.factor / one.rough)) - SLACK * one.known


def _candidates(
    edges: np.ndarray, levels: np.ndarray, values: np.ndarray
) -> Iterator[tuple[float, float, bool, float]]:
    """Give factor, shift, whether it is a known conversion, and the ratio of the quantiles that it is near."""
    for factor, shift in _SHIFTED:
        yield factor, shift, True, factor
    nothing = float(np.diff(levels, prepend=0.0)[edges == 0].sum())  # zeros stay what they are: of the rest alone
    levels = (levels - nothing * (edges >= 0)) / (1 - nothing) if nothing < 1 else levels
    inner, rest = (levels > 0.02) & (levels < 0.98) & (edges != 0), values[values != 0]
    if not inner.any() or not rest.size:
        return
    ratios = np.quantile(rest, levels[inner], method="inverted_cdf") / edges[inner]
    usable = ratios[np.isfinite(ratios) & (ratios > 0)]
    if not usable.size:
        return
    rough = float(np.exp(np.median(np.log(usable))))  # of two factors their geometric mean, which is finite too
    yield rough, 0.0, False, rough
    for factor in _KNOWN:
        if abs(log(factor / rough)) < log(_NEAR):
            yield factor, 0.0, True, rough


def _is_large(one: Conversion) -> bool:
    return not one.shift and abs(log(one.factor)) >= log(_SURE) and abs(log(one.rough)) >= log(_SURE / _NEAR)


def _is_apart(one: Conversion, before: float, column: Bins, levels: np.ndarray, values: np.ndarray) -> bool:
    return one.known and before >= _APART and _same_spread(one, column, levels, values)


def _same_spread(one: Conversion, column: Bins, levels: np.ndarray, values: np.ndarray) -> bool:
    """Return whether the middle half of the undone values is as wide as the reference's, or narrower, as one day's."""
    ends = np.asarray(column.edges)[np.minimum(np.searchsorted(levels, (0.25, 0.75)), len(column.edges) - 1)]
    live = np.quantile((values - one.shift) / one.factor, (0.25, 0.75))
    return bool(np.ptp(live) <= np.ptp(ends) * (1 + _SPREAD))
