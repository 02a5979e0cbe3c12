"""Counts of one stretch of live rows on a profile's bins: mergeable, and as small as the bins."""

from collections.abc import Sequence

import numpy as np

from homeostat.drift.bins import Cells, Coder
from homeostat.drift.draws import WIDTH
from homeostat.drift.embedding import Embedder
from homeostat.drift.numbers import set_numbers
from homeostat.drift.profile import Profile
from homeostat.drift.seasons import HOURS, hours_of
from homeostat.records import Cell

_CHUNK = 16_384  # rows coded at once: keeps the embedding of a large window in the processor's cache


class Counter:
    """A profile made ready to count rows; share one over all counts of the profile."""

    def __init__(self, profile: Profile) -> None:
        """Prepare bins and embedding once."""
        sizes = [column.size for column in profile.columns]
        reference = [np.asarray(count) for count in profile.counts]
        self.profile = profile
        self.starts = np.cumsum([0, *sizes])
        self.coder = Coder(profile.columns)
        self.embedder = Embedder(profile.columns[:-1], reference[:-1], profile.embedding.seed)


class WindowCounts:
    """How many rows fell into each bin of each column, what texts show, and the sum of the rows' embeddings."""

    def __init__(self, counter: Counter) -> None:
        """Start with no rows."""
        self.counter = counter
        self.rows = 0
        self.bins = np.zeros(int(counter.starts[-1]))
        self.embedding = np.zeros(WIDTH)
        season = counter.profile.season
        self.hours = np.zeros(HOURS[season.season] if season else 0)  # rows of each hour of the season
        self.texts = {j: np.zeros(len(text.counts)) for j, text in counter.profile.texts.items()}
        self.vectors = {j: np.zeros(WIDTH) for j in counter.profile.vectors}  # sums of their Fourier features
        # vectors in which each number is set; nothing in an old profile says what to hold them against
        self.numbers = {j: np.zeros(each.size) for j, each in counter.profile.vectors.items() if each.numbers}

    def add(self, values: Sequence[tuple[Cell, ...]], scores: Sequence[float], times_s: Sequence[float] = ()) -> None:
        """Count rows given as tuples in feature order, each with its score and event time."""
        if values:
            self.add_times(times_s)
            self.add_columns([*zip(*values, strict=True)], scores)

    def add_columns(self, columns: Sequence[Cells], scores: Sequence[float] | np.ndarray) -> None:
        """Count rows given as one sequence per feature; arrays of numbers and series of texts or lists are fastest."""
        for start in range(0, len(scores), _CHUNK):
            part = slice(start, start + _CHUNK)
            cells = [self._read(j, column[part]) for j, column in enumerate(columns)]
            codes = self.counter.coder.codes([*cells, scores[part]])
            mapped = self.counter.embedder.features(codes[:, :-1], self.counter.profile.embedding.bandwidth)
            self.embedding += mapped.sum(axis=0, dtype=np.float64)
            for j, text in self.counter.profile.texts.items():
                tail = codes[:, j] == self.counter.profile.columns[j].missing - 1
                self.texts[j] += text.counted(cells[j], tail)
            for j in self.vectors:
                self.vectors[j] += self._total(j, cells[j])
            for j in self.numbers:
                self.numbers[j] += set_numbers(cells[j], self.numbers[j].size)  # type: ignore[arg-type] # as read
            flat = (codes + self.counter.starts[:-1]).ravel(order="K")
            self.bins += np.bincount(flat, minlength=self.bins.size)
            self.rows += len(codes)

    def _read(self, j: int, cells: Cells) -> Cells:
        """Return cells as they are; vectors packed, since they are read twice."""
        vector = self.counter.profile.columns[j].vector
        return cells if vector is None else vector.rows(cells)  # type: ignore[arg-type, return-value] # by the contract

    def _total(self, j: int, cells: Cells) -> np.ndarray:
        drawn = self.counter.profile.columns[j].vector
        assert drawn is not None  # noqa: S101 - for the type checker: the reference is of vectors
        return self.counter.profile.vectors[j].total(drawn, cells)  # type: ignore[arg-type] # by the contract

    def add_times(self, times_s: Sequence[float] | np.ndarray) -> None:
        """Count the hours of the season that rows are of, given their event times."""
        if (season := self.counter.profile.season) is not None:
            self.hours += np.bincount(hours_of(np.asarray(times_s), season.season), minlength=self.hours.size)

    def merge(self, other: "WindowCounts") -> None:
        """Add the rows of another stretch, counted on the same profile."""
        self.rows += other.rows
        self.bins += other.bins
        self.embedding += other.embedding
        self.hours += other.hours
        for mine, others in zip(
            (self.texts, self.vectors, self.numbers), (other.texts, other.vectors, other.numbers), strict=True
        ):
            for j, sums in others.items():
                mine[j] += sums

    def column(self, j: int) -> np.ndarray:
        """Return the counts of column ``j``, shape (n_bins,); the score is the last column."""
        return self.bins[self.counter.starts[j] : self.counter.starts[j + 1]]
