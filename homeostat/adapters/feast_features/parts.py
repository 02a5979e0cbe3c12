"""A table as Parquet part files in one folder per week of event time: append-only, deduplicated when read."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from homeostat.features.schema import EVENT_ID, EVENT_TIME
from homeostat.records import derived_id

_MAX_PARTS = 64  # files of a week before they are merged; opening one takes about 1 ms
_READ_TRIES = 5
_WEEK = timedelta(weeks=1)


class PartFolder:
    """One table with one writer and any number of readers.

    A part's name derives from the ids of its rows, so a batch written again replaces itself, and a write that
    kill -9 cut short leaves nothing that counts. Merging writes the merged file first and removes the parts
    then: a crash in between leaves rows twice, which reading mends.
    """

    def __init__(self, root: Path, schema: pl.Schema) -> None:
        """Open the folder ``root``, or the one that will be there after the first append.

        Args:
            root: Holds a folder for each week.
            schema: Columns of what is read; parts written under another contract may have others.
        """
        self._root = root
        self._schema = schema
        self._counts: dict[str, int] = {}

    def append(self, rows: pl.DataFrame) -> None:
        """Store rows, each in the week of its event time; they survive kill -9 once this returns.

        Args:
            rows: Has the columns ``event_id`` and ``event_time``.
        """
        weeks = rows.get_column(EVENT_TIME).dt.truncate("1w").dt.strftime("%Y-%m-%d")
        if weeks.n_unique() == 1:
            self._append_to(weeks[0], rows)
            return
        for week in sorted(weeks.unique()):
            self._append_to(week, rows.filter(weeks == week))

    def weeks(self) -> list[str]:
        """Return the weeks that have rows, as the date of their Monday, oldest first."""
        if not self._root.is_dir():
            return []
        return sorted(path.name for path in self._root.iterdir() if path.is_dir())

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
            self._counts.pop(week, None)
        return len(old)

    def _stored(self, week: str) -> pl.DataFrame:
        for _ in range(_READ_TRIES - 1):
            try:
                return self._read(week)
            except FileNotFoundError:  # the writer merged parts after they were listed
                continue
        return self._read(week)

    def _read(self, week: str) -> pl.DataFrame:
        parts = [pl.read_parquet(path) for path in self.files(week)] or [self._schema.to_frame()]  # none: forgotten
        rows = pl.concat(parts, how="diagonal_relaxed")
        return rows.unique(EVENT_ID, keep="first", maintain_order=True).sort(EVENT_TIME, EVENT_ID)

    def _append_to(self, week: str, rows: pl.DataFrame) -> None:
        folder = self._root / week
        if week not in self._counts:
            folder.mkdir(parents=True, exist_ok=True)
            self._counts[week] = len(self.files(week))
        write_parquet(rows, folder / f"{derived_id(*rows.get_column(EVENT_ID))}.parquet")
        self._counts[week] += 1
        if self._counts[week] > _MAX_PARTS:
            self._merge(week)

    def _merge(self, week: str) -> None:
        parts = self.files(week)
        merged = self._root / week / f"{derived_id(*(path.name for path in parts))}.parquet"
        write_parquet(self._stored(week), merged)
        for part in parts:
            part.unlink()
        self._counts[week] = 1


def write_parquet(rows: pl.DataFrame, path: Path) -> None:
    """Write a file that is there whole or not at all."""
    unfinished = path.with_suffix(".unfinished")
    rows.write_parquet(unfinished, compression="zstd", compression_level=1, statistics=False)
    unfinished.replace(path)
