"""From a frame of numbers and categories to the float32 matrix that every learner reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from homeostat.errors import ModelError
from homeostat.records import Scalar

MAX_CATEGORIES = 4096  # the most frequent ones of a column; the rest read as missing, so a stored model stays small


@dataclass(frozen=True, slots=True)
class Encoder:
    """Which columns a model reads, in which order, and the code of each category it knows.

    Args:
        features: Column names in matrix order.
        codes: For each categorical column the code of each category, from 0 on.
    """

    features: tuple[str, ...]
    codes: Mapping[str, Mapping[str, int]]

    @property
    def categorical(self) -> list[int]:
        """The matrix columns that hold codes."""
        return [i for i, name in enumerate(self.features) if name in self.codes]

    def matrix(self, frame: pl.DataFrame) -> np.ndarray:
        """Return the frame as float32, shape (rows, features); missing and unknown cells are NaN.

        Raises:
            ModelError: A column is absent or has a type that can't be read.
        """
        out = np.empty((frame.height, len(self.features)), dtype=np.float32)
        for i, name in enumerate(self.features):
            try:
                out[:, i] = self._column(frame[name])
            except (pl.exceptions.PolarsError, ValueError, TypeError) as error:
                raise ModelError(f"column {name!r} can't be scored: {error}") from error
        return out

    def cell_matrix(self, columns: Mapping[str, Sequence[Scalar]]) -> np.ndarray:
        """Return the same as ``matrix`` from plain cells: of one row, in a tenth of the time that a frame takes.

        Args:
            columns: The cells of each feature, all of one length; others are ignored.

        Raises:
            ModelError: A column is absent or has a cell that can't be read.
        """
        out = np.empty((len(next(iter(columns.values()), ())), len(self.features)), dtype=np.float32)
        with np.errstate(over="ignore"):  # too large for float32 reads as infinite, as polars has it
            for i, name in enumerate(self.features):
                try:
                    cells, codes = columns[name], self.codes.get(name)
                    out[:, i] = cells if codes is None else _coded(codes, cells)
                except (KeyError, ValueError, TypeError, OverflowError) as error:
                    raise ModelError(f"column {name!r} can't be scored: {error!r}") from error
        return out

    def _column(self, column: pl.Series) -> np.ndarray:
        codes = self.codes.get(column.name)
        if codes is None:
            return column.cast(pl.Float32).to_numpy()
        return np.array(_coded(codes, column.to_list()), dtype=np.float32)

    def to_dict(self) -> dict[str, object]:
        """Return the encoder as JSON-able data; the place of a category in its list is its code."""
        return {
            "features": list(self.features),
            "categories": {name: list(codes) for name, codes in self.codes.items()},
        }

    @staticmethod
    def from_dict(data: Mapping[str, object]) -> "Encoder":
        """Return the encoder stored by ``to_dict``.

        Raises:
            ModelError: The data has another shape.
        """
        features, categories = data.get("features"), data.get("categories")
        if not isinstance(features, list) or not isinstance(categories, dict):
            raise ModelError("the encoder needs a list of features and the categories by feature")
        codes = {str(name): {str(cell): code for code, cell in enumerate(cells)} for name, cells in categories.items()}
        return Encoder(tuple(map(str, features)), codes)


def fit_encoder(frame: pl.DataFrame, features: Sequence[str], categorical: frozenset[str]) -> Encoder:
    """Return the encoder that knows the categories of these rows, in alphabetical order.

    Args:
        frame: One column per feature, numbers as float64 and categories as str.
        features: Column names in contract order.
        categorical: The features that are categories.
    """
    codes = {name: _codes(frame[name].drop_nulls()) for name in features if name in categorical}
    return Encoder(tuple(features), codes)


def _coded(codes: Mapping[str, int], cells: Sequence[Scalar]) -> list[float]:
    known = codes.get
    return [known(cell, np.nan) for cell in cells]  # type: ignore[arg-type] # what is no text is unknown


def _codes(column: pl.Series) -> dict[str, int]:
    name = column.name
    counts = column.value_counts(name="rows").sort(["rows", name], descending=[True, False])
    kept = sorted(counts[name].head(MAX_CATEGORIES).to_list())
    return {cell: code for code, cell in enumerate(kept)}
