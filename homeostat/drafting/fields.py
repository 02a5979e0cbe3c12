"""Event fields as the contract has them: types, missing values, and bounds where a value beyond must be an error."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import polars as pl

from homeostat.drafting.columns import Column
from homeostat.drafting.words import COUNT_WORDS, PERCENT_WORDS, SHARE_WORDS, SIGNED_WORDS, SIZE_WORDS, words_of

_MAX_LISTED: Final = 6
_WORDS_SHOWN: Final = 20  # characters of a category
_CLOCK: Final = {
    "hour": (0, 23), "minute": (0, 59), "second": (0, 59), "month": (1, 12), "day": (1, 31),
    "weekday": (0, 7), "dow": (0, 7), "quarter": (1, 4), "week": (1, 53),
}  # fmt: skip
_GLOBE: Final = {"lat": 90, "latitude": 90, "lon": 180, "lng": 180, "long": 180, "longitude": 180}


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the greatest value that can be right, None for no bound, and the reason."""

    low: float | None = None
    high: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the contract as YAML, with what was seen of it."""

    name: str
    spec: str
    comment: str
    example: object = "a"  # a usual value, ready for JSON


def field_of(column: Column, *, entity: bool = False) -> Field:
    """Return the field a column becomes; an entity is never nullable."""
    bounds = bounds_of(column)
    empty = column.missing
    nullable = empty > 0 and not entity
    parts = [f"type: {column.type}"]
    parts += [f"size: {len(column.values.drop_nulls()[0])}"] if column.type == "vector" else []
    parts += ["nullable: true"] if nullable else []
    parts += [f"{key}: {value:g}" for key, value in (("min", bounds.low), ("max", bounds.high)) if value is not None]
    spec = column.type if len(parts) == 1 else "{" + ", ".join(parts) + "}"
    said = [f"the entity; {column.distinct:,} of them" if entity else _seen(column), bounds.why]
    if nullable:
        said.append(f"{empty / column.values.len():.2%} missing")
    if column.unreadable:
        said.append(f"{column.unreadable:,} rows have something else there and will be refused")
    if column.why not in ("text", "numbers", "whole numbers", "the entity"):
        said.append(column.why)
    return Field(column.name, spec, "; ".join(part for part in said if part), _usual(column))


def bounds_of(column: Column) -> Bounds:
    """Return bounds that a right value can't leave: from what the name means, where all values agree."""
    if column.type not in ("number", "integer"):
        return Bounds()
    low, high = _extremes(column.values)
    words = words_of(column.name)
    return _closed(column, low, high, words) or _one_sided(low, words)


def _closed(column: Column, low: float, high: float, words: list[str]) -> Bounds | None:
    last = words[-1] if words else ""
    if column.type == "integer" and (low, high) == (0, 1):
        return Bounds(0, 1, "a flag")
    clock = _CLOCK.get(last) if column.type == "integer" else None
    for meant, why in ((clock, "part of a date"), (_around(_GLOBE.get(last)), "on the globe")):
        if meant and meant[0] <= low and high <= meant[1]:
            return Bounds(*meant, why)
    if PERCENT_WORDS & set(words) and low >= 0 and 1 < high <= 100:
        return Bounds(0, 100, "a percentage")
    if SHARE_WORDS & set(words[-1:]) and low >= 0 and high <= 1:
        return Bounds(0, 1, "a share")
    return None


def _one_sided(low: float, words: list[str]) -> Bounds:
    if (SIZE_WORDS | COUNT_WORDS) & set(words) and not SIGNED_WORDS & set(words) and low >= 0:
        return Bounds(0, None, "can't be negative, by its name")
    return Bounds()


def _around(limit: int | None) -> tuple[int, int] | None:
    return None if limit is None else (-limit, limit)


def _extremes(values: pl.Series) -> tuple[float, float]:
    known = values.drop_nulls().cast(pl.Float64)
    return float(known.sort()[0]), float(known.sort()[-1])


def _usual(column: Column) -> object:
    """Return the median of numbers, a short vector, of anything else the most frequent value; for a time None: now."""
    known = column.values.drop_nulls()
    if column.type == "time" or not known.len():
        return None
    if column.type == "vector":
        return {"0": float(known[0][0])}  # short, however many numbers there are
    if column.type in ("number", "integer"):
        middle = known.sort()[known.len() // 2]
        return int(middle) if column.type == "integer" else float(middle)
    return known.value_counts(sort=True, name="rows").sort("rows", known.name, descending=[True, False])[known.name][0]


def _seen(column: Column) -> str:
    """Return what a column holds in a few words."""
    tellers: dict[str, Callable[[Column], str]] = {"number": _range, "integer": _range, "string": _categories}
    tell = tellers.get(column.type)
    return tell(column) if tell else ""


def _range(column: Column) -> str:
    low, high = _extremes(column.values)
    return f"{low:g} to {high:g}"


def _categories(column: Column) -> str:
    counts = column.values.drop_nulls().value_counts(sort=True)
    listed = [str(cell) for cell in counts[column.values.name].head(_MAX_LISTED).to_list()]
    shown = ", ".join(cell if len(cell) <= _WORDS_SHOWN else cell[: _WORDS_SHOWN - 3] + "..." for cell in listed)
    return f"{counts.height:,} values: {shown}{', ...' if counts.height > len(listed) else ''}"
