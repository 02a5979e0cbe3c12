"""What the columns of a sample hold: the type whose reading fits the cells, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import polars as pl

from homeostat.contract.cells import integers, key_of, numbers, texts
from homeostat.contract.lists import vectors
from homeostat.contract.model import MAX_SIZE, FieldType
from homeostat.contract.names import slug
from homeostat.contract.times import TimeFormat, possible_formats, times
from homeostat.drafting.words import CODE_WORDS, TIME_WORDS, words_of

Kind = Literal["empty", "constant", "identifier", "personal", "leak", "after_event", "trend", "text", "unreadable"]

READABLE: Final = 0.98  # of the cells that aren't missing; rows with the others will be refused
READABLE_AS: Final[dict[FieldType, str]] = {
    "number": "number", "integer": "whole number", "boolean": "truth value", "string": "text", "time": "time",
    "vector": "list of numbers of the usual length",
}  # fmt: skip
_STRANGE_SHOWN: Final = 3
_TRUTHS: Final = (frozenset({"true", "false"}), frozenset({"yes", "no"}), frozenset({"on", "off"}))
_LETTERS: Final = (frozenset({"t", "f"}), frozenset({"y", "n"}))  # both must be there: one may be anything
_LEADING_ZERO: Final = r"^0[0-9]+$"
_WRITTEN_WHOLE: Final = r"^[^.eE]*$"
_DIGITS: Final = r"^[0-9]+(?:\.[0-9]+)?$"


@dataclass(frozen=True, slots=True)
class Column:
    """A column that can be used.

    Args:
        source: Its name in the file.
        name: Its name in the contract.
        type: The field type whose reading fits.
        values: The cells read as that type, null where missing or unreadable.
        cells: The cells as in the file, trimmed.
        why: How the type was found.
        unreadable: Cells that are not missing and not of the type.
        written: How a time is written.
        unsure: Whether day and month could be the other way round.
    """

    source: str
    name: str
    type: FieldType
    values: pl.Series
    cells: pl.Series
    why: str = ""
    unreadable: int = 0
    written: TimeFormat | None = None
    unsure: bool = False

    @property
    def missing(self) -> int:
        """Rows with nothing in the cell; what stands there and can't be read is not missing."""
        return self.cells.null_count()

    @property
    def known(self) -> int:
        """Rows whose value can be read."""
        return self.values.len() - self.values.null_count()

    @property
    def strange(self) -> str:
        """The most frequent cells that can't be read, in words."""
        if self.type == "vector":
            return "a list of another length or with a gap"
        cells = self.cells.filter(self.values.is_null()).drop_nulls().cast(pl.String).rename("cell")
        counts = cells.value_counts(sort=True, name="rows").sort("rows", "cell", descending=[True, False])
        return " or ".join(repr(cell[:20]) for cell in counts["cell"].head(_STRANGE_SHOWN))

    @property
    def distinct(self) -> int:
        """Different values."""
        return self.values.drop_nulls().n_unique()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A column that is kept out of the features, and why."""

    source: str
    kind: Kind
    why: str


def read_columns(
    frame: pl.DataFrame, *, day_first: bool | None = None, as_times: Sequence[str] = ()
) -> tuple[list[Column], list[LeftOut]]:
    """Return the columns that can be used, and those that can't.

    Args:
        frame: Text or typed columns under the file's names.
        day_first: What 03/04/2024 means; None to find out.
        as_times: Columns known to be times: a number there counts the time since 1970.
    """
    columns: list[Column] = []
    left: list[LeftOut] = []
    taken = {name for name in frame.columns if slug(name) == name}  # a name that fits belongs to who bears it
    for series in frame:
        name = slug(series.name)
        if name in taken and name != series.name:
            left.append(LeftOut(series.name, "unreadable", f"another column is called {name} too: rename one"))
            continue
        taken.add(name)
        # under the safe name: polars takes one like * or ^a$ for a pattern
        found = _read(series.alias(name), series.name, day_first=day_first, is_time=series.name in as_times)
        if isinstance(found, Column):
            columns.append(found)
        else:
            left.append(found)
    return columns, left


def as_time(column: Column, *, day_first: bool | None = None) -> Column | None:
    """Return a column read as times, None where its cells are none."""
    cells = _for_times(column.cells)
    return _time(column.source, column.name, cells, day_first=day_first, hinted=True)


def as_text(column: Column, why: str) -> Column:
    """Return a column as text, whatever else it could be."""
    return Column(column.source, column.name, "string", texts(column.cells), column.cells, why)


def _read(series: pl.Series, source: str, *, day_first: bool | None, is_time: bool) -> Column | LeftOut:
    name, dtype = series.name, series.dtype
    if found := _vector(source, name, series):
        return found
    if dtype.is_nested() or dtype in (pl.Binary, pl.Object, pl.Time, pl.Duration):
        return LeftOut(source, "unreadable", f"holds {str(dtype).lower()}s, which no field takes")
    if dtype in (pl.Categorical, pl.Enum):
        series, dtype = series.cast(pl.String), pl.String()
    cells = series if dtype != pl.String else texts(series)
    if dtype.is_float():
        cells = numbers(series)
    if cells.null_count() == cells.len():
        return LeftOut(source, "empty", "has no value")
    hinted = is_time or bool(TIME_WORDS & set(words_of(name)))
    return (
        _typed(source, name, cells, hinted=hinted)
        or _truth(source, name, cells)
        or _time(source, name, _for_times(cells), day_first=day_first, hinted=hinted)
        or _number(source, name, cells)
        or Column(source, name, "string", cells, cells, "text")
    )


def _vector(source: str, name: str, cells: pl.Series) -> Column | None:
    """Return a column of lists of numbers of one length, as lists or as JSON in texts."""
    cells = texts(cells) if cells.dtype == pl.String else cells
    known = cells.drop_nulls()
    written = known.dtype == pl.String and len(known) > 0 and str(known[0]).lstrip().startswith("[")
    if not isinstance(cells.dtype, pl.List | pl.Array) and not written:
        return None
    values = vectors(cells, 0)
    sizes = values.list.len()
    size = sizes.drop_nulls().mode().max()
    if not isinstance(size, int) or not 2 <= size <= MAX_SIZE:
        return None
    whole = (sizes == size) & (values.list.drop_nulls().list.len() == size) & values.list.sum().is_finite()
    whole = whole.fill_null(value=False)
    readable = int(whole.sum())
    if readable < READABLE * len(known):
        return None
    unreadable = len(known) - readable
    return Column(source, name, "vector", values.set(~whole, None), cells, f"lists of {size} numbers", unreadable)


def _typed(source: str, name: str, cells: pl.Series, *, hinted: bool) -> Column | None:
    """Return a column whose type the file says; numbers in a column of times are looked at further on."""
    if cells.dtype == pl.Boolean:
        return Column(source, name, "boolean", cells, cells, "true and false in the file")
    if cells.dtype.is_temporal():
        zone = getattr(cells.dtype, "time_zone", None)
        why = "times in the file" if zone else "times without a zone in the file, taken as UTC"
        return Column(source, name, "time", times(cells, "ymd"), cells, why, written="ymd")
    if cells.dtype.is_numeric() and not hinted:
        return _number(source, name, cells)
    return None


def _truth(source: str, name: str, cells: pl.Series) -> Column | None:
    if cells.dtype != pl.String:
        return None
    found = {key_of(cell) for cell in cells.drop_nulls().unique().head(50).to_list()}
    fits = any(found <= pair for pair in _TRUTHS) or found in _LETTERS
    if not fits:
        return None
    values = cells.str.to_lowercase().is_in(["true", "yes", "y", "t", "on"])
    return Column(source, name, "boolean", values, cells, "/".join(sorted(found)))


def _for_times(cells: pl.Series) -> pl.Series:
    """Return cells with numbers as numbers where all are: seconds since 1970 stand as text in a CSV."""
    if cells.dtype != pl.String:
        return cells
    digits = cells.drop_nulls().str.contains(_DIGITS)
    return cells.cast(pl.Float64, strict=False) if bool(digits.all()) and not _compact(cells) else cells


def _compact(cells: pl.Series) -> bool:
    return "compact" in possible_formats(cells)


def _time(source: str, name: str, cells: pl.Series, *, day_first: bool | None, hinted: bool) -> Column | None:
    if cells.dtype.is_numeric() and not hinted:
        return None
    formats = possible_formats(cells)
    if not formats:
        return None
    written, unsure = formats[0], False
    if {"day_first", "month_first"} <= set(formats):
        written, unsure = _ordered(cells, day_first=day_first)
    values = times(cells, written)
    why = _spoken_format(written, cells)
    unreadable = values.null_count() - cells.null_count()
    return Column(source, name, "time", values, cells, why, unreadable, written, unsure)


def _ordered(cells: pl.Series, *, day_first: bool | None) -> tuple[TimeFormat, bool]:
    """Return which of day and month comes first, and whether that is a mere guess.

    Rows of a log are mostly in order: the reading by which they are is right.
    """
    if day_first is not None:
        return ("day_first" if day_first else "month_first"), False
    sorted_by = {w: times(cells, w).drop_nulls().is_sorted() for w in ("day_first", "month_first")}
    if sorted_by["day_first"] != sorted_by["month_first"]:
        return ("day_first" if sorted_by["day_first"] else "month_first"), False
    dotted = bool(cells.drop_nulls().str.contains(".", literal=True).all())
    return ("day_first" if dotted else "month_first"), True


def _spoken_format(written: TimeFormat, cells: pl.Series) -> str:
    spoken = {
        "ymd": "year-month-day",
        "compact": "written as 20240131",
        "day_first": "day before month",
        "month_first": "month before day",
        "day_name": "with the month's name",
        "name_day": "with the month's name",
    }
    if written not in spoken:
        return {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}[
            written.removeprefix("epoch_")
        ] + " since 1970"
    zoned = cells.drop_nulls().cast(pl.String).str.contains(r"(?:Z|z|UTC|GMT|:\d{2}(?:\.\d+)?\s*[+-]\d{2}:?\d{2})$")
    if zoned.all():
        return spoken[written]
    lacking = f"the {(~zoned).sum():,} without a zone are " if zoned.any() else ""
    return f"{spoken[written]}, {lacking}taken as UTC (--timezone of backfill and replay says otherwise)"


def _number(source: str, name: str, cells: pl.Series) -> Column | None:
    values = numbers(cells)
    known = cells.len() - cells.null_count()
    readable = values.len() - values.null_count()
    if not readable or readable < READABLE * known:
        return None
    unreadable = known - readable
    is_text = cells.dtype == pl.String
    if is_text and bool(cells.str.contains(_LEADING_ZERO).any()):
        return Column(source, name, "string", cells, cells, "digits with leading zeros: a code, no quantity")
    whole = _whole(cells, values)
    if whole is not None and CODE_WORDS & set(words_of(name)[-1:]):
        return Column(source, name, "string", texts(cells), cells, "a code by its name, no quantity")
    if whole is not None:
        return Column(source, name, "integer", whole, cells, "whole numbers", unreadable)
    plain = not is_text or bool(cells.drop_nulls().str.contains(r"^[-+0-9.eE]*$").all()) or unreadable
    why = "numbers" if plain else "not written plainly (sign, thousands or decimal comma): send plain numbers"
    return Column(source, name, "number", values, cells, why, unreadable)


def _whole(cells: pl.Series, values: pl.Series) -> pl.Series | None:
    """Return numbers as integers, None where one isn't whole, or is written as if it needn't be."""
    whole = integers(cells)
    if whole.null_count() > values.null_count() or cells.dtype.is_float():
        return None
    if cells.dtype != pl.String or bool(cells.filter(values.is_not_null()).str.contains(_WRITTEN_WHOLE).all()):
        return whole
    return None
