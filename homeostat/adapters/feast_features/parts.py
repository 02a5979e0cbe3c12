"""A table as Parquet part files in one folder per week of event time: append-only, deduplicated when read."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import polars as pl

from homeostat.errors import TransientError
from homeostat.features.schema import EVENT_ID, EVENT_TIME
from homeostat.records import derived_id

_MAX_PARTS = 64  # small files of a week before they are merged; opening one takes about 1 ms
_FULL_BYTES = 32 << 20  # a file of this size is left as it is: to merge takes ten times that of memory
_READ_TRIES = 5
_RETRY_S = 5.0  # room is made by a person, or by retention
_WEEK = timedelta(weeks=1)
FOUNDED = "FOUNDED"  # stands in the folder from its beginning: retention may take every week of rows
_SAYS = "Rows of an offline store are kept here. A folder with neither this file nor rows counts as lost.\n"


class PartFolder:
    """One table with one writer and any number of readers.

    A part's name derives from the ids of its rows, so a batch written again replaces itself, and a write that
    kill -9 cut short leaves nothing that counts. Merging writes the merged file first and removes the parts
    then: a crash in between leaves rows twice, which reading mends.
    """

    def __init__(self, root: Path, schema: pl.Schema, was_used: Callable[[], bool] = lambda: False) -> None:
        """Open the folder ``root``, made where no rows were ever kept in it.

        Args:
            root: Holds a folder for each week. Once it is lost it is not made again: the disk that it was on may
                be away, and what is under its mount point is another one.
            schema: Columns of what is read; parts written under another contract may have others.
            was_used: Says, by what is kept elsewhere, whether rows were stored here by an earlier process.
        """
        self._root = root
        self._schema = schema
        self._was_used = was_used
        self._was_seen = False
        self._small: dict[str, dict[Path, int]] = {}  # bytes of the files that may be merged, by week
        with suppress(TransientError):  # whoever uses the folder is told
            self._demand()

    def append(self, rows: pl.DataFrame) -> None:
        """Store rows, each in the week of its event time; they survive kill -9 once this returns.

        Args:
            rows: Has the columns ``event_id`` and ``event_time``.

        Raises:
            TransientError: The disk is full or away, or the folder is lost.
        """
        self._demand()
        with stored_at(self._root):
            self._append(rows)

    def _append(self, rows: pl.DataFrame) -> None:
        weeks = rows.get_column(EVENT_TIME).dt.truncate("1w").dt.strftime("%Y-%m-%d")
        if weeks.n_unique() == 1:
            self._append_to(weeks[0], rows)
            return
        for week in sorted(weeks.unique()):
            self._append_to(week, rows.filter(weeks == week))

    def weeks(self) -> list[str]:
        """Return the weeks that have rows, as the date of their Monday, oldest first.

        Raises:
            TransientError: The disk is away, or the folder is lost.
        """
        self._demand()
        with stored_at(self._root):
            return self._weeks()

    def files(self, week: str) -> list[Path]:
        """Return the part files of a week in a fixed order."""
        return sorted((self._root / week).glob("*.parquet"))

    def read(self, week: str) -> pl.DataFrame:
        """Return the rows of a week, each event once, in the order of event time and event id.

        A column that a part lacks is missing in its rows, and so is a cell that can't be of the column's type.
        """
        rows = self._stored(week)
        lacking = [pl.lit(None).alias(name) for name in self._schema if name not in rows.columns]
        return rows.with_columns(lacking).select(self._schema.names()).cast(self._schema, strict=False)

    def forget(self, before: datetime) -> int:
        """Delete the weeks that were over before a time, and return how many."""
        old = [week for week in self.weeks() if datetime.fromisoformat(week).replace(tzinfo=UTC) + _WEEK <= before]
        for week in old:
            for path in (self._root / week).iterdir():
                path.unlink(missing_ok=True)
            (self._root / week).rmdir()
            self._small.pop(week, None)
        return len(old)

    def _demand(self) -> None:
        """Found the folder where it is new; one that was lost is waited for."""
        marker = self._root / FOUNDED
        with stored_at(self._root):
            if not marker.exists():
                is_there = self._root.exists() and bool(self._weeks())  # as older releases left it
                if not is_there and (self._was_seen or self._was_used()):
                    raise _lost(self._root)
                self._root.mkdir(parents=True, exist_ok=True)
                marker.write_text(_SAYS)
        self._was_seen = True

    def _weeks(self) -> list[str]:
        return sorted(path.name for path in self._root.iterdir() if path.is_dir())

    def _stored(self, week: str) -> pl.DataFrame:
        for _ in range(_READ_TRIES - 1):
            try:
                return self._read(week)
            except FileNotFoundError:  # the writer merged parts after they were listed
                continue
        return self._read(week)

    def _read(self, week: str) -> pl.DataFrame:
        return self._whole(self.files(week))

    def _whole(self, parts: Sequence[Path]) -> pl.DataFrame:
        tables = [pl.read_parquet(path) for path in parts] or [self._schema.to_frame()]  # none: forgotten
        rows = pl.concat(map(self._without_strangers, tables), how="diagonal_relaxed")
        return rows.unique(EVENT_ID, keep="first", maintain_order=True).sort(EVENT_TIME, EVENT_ID)

    def _without_strangers(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return rows without what was a vector under another contract and is none now, or the other way round."""
        strangers = [
            pl.lit(None, self._schema[name]).alias(name)
            for name, dtype in table.schema.items()
            if name in self._schema and dtype.is_nested() != self._schema[name].is_nested()
        ]
        return table.with_columns(strangers)

    def _append_to(self, week: str, rows: pl.DataFrame) -> None:
        folder = self._root / week
        folder.mkdir(exist_ok=True)
        if week not in self._small:
            sizes = {path: path.stat().st_size for path in self.files(week)}
            self._small[week] = {path: size for path, size in sizes.items() if size < _FULL_BYTES}
        small = self._small[week]
        path = folder / f"{derived_id(*rows.get_column(EVENT_ID))}.parquet"
        small[path] = write_parquet(rows, path)
        if len(small) > _MAX_PARTS or sum(small.values()) >= _FULL_BYTES:
            self._merge(week, sorted(small))

    def _merge(self, week: str, parts: Sequence[Path]) -> None:
        merged = self._root / week / f"{derived_id(*(path.name for path in parts))}.parquet"
        size = write_parquet(self._whole(parts), merged)
        for part in parts:
            part.unlink()
        self._small[week] = {merged: size} if size < _FULL_BYTES // 2 else {}


def write_parquet(rows: pl.DataFrame, path: Path) -> int:
    """Write a file that is there whole or not at all, and return its bytes."""
    unfinished = path.with_suffix(".unfinished")
    buffer = BytesIO()  # the disk is left to Python, whose errors say what is wrong with it
    rows.write_parquet(buffer, compression="zstd", compression_level=1, statistics=False)
    try:
        unfinished.write_bytes(buffer.getbuffer())
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)  # or it takes what room there is
        raise
    return buffer.tell()


def _lost(root: Path) -> TransientError:
    marker = root / FOUNDED
    return TransientError(
        f"the offline store at {root} is lost: rows were kept there, and now it has neither a week of rows nor the "
        f"file {FOUNDED}; it goes on once the folder is back: mount its disk, or put the folder in its place again. "
        f"To begin with an empty one, without what was there: mkdir -p {root} && touch {marker}",
        _RETRY_S,
    )


@contextmanager
def stored_at(root: Path) -> Iterator[None]:
    """Tell what may pass (a disk that is full or away) from what won't."""
    try:
        yield
    except OSError as error:
        raise TransientError(
            f"the offline store at {root} can't be read or written: {error}; it goes on once there is room and the "
            "folder is back",
            _RETRY_S,
        ) from error
