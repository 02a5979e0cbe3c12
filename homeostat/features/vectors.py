"""A vector in JSON: a list of all its numbers, or an object of those that are not 0 by their index."""

import json
import math
from collections.abc import Container, Sequence
from typing import Annotated, Any

import msgspec
import polars as pl

from homeostat.records import Vector
from homeostat.vectors import VECTORS, as_lists, vector_of

_MAX_SHOWN = 20  # characters of a bad index in an error text


def vector_words(size: int) -> str:
    """Return what a vector is, for an error text."""
    return f"a list of {size} finite numbers, or an object of some by their index from 0 to {size - 1}"


def vector_annotation(size: int) -> Any:  # noqa: ANN401 - what msgspec takes for a type
    """Return the JSON forms of a vector for msgspec."""
    whole = Annotated[list[float], msgspec.Meta(min_length=size, max_length=size)]
    return whole | dict[Annotated[int, msgspec.Meta(ge=0, lt=size)], float]


def vector_in(cell: Sequence[float] | dict[int, float], size: int) -> Vector:
    """Return the vector behind either form.

    Args:
        cell: As ``vector_annotation`` lets it through.
        size: Numbers of the vector.

    >>> vector_in({2: 0.5}, 4)
    (0.0, 0.0, 0.5, 0.0)
    """
    return vector_of(cell, size) if isinstance(cell, dict) else tuple(cell)


def same_cells(one: pl.Series, other: pl.Series) -> pl.Series:
    """Return where two columns hold the same, missing cells and vectors in another form included."""
    if one.dtype == VECTORS:
        one, other = as_lists(one), as_lists(other)
    return one.eq_missing(other)


def vector_fault(cell: object, size: int) -> str:
    """Return what of a vector that can't be taken is not seen at its beginning, which error texts show."""
    if not size:
        return ""
    if isinstance(cell, list) and len(cell) != size:
        return f" (this one has {len(cell)})"
    items = enumerate(cell) if isinstance(cell, list) else cell.items() if isinstance(cell, dict) else ()
    odd = next((index for index, value in items if not (_is_number(value) and _is_index(str(index), size))), None)
    return "" if odd is None else f" (not so at index {json.dumps(str(odd)[:_MAX_SHOWN])})"


def named_not_finite(value: bytes, names: Container[str]) -> str:
    """Return which vectors hold NaN or an infinity, which Python writes into JSON that has no such numbers."""
    try:
        raw = json.loads(value)
    except (ValueError, RecursionError):
        return ""
    cells = raw.items() if isinstance(raw, dict) else ()
    odd = [name for name, cell in cells if name in names and _holds_not_finite(cell)]
    return "".join(f"; field '{name}' holds NaN or an infinity, expected finite numbers" for name in odd)


def _holds_not_finite(cell: object) -> bool:
    numbers = cell.values() if isinstance(cell, dict) else cell if isinstance(cell, list) else ()
    return any(isinstance(number, float) and not math.isfinite(number) for number in numbers)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_index(index: str, size: int) -> bool:
    return index.isascii() and index.isdigit() and len(index) <= len(str(size)) and int(index) < size
