"""A CSV or Parquet file as a table: all text for CSV, typed for Parquet, every row with its place in the file."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from homeostat.contract.delimited import decoded, refuse_packed, separator_of
from homeostat.errors import HomeostatError


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a file.

    Args:
        frame: The columns under the file's names.
        places: For each row the line it begins on in a CSV, or its number from 1 in Parquet.
        place_word: ``line`` or ``row``.
        notes: What was odd about the file.
    """

    frame: pl.DataFrame
    places: pl.Series
    place_word: str
    notes: tuple[str, ...] = ()


def read_table(path: Path) -> Table:
    """Return all rows of a CSV or Parquet file.

    Raises:
        HomeostatError: It can't be read as a table with a header; the text says why and what to do.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
        refuse_packed(start, path)
        table = _parquet(path) if start == b"PAR1" else _csv(path)
    except OSError as error:
        raise HomeostatError(f"{path}: can't be read: {error.strerror or error}") from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise HomeostatError(f"{path}: can't be read as a table: {first}") from None
    if not table.frame.height:
        raise HomeostatError(f"{path}: has no rows - expected a header line and rows below it")
    return table


def _parquet(path: Path) -> Table:
    frame = pl.read_parquet(path, glob=False)
    return Table(frame, pl.int_range(1, frame.height + 1, eager=True), "row")


def _csv(path: Path) -> Table:
    found = decoded(path.read_bytes(), whole=True, path=path)
    data, notes, separator = found.text.encode(), found.notes, separator_of(found.text, path)
    try:
        frame = _parsed(data, separator, '"')
    except pl.exceptions.ComputeError:  # a quote that is never closed
        frame = _parsed(data, separator, None)
        notes = (*notes, "quotes don't match: they were read as plain characters")
    frame = frame.rename({name: name.strip() for name in frame.columns if name.strip() not in frame.columns})
    places = _lines(frame)
    blank = frame.select(pl.all_horizontal(pl.all().is_null() | (pl.all().str.strip_chars() == ""))).to_series()
    return Table(frame.filter(~blank), places.filter(~blank), "line", notes)


def _parsed(data: bytes, separator: str, quote: str | None) -> pl.DataFrame:
    return pl.read_csv(
        data, separator=separator, quote_char=quote, infer_schema=False, truncate_ragged_lines=True, glob=False
    )


def _lines(frame: pl.DataFrame) -> pl.Series:
    """Return the line each row begins on: a quoted cell may hold line breaks."""
    breaks = frame.select(pl.sum_horizontal(pl.all().str.count_matches("\n", literal=True).fill_null(0))).to_series()
    before = breaks.cast(pl.Int64).cum_sum().shift(1, fill_value=0)
    return pl.int_range(2, frame.height + 2, eager=True) + before
