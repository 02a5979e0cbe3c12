"""What can be wrong with a column, and all that is known of a sound one to tell it by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from homeostat.drift.bins import Bins
from homeostat.drift.cells import CellCoder
from homeostat.drift.norms import VARIED, Norm, column_gap, dominant
from homeostat.drift.numerals import Numerals

STUCK = 0.98  # share of one value
SLACK = 0.05  # beyond what calm pieces do
_OFTEN = 0.6  # share of a value in a calm piece from which all of the next one may well have it


class FaultKind(StrEnum):
    """What can break a column."""

    UNIT = "unit_change"
    SWAPPED = "swapped_columns"
    STUCK = "stuck_value"
    NULLS = "null_burst"
    VOCABULARY = "new_vocabulary"
    VANISHED = "vanished_category"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, the columns it is in, and what shows it."""

    kind: FaultKind
    columns: tuple[str, ...]
    what: str
    factor: float | None = None  # of a change of unit


@dataclass(frozen=True, slots=True)
class Reference:
    """One column as it was at training time."""

    coder: CellCoder
    place: int  # among the coder's columns
    counts: np.ndarray  # (n_bins,), the last for missing values
    norm: Norm
    numerals: Numerals | None = None  # how its numbers are written; None for texts, vectors and in old profiles

    @property
    def bins(self) -> Bins:
        """The column's bins."""
        return self.coder.columns[self.place]

    def gap(self, values: np.ndarray) -> float:
        """Return how far known values of a cell matrix, of this column or of another, lie from it."""
        return column_gap(self.bins, self.counts, self.coder.places(self.place, values))

    def finer(self, values: np.ndarray) -> float:
        """Return the share of numbers other than zero with more decimals than it has, 0 where that is not known."""
        return 0.0 if self.numerals is None else self.numerals.finer(values)

    def known(self, values: np.ndarray) -> float:
        """Return the share of its range's numbers that came back in training, as ``Numerals.known`` does."""
        return 1.0 if self.numerals is None else self.numerals.known(values)

    def stuck_at(self, values: np.ndarray) -> float | None:
        """Return the value that a column is stuck at, as it reads it, None where calm pieces are so too.

        Where calm pieces stand still at some values it is another one of its own: at a new one, all may have moved
        by as much.
        """
        value, share = dominant(values)
        if share < STUCK:
            return None
        place = float(self.coder.places(self.place, np.asarray([value])).item())
        if self.norm.dominance <= VARIED:
            often = not self.bins.categorical and self.norm.dominance > _OFTEN
            return None if often and place == self.norm.dominant else place
        usual, written = self.norm.constants, self.numerals
        own = written is not None and written.filter and written.known(np.asarray([place])) == 1.0
        return place if usual and own and place not in usual else None


def references(
    coder: CellCoder,
    counts: Sequence[Sequence[float]],
    norms: Sequence[Norm],
    numerals: Mapping[int, Numerals],
) -> list[Reference]:
    """Return every feature as it was at training time; the arguments are in the order of the features, or by it."""
    each = enumerate(zip(counts, norms, strict=True))
    return [Reference(coder, j, np.asarray(count), norm, numerals.get(j)) for j, (count, norm) in each]
