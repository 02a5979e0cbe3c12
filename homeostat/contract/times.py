"""Times as files write them: ISO, day or month first, named months, compact dates, seconds since 1970."""

from collections.abc import Mapping
from typing import Final, Literal, get_args

import polars as pl

TimeFormat = Literal[
    "ymd",
    "compact",
    "day_first",
    "month_first",
    "day_name",
    "name_day",
    "epoch_s",
    "epoch_ms",
    "epoch_us",
    "epoch_ns",
]  # fmt: skip

_CLOCK: Final = (
    r"(?:[T ,:]+(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?P<part>[.,][0-9]{1,9})?)?"
    r"\s*(?P<half>[AaPp])?(?:\.?[Mm]\.?)?\s*(?P<zone>Z|z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)?)?$"
)
_NAMED: Final = r"(?P<name>[A-Za-z]{3,9})"
_YEAR: Final = r"(?P<year>[0-9]{4}|[0-9]{2})"
_PATTERNS: Final[Mapping[str, str]] = {
    "ymd": r"^(?P<year>[0-9]{4})[-/.](?P<month>[0-9]{1,2})[-/.](?P<day>[0-9]{1,2})" + _CLOCK,
    "compact": r"^(?P<year>(?:19|20)[0-9]{2})(?P<month>[0-9]{2})(?P<day>[0-9]{2})"
    r"(?:T?(?P<hour>[0-9]{2})(?P<minute>[0-9]{2})(?P<second>[0-9]{2}))?Z?$",
    "day_first": r"^(?P<day>[0-9]{1,2})[-/.](?P<month>[0-9]{1,2})[-/.]" + _YEAR + _CLOCK,
    "month_first": r"^(?P<month>[0-9]{1,2})[-/.](?P<day>[0-9]{1,2})[-/.]" + _YEAR + _CLOCK,
    "day_name": r"^(?:[A-Za-z]{3,9},? )?(?P<day>[0-9]{1,2})[-/ ]" + _NAMED + r"\.?[-/ ,]+" + _YEAR + _CLOCK,
    "name_day": r"^(?:[A-Za-z]{3,9},? )?" + _NAMED + r"\.? (?P<day>[0-9]{1,2})(?:st|nd|rd|th)?,? " + _YEAR + _CLOCK,
}
_PIECES: Final = ("year", "month", "name", "day", "hour", "minute", "second", "part", "half", "zone")
_MONTHS: Final = {
    "jan": "01", "feb": "02", "mar": "03", "apr": "04", "may": "05", "jun": "06",
    "jul": "07", "aug": "08", "sep": "09", "oct": "10", "nov": "11", "dec": "12",
}  # fmt: skip
_UNITS: Final[Mapping[str, float]] = {"epoch_s": 1e6, "epoch_ms": 1e3, "epoch_us": 1.0, "epoch_ns": 1e-3}
_FIRST_S, _LAST_S = 315_532_800, 4_102_444_800  # 1980 to 2100: what a number must be to be taken for a time
_LOOKED_AT: Final = 2_000  # cells that say how a column is written
_MOST: Final = 0.98  # of the cells must be readable
UTC_TIME: Final = pl.Datetime("us", "UTC")


def times(column: pl.Series, written: TimeFormat) -> pl.Series:
    """Return the cells as UTC times with microseconds; a time without an offset is taken as UTC.

    Args:
        column: Texts, numbers, dates or datetimes.
        written: How texts and numbers are meant; dates and datetimes need no format.

    >>> times(pl.Series(["2024-03-01 12:00+02:00", "soon"]), "ymd").to_list()[1] is None
    True
    """
    if column.dtype == pl.Date:
        return column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if isinstance(column.dtype, pl.Datetime):
        plain = column.dt.cast_time_unit("us")
        return plain.dt.convert_time_zone("UTC") if column.dtype.time_zone else plain.dt.replace_time_zone("UTC")
    if written in _UNITS:
        micros = column.cast(pl.Float64, strict=False) * _UNITS[written]
        sound = (micros / 1e6).is_between(_FIRST_S, _LAST_S)
        return micros.set(~sound.fill_null(value=False), None).round().cast(pl.Int64, strict=False).cast(UTC_TIME)
    return _parsed(column.cast(pl.String, strict=False), written)


def time_format(column: pl.Series) -> TimeFormat | None:
    """Return how a column writes its times, None where most cells are no times; day first where it can't be told.

    Numbers count as times here when all lie between 1980 and 2100 in one unit: the caller has to know from
    elsewhere that they are times.
    """
    found = possible_formats(column)
    return found[0] if found else None


def possible_formats(column: pl.Series) -> list[TimeFormat]:
    """Return every way to read nearly all cells as times: two where day and month can't be told apart.

    >>> possible_formats(pl.Series(["03/04/2024", "05/04/2024"]))
    ['day_first', 'month_first']
    >>> possible_formats(pl.Series(["03/04/2024", "03/24/2024"]))
    ['month_first']
    """
    if column.dtype.is_temporal():
        return ["ymd"]
    known = column.drop_nulls()
    if not known.len():
        return []
    step = max(1, known.len() // _LOOKED_AT)
    looked_at = known.gather_every(step)
    names = [name for name in get_args(TimeFormat) if _share(looked_at, name) >= _MOST]
    if {"day_first", "month_first"} <= set(names):  # few wrong cells hide among many: look at all of them
        shares = {name: _share(known, name) for name in names}
        best = max(shares.values())
        names = [name for name in names if shares[name] == best]
    return names


def _share(column: pl.Series, written: TimeFormat) -> float:
    """Return the share of cells that can be read in a format."""
    return 1 - times(column, written).null_count() / column.len()


def _parsed(cells: pl.Series, written: TimeFormat) -> pl.Series:
    frame = cells.str.extract_groups(_PATTERNS[written]).struct.unnest()
    frame = frame.with_columns(pl.lit(None, pl.String).alias(name) for name in _PIECES if name not in frame.columns)
    named = pl.col("name").str.slice(0, 3).str.to_lowercase().replace_strict(_MONTHS, default=None)
    year = pl.when(pl.col("year").str.len_chars() == 2).then(
        pl.when(pl.col("year") < "70").then(pl.lit("20")).otherwise(pl.lit("19")) + pl.col("year")
    )
    clock = pl.col("hour").cast(pl.Int64).fill_null(0)
    afternoon = pl.col("half").str.to_lowercase()
    hour = pl.when(afternoon.is_null()).then(clock).otherwise(clock % 12 + 12 * (afternoon == "p").cast(pl.Int64))
    zone = pl.col("zone").str.extract(r"^([+-][0-9]{2})")
    minutes = pl.col("zone").str.extract(r"^[+-][0-9]{2}:?([0-9]{2})$").fill_null("00")
    text = pl.concat_str(
        year.otherwise(pl.col("year")),
        pl.coalesce("month", named).str.zfill(2),
        pl.col("day").str.zfill(2),
        hour.cast(pl.String).str.zfill(2),
        pl.col("minute").fill_null("00"),
        pl.col("second").fill_null("00") + pl.col("part").str.replace(",", ".", literal=True).fill_null(".0"),
        (zone + ":" + minutes).fill_null("+00:00"),
        separator=" ",
    )
    parsed = text.str.to_datetime("%Y %m %d %H %M %S%.f %:z", strict=False, time_unit="us", time_zone="UTC")
    return frame.select(parsed.alias(cells.name)).to_series()
