"""The profile of a champion: what its training rows looked like, to hold live windows against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import msgspec
import numpy as np
import polars as pl

from homeostat.drift.bins import Bins, Cells, Coder, category_bins, number_bins
from homeostat.drift.cells import CellCoder
from homeostat.drift.design import INDEPENDENT, Design
from homeostat.drift.domain import DomainReference
from homeostat.drift.embedding import Embedder, EmbeddingReference, embedding_reference
from homeostat.drift.label_rate import LabelReference
from homeostat.drift.norms import PIECE_ROWS, SCALES, Norm, norms, written_numbers
from homeostat.drift.numerals import Numerals
from homeostat.drift.seasons import SeasonReference
from homeostat.drift.texts import TextReference, text_designs, text_reference
from homeostat.drift.training_windows import TrainingWindows, borne, column_designs, cut
from homeostat.drift.vectors import VectorReference, vector_bins, vector_reference
from homeostat.errors import ModelError, NotEnoughDataError
from homeostat.records import Attribution

FILE = "profile.json"
"""The name under which a model package carries its profile."""

SCORE = "prediction"
"""The column of the model's own score, after the features."""

_EMBEDDED_ROWS = 20_000  # a sample: the covariance of 64 directions gains nothing from more


@dataclass(frozen=True, slots=True)
class Profile:
    """Reference histograms of every feature and of the score, and the performance promised at training."""

    columns: tuple[Bins, ...]  # the features in contract order, then the score
    counts: tuple[tuple[float, ...], ...]  # per column and bin, summing to ``rows``
    rows: float  # reference rows, effective where they were weighted
    embedding: EmbeddingReference
    expected_loss: float  # mean of the forward validation
    expected_loss_se: float = 0.0  # its standard error over the validation blocks, 0 if unknown
    # how far the training windows lay apart: of each column's index, of its gap, and of the embedding
    index_designs: tuple[Design, ...] = ()
    gap_designs: tuple[Design, ...] = ()
    embedding_design: Design = INDEPENDENT
    # what faults are named by, in pieces of each of SCALES: norms of the features, then of the event time
    norms: tuple[tuple[Norm, ...], ...] = ()
    attribution: tuple[Attribution, ...] = ()  # what each feature is to the champion
    texts: dict[int, TextReference] = field(default_factory=dict)  # by place, of the columns of many texts
    domain: DomainReference | None = None  # where the contract asks for the classifier
    season: SeasonReference | None = None  # where it asks for one and the training span has enough of them
    vectors: dict[int, VectorReference] = field(default_factory=dict)  # by place, of the vector columns
    labels: LabelReference | None = None  # none in old profiles
    numerals: dict[int, Numerals] = field(default_factory=dict)  # by place, how the numbers of a column are written

    @property
    def features(self) -> tuple[str, ...]:
        """The feature names in order."""
        return tuple(column.name for column in self.columns[:-1])

    def to_bytes(self) -> bytes:
        """Return the profile as JSON."""
        return msgspec.json.encode(self)

    @staticmethod
    def from_bytes(data: bytes) -> "Profile":
        """Return the profile stored as JSON.

        Raises:
            ModelError: The bytes are not a profile.
        """
        try:
            return msgspec.json.decode(data, type=Profile)
        except msgspec.DecodeError as error:
            raise ModelError(f"{FILE} can't be read: {error}") from error


def stored_profile(files: Mapping[str, bytes], features: Sequence[str]) -> Profile:
    """Return the profile among a model package's files.

    Raises:
        ModelError: There is none, or it is of other features than these.
    """
    if FILE not in files:
        raise ModelError(f"its package has no {FILE}")
    profile = Profile.from_bytes(files[FILE])
    if profile.features != tuple(features):
        raise ModelError(f"{FILE} has other features than the contract")
    return profile


