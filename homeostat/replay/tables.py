"""A CSV or Parquet file as a table: all text for CSV, typed for Parquet, every row with its place in the file."""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from homeostat.errors import HomeostatError

_SEPARATORS: Final = (",", ";", "\t", "|", " ")
_SNIFFED_LINES: Final = 100
_SNIFFED_CHARS: Final = 256 * 2**10
_COMPRESSED: Final = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip (or Excel)", b"BZh": "bzip2", b"(\xb5/\xfd": "zstd"}


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
        packed = next((name for magic, name in _COMPRESSED.items() if start.startswith(magic)), None)
        if packed:
            raise HomeostatError(f"{path}: is compressed by {packed} - unpack it to CSV or Parquet first")
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
    data, notes = _as_utf8(path)
    separator = _separator_of(data[:_SNIFFED_CHARS].decode(errors="replace"), path)
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


def _as_utf8(path: Path) -> tuple[bytes, tuple[str, ...]]:
    """Return the file's text in UTF-8; what isn't that is taken for Windows-1252 or Latin-1."""
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace").encode(), ()
    if b"\0" in data[:_SNIFFED_CHARS]:
        raise HomeostatError(f"{path}: is no text (it holds zero bytes) - expected CSV or Parquet")
    try:
        data.decode()
    except UnicodeDecodeError:
        note = "not UTF-8: read as Windows-1252 (Latin-1)"
        try:
            return data.decode("cp1252").encode(), (note,)
        except UnicodeDecodeError:
            return data.decode("latin-1").encode(), (note,)
    return data.removeprefix(b"\xef\xbb\xbf"), ()


def _separator_of(text: str, path: Path) -> str:
    """Return the separator by which most lines have the same number of cells, more than one."""
    best: tuple[float, int, str] | None = None
    for separator in _SEPARATORS:
        widths = _widths(text, separator)
        usual, count = Counter(widths).most_common(1)[0] if widths else (0, 0)
        if usual < 2 or widths[0] < 2:
            continue
        share = count / len(widths)
        if separator == " " and (best is not None or share < 1):
            continue  # a space is part of many texts: only when nothing else separates
        if best is None or (share, usual) > best[:2]:
            best = (share, usual, separator)
    if best is None:
        raise HomeostatError(f"{path}: has one column - expected cells separated by comma, semicolon, tab or |")
    return best[2]


def _widths(text: str, separator: str) -> list[int]:
    """Return the number of cells in each of the first lines that isn't blank."""
    widths: list[int] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            if any(cell.strip() for cell in row):
                widths.append(len(row))
            if len(widths) == _SNIFFED_LINES:
                break
    except csv.Error:
        return widths
    return widths
