"""What is looked at of a file: all of a small one, stretches spread over a large one, so that both ends are seen."""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from homeostat.contract.delimited import Text, decoded, refuse_packed, separator_of
from homeostat.errors import HomeostatError

WHOLE_BYTES: Final = 8 * 2**20  # a CSV up to here is read whole
HEAD_BYTES: Final = 2 * 2**20  # of a larger one: its start, and
STRETCHES: Final = 20  # stretches spread evenly up to its end; all together less than WHOLE_BYTES, so none overlap
STRETCH_BYTES: Final = 256 * 2**10
WHOLE_ROWS: Final = 100_000  # the same for Parquet
STRETCH_ROWS: Final = 3_000
MAX_COLUMNS: Final = 5_000
_ROWS_FOR_THE_HEADER: Final = 200


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows of a file in its order.

    Args:
        frame: The columns under the file's names; all text for a CSV.
        rows: In the whole file, estimated where not ``whole``.
        whole: Whether ``frame`` has every row.
        form: How the file is written, in words.
        notes: What was odd about it.
    """

    frame: pl.DataFrame
    rows: int
    whole: bool
    form: str
    notes: tuple[str, ...] = ()


def read_sample(path: Path) -> Sample:
    """Return rows from all over a CSV or Parquet file.

    Raises:
        HomeostatError: The file can't be read as a table with a header; the text says why and what to do.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
            size = file.seek(0, io.SEEK_END)
        refuse_packed(start, path)
        return _parquet(path) if start == b"PAR1" else _csv(path, size)
    except OSError as error:
        raise HomeostatError(f"{path}: can't be read: {error.strerror or error}") from error


def _parquet(path: Path) -> Sample:
    try:
        table = pl.scan_parquet(path, glob=False)
        rows = int(table.select(pl.len()).collect().item())
        if rows <= WHOLE_ROWS:
            frame = table.collect()
        else:
            step = (rows - STRETCH_ROWS) / (WHOLE_ROWS // STRETCH_ROWS - 1)
            starts = [round(i * step) for i in range(WHOLE_ROWS // STRETCH_ROWS)]
            frame = pl.concat([table.slice(start, STRETCH_ROWS).collect() for start in starts])
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise HomeostatError(f"{path}: can't be read as Parquet: {first}") from None
    _check_size(path, frame)
    return Sample(frame, rows, rows <= WHOLE_ROWS, "Parquet")


def _csv(path: Path, size: int) -> Sample:
    with path.open("rb") as file:
        head = file.read(WHOLE_BYTES if size <= WHOLE_BYTES else HEAD_BYTES)
        text = decoded(head, whole=size <= WHOLE_BYTES, path=path)
        separator = separator_of(text.text, path)
        table = _Table(path, separator)
        whole = size <= WHOLE_BYTES
        table.add(text.text, first=True, cut=not whole)
        if not whole:
            bytes_a_row = len(head) / max(1, table.rows_seen)
            if text.wide or table.multiline:  # where a row begins can't be seen from the middle of such a file
                table.notes += ("only the start of the file was looked at",)
            else:
                table.notes += (f"{STRETCHES + 1} stretches of the file were looked at",)
                _spread(table, file, size, text)
    frame = table.frame()
    _check_size(path, frame)
    rows = frame.height if whole else round(size / bytes_a_row)
    shown = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe", " ": "space"}[separator]
    return Sample(frame, rows, whole, f"CSV, {shown}-separated, {text.encoding}", (*text.notes, *table.notes))


def _spread(table: "_Table", file: io.BufferedReader, size: int, text: Text) -> None:
    """Add whole lines of stretches from behind the head to the very end."""
    room = size - HEAD_BYTES - STRETCH_BYTES
    for i in range(STRETCHES):
        file.seek(HEAD_BYTES + round(room * i / (STRETCHES - 1)))
        lines = file.read(STRETCH_BYTES).split(b"\n")
        last = lines if i == STRETCHES - 1 else lines[:-1]  # the last of a stretch may be cut, and so is the first
        table.add(b"\n".join(last[1:]).decode(text.codec, errors="replace"), first=False)


class _Table:
    """Rows of text under a header, whatever their length."""

    def __init__(self, path: Path, separator: str) -> None:
        self._path = path
        self._separator = separator
        self._header: list[str] = []
        self._rows: list[list[str]] = []
        self._odd = 0  # rows of another length than the header
        self.multiline = False  # a cell holds a line break: a stretch may start inside it
        self.notes: tuple[str, ...] = ()

    @property
    def rows_seen(self) -> int:
        """How many rows there are so far."""
        return len(self._rows)

    def add(self, text: str, *, first: bool, cut: bool = False) -> None:
        rows = self._parsed(text)
        if first:
            rows = self._with_header(rows)
            self.multiline = any("\n" in cell for row in rows for cell in row)
            rows = rows[:-1] if self.multiline and cut else rows  # the cut may lie inside a cell
        width = len(self._header)
        for row in rows:
            self._odd += len(row) != width
            self._rows.append(row[:width] + [""] * (width - len(row)))

    def frame(self) -> pl.DataFrame:
        """Return the named columns as text."""
        notes = [f"{self._odd:,} rows have more or fewer cells than the header"] if self._odd else []
        columns: dict[str, list[str]] = {}
        for i, name in enumerate(self._header):
            if not name:
                notes.append(f"column {i + 1} has no name and is left out")
            elif name in columns:
                notes.append(f"the name {name[:40]!r} stands twice in the header: only its first column is used")
            else:
                columns[name] = [row[i] for row in self._rows]
        self.notes += tuple(notes)
        return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))

    def _parsed(self, text: str) -> list[list[str]]:
        lines = io.StringIO(text, newline="")
        try:
            rows = list(csv.reader(lines, delimiter=self._separator, skipinitialspace=self._separator != "\t"))
        except csv.Error:  # a quote that is never closed swallows the rest of the file
            lines.seek(0)
            plain = csv.reader(lines, delimiter=self._separator, quoting=csv.QUOTE_NONE)
            try:
                rows = list(plain)
            except csv.Error as error:
                raise HomeostatError(f"{self._path}: line {plain.line_num} can't be read as CSV: {error}") from None
            self.notes += ("quotes don't match: they were read as plain characters",)
        return [row for row in rows if any(cell.strip() for cell in row)]

    def _with_header(self, rows: list[list[str]]) -> list[list[str]]:
        """Take the header off, after a look at whether it is one."""
        if not rows:
            raise HomeostatError(f"{self._path}: has no rows - expected a header line and rows below it")
        header = [cell.strip() for cell in rows[0]]
        numeric = [cell for cell in header if cell.replace(".", "", 1).replace("-", "", 1).isdigit()]
        lengths = Counter(len(row) for row in rows[1 : 1 + _ROWS_FOR_THE_HEADER])
        usual = lengths.most_common(1)[0][0] if lengths else len(header)
        if usual > len(header) + 1 or 2 * len(numeric) > len(header):
            found = ", ".join(header[:5])[:60]
            why = f"names {len(header)} columns ({found}) where rows have {usual}" if usual > len(header) else found
            raise HomeostatError(f"{self._path}: the first line isn't a header: {why} - put a line of names above")
        self._header = header
        return rows[1:]


def _check_size(path: Path, frame: pl.DataFrame) -> None:
    if not frame.height:
        raise HomeostatError(f"{path}: has no rows - expected a header line and rows below it")
    if frame.width > MAX_COLUMNS:
        raise HomeostatError(f"{path}: has {frame.width:,} columns - expected at most {MAX_COLUMNS:,}")