def build_profile(
    frame: pl.DataFrame,
    features: Sequence[str],
    categorical: frozenset[str],
    scores: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    expected_loss: float,
    seed: int,
    window: timedelta | None = None,
) -> Profile:
    """Return the profile of the rows a model learnt from.

    Args:
        frame: One column per feature, numbers as float64, categories as str and vectors as lists, n rows; with
            ``window`` also ``event_time``.
        features: Column names in contract order.
        categorical: The features that are categories.
        scores: The model's score of each row, shape (n,).
        weights: Training weight of each row, shape (n,); None for equal weights.
        expected_loss: Mean loss of the forward validation.
        seed: Draws the embedding.
        window: Span of the live windows: training windows of this span then show how far calm ones lie apart,
            each row counting with its weight. None takes rows as independent.

    Raises:
        NotEnoughDataError: There are no rows, or no row has weight.
    """
    mass = np.ones(len(scores)) if weights is None else np.asarray(weights, dtype=np.float64)
    if mass.sum() <= 0:
        raise NotEnoughDataError("a profile needs at least one training row with weight")
    cells: list[Cells] = [_cells(frame, name, categorical) for name in features]
    columns = tuple(_bins(name, column, categorical, mass, seed) for name, column in zip(features, cells, strict=True))
    columns += (number_bins(SCORE, np.asarray(scores, dtype=np.float64), mass),)
    codes = Coder(columns).codes([*cells, scores])
    rows = float(mass.sum() ** 2 / np.sum(mass**2))  # Kish's effective number of rows
    share = mass * rows / mass.sum()
    counts = [np.bincount(codes[:, j], weights=share, minlength=column.size) for j, column in enumerate(columns)]
    sample = np.random.default_rng(seed).permutation(len(codes))[:_EMBEDDED_ROWS]
    sample = sample[mass[sample] > 0]
    embedder = Embedder(columns[:-1], counts[:-1], seed)
    windows = cut(frame["event_time"], mass, window) if window is not None else None
    place = windows.place[sample] if windows is not None else None
    reference = embedding_reference(embedder, codes[sample, :-1], mass[sample], seed, place)
    texts = _texts(columns, cells, codes, share)
    yardsticks, written = _norms(columns[:-1], counts[:-1], cells, frame, window)
    profile = Profile(
        columns=columns,
        counts=tuple(tuple(count.tolist()) for count in counts),
        rows=rows,
        embedding=reference,
        expected_loss=float(expected_loss),
        norms=yardsticks,
        texts=texts,
        vectors=_vectors(columns, cells, mass, seed, windows),
        numerals=written,
    )
    return profile if windows is None else _with_designs(profile, windows, embedder, cells, codes)


def _with_designs(
    profile: Profile, windows: TrainingWindows, embedder: Embedder, cells: Sequence[Cells], codes: np.ndarray
) -> Profile:
    """Return the profile with how far its training windows lay apart."""
    designs = [
        text_designs(windows, profile.texts[j], column, cells[j], codes[:, j])
        if j in profile.texts
        else column_designs(windows, column, codes[:, j])
        for j, column in enumerate(profile.columns)
    ]
    reference, design = borne(windows, embedder, codes[:, :-1], profile.embedding)
    return replace(
        profile,
        index_designs=tuple(index for index, _ in designs),
        gap_designs=tuple(gap for _, gap in designs),
        embedding=reference,
        embedding_design=design,
    )


def _texts(
    columns: Sequence[Bins], cells: Sequence[Cells], codes: np.ndarray, weights: np.ndarray
) -> dict[int, TextReference]:
    found = {j: text_reference(columns[j], each, codes[:, j], weights) for j, each in enumerate(cells)}
    return {j: text for j, text in found.items() if text is not None}


def _vectors(
    columns: Sequence[Bins], cells: Sequence[Cells], mass: np.ndarray, seed: int, windows: TrainingWindows | None
) -> dict[int, VectorReference]:
    lists = {j: each for j, each in enumerate(cells) if isinstance(each, pl.Series)}
    found = {j: vector_reference(columns[j], each, mass, seed, windows) for j, each in lists.items()}
    return {j: vector for j, vector in found.items() if vector is not None}


def _norms(
    columns: Sequence[Bins],
    counts: Sequence[np.ndarray],
    cells: Sequence[Cells],
    frame: pl.DataFrame,
    window: timedelta | None,
) -> tuple[tuple[tuple[Norm, ...], ...], dict[int, Numerals]]:
    """Return what is calm in pieces of live size, and how numbers are written.

    Without a window, pieces are of rows in the order they stand in.
    """
    coder = CellCoder(columns)
    if window is None:
        rows, spans = coder.matrix(cells, np.arange(frame.height)), [float(PIECE_ROWS)]
    else:
        rows = coder.matrix(cells, frame["event_time"].dt.epoch("us").to_numpy() / 1e6)
        spans = [window.total_seconds() / scale for scale in SCALES]
    rows = rows[np.argsort(rows[:, -1], kind="stable")]
    written = written_numbers(coder, rows, spans[-1])
    told = tuple(norms(coder, counts, rows, span, written) for span in spans)
    return told * (len(SCALES) // len(spans)), written


def _cells(frame: pl.DataFrame, name: str, categorical: frozenset[str]) -> Cells:
    column = frame[name]
    if column.dtype.is_nested():
        return column
    return column.cast(pl.String).to_list() if name in categorical else column.cast(pl.Float64).to_numpy()


def _bins(name: str, cells: Cells, categorical: frozenset[str], mass: np.ndarray, seed: int) -> Bins:
    if isinstance(cells, pl.Series):
        return vector_bins(name, cells, mass, seed)
    if name in categorical:
        return category_bins(name, cells, mass)
    return number_bins(name, np.asarray(cells), mass)
