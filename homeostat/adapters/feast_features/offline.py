"""Every feature row and mature outcome as Parquet files, joined point-in-time by Feast, week by week."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from homeostat.adapters.feast_features.join import PointInTimeJoin
from homeostat.adapters.feast_features.parts import PartFolder, write_parquet
from homeostat.adapters.feast_features.repo import open_repo
from homeostat.batches import FeatureRows
from homeostat.contract.model import Contract
from homeostat.features.schema import (
    CREATED_AT,
    ENTITY_ID,
    EVENT_ID,
    EVENT_TIME,
    EVENT_TIME_US,
    LABEL,
    StoreColumn,
    store_columns,
)
from homeostat.records import FeatureRow, Outcome, derived_id
from homeostat.vectors import VECTORS, as_lists

_TIME = pl.Datetime("us", "UTC")
_ROW: dict[str, pl.DataType] = {EVENT_ID: pl.String(), ENTITY_ID: pl.String(), EVENT_TIME: _TIME}


class FeastOfflineFeatures:
    """Offline features by Feast.

    A join of everything at once takes gigabytes, and every training asks for nearly the same rows. So a week is
    joined by itself and kept as ``joined/<week>-<fingerprint>.parquet``; the fingerprint names the part files
    it came from, and a row that arrives late, for any week up to this one, makes another.
    """

    def __init__(
        self,
        contract: Contract,
        root: Path,
        online_store: Mapping[str, object] | None = None,
        *,
        was_used: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """Open or create the store under ``root``.

        Args:
            contract: Names and types of the features.
            root: Folder of the Feast repository, the same as the online store's.
            online_store: Feast's ``online_store`` section; None keeps rows in SQLite under ``root``.
            was_used: Says whether rows of ``features`` or ``outcomes`` were stored by an earlier process: a folder
                that had some and is gone is waited for, not made again.
        """
        repo = open_repo(contract, root, online_store)
        self._columns = store_columns(contract)
        cells = {c.stored_as: c.dtype for c in self._columns}
        self._features = PartFolder(
            root / "features",
            pl.Schema({**_ROW, CREATED_AT: _TIME, **cells, EVENT_TIME_US: pl.Int64()}),
            lambda: was_used("features") or was_used("outcomes"),  # an outcome may bring its features
        )
        outcomes = pl.Schema({**_ROW, LABEL: pl.Float64()})
        self._outcomes = PartFolder(root / "outcomes", outcomes, lambda: was_used("outcomes"))
        self._joined = root / "joined"
        self._joined.mkdir(exist_ok=True)
        self._join = PointInTimeJoin(contract, repo, self._joined)

    def write_features(self, rows: Sequence[FeatureRow | FeatureRows]) -> None:
        """Append feature rows, each kept once by its event id."""
        tables = [self._of_columns(pl.DataFrame(many.rows)) for many in rows if isinstance(many, FeatureRows)]
        if alone := [row for row in rows if isinstance(row, FeatureRow)]:
            tables.append(self._of_rows(alone))
        if tables:
            time = pl.col(EVENT_TIME)
            copies = (time.alias(CREATED_AT), time.cast(pl.Int64).alias(EVENT_TIME_US))
            self._features.append(pl.concat(tables).with_columns(*copies))

    def _of_rows(self, rows: Sequence[FeatureRow]) -> pl.DataFrame:
        columns = [
            pl.Series(EVENT_ID, [row.event_id for row in rows], pl.String),
            pl.Series(ENTITY_ID, [row.entity_id for row in rows], pl.String),
            pl.Series(EVENT_TIME, [row.event_time for row in rows], _TIME),
        ]
        cells = zip(*(row.values for row in rows), strict=True)
        features = [c.series(each, c.stored_as) for c, each in zip(self._columns, cells, strict=True)]
        return pl.DataFrame([*columns, *features])

    def _of_columns(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return rows under the names of the store; a feature that the contract did not have then is missing."""
        cells = [
            (pl.col(c.name) if c.name in table.columns else pl.lit(None)).cast(c.dtype).alias(c.stored_as)
            for c in self._columns
        ]
        vectors = [as_lists(column) for column in table if column.dtype == VECTORS]
        return table.with_columns(vectors).select(EVENT_ID, ENTITY_ID, EVENT_TIME, *cells)

    def write_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """Append mature outcomes, each kept once by its event id."""
        if not outcomes:
            return
        columns = [
            pl.Series(EVENT_ID, [outcome.event_id for outcome in outcomes], pl.String),
            pl.Series(ENTITY_ID, [outcome.entity_id for outcome in outcomes], pl.String),
            pl.Series(EVENT_TIME, [outcome.event_time for outcome in outcomes], _TIME),
            pl.Series("label_time", [outcome.label_time for outcome in outcomes], _TIME),
            pl.Series(LABEL, [outcome.label for outcome in outcomes], pl.Float64),
        ]
        self._outcomes.append(pl.DataFrame(columns))

    def training_frame(self, until: datetime) -> pl.DataFrame:
        """Return the labelled rows with ``event_time < until`` in the order of event time and event id.

        An outcome whose entity had no features yet keeps its row, with missing cells.
        """
        frames = [self._empty()]
        for week, fingerprint in self._fingerprints():
            if datetime.fromisoformat(week).replace(tzinfo=UTC) < until:
                frames.append(self._week(week, fingerprint).filter(pl.col(EVENT_TIME) < until))
        frame = pl.concat(frames).unique(EVENT_ID, keep="first", maintain_order=True)
        return frame.sort(EVENT_TIME, EVENT_ID)

    def forget(self, before: datetime) -> int:
        """Delete the weeks of rows that were over before a time, and return how many.

        What was joined of the weeks left is joined again at the next training: a row of theirs may have rested on
        one that is gone.
        """
        weeks = self._features.forget(before) + self._outcomes.forget(before)
        kept = set(self._outcomes.weeks())
        for path in self._joined.glob("*.parquet"):
            if path.name[:10] not in kept:
                path.unlink(missing_ok=True)
        return weeks

    def _fingerprints(self) -> list[tuple[str, str]]:
        """Return each week that has outcomes with an id of all the files its join depends on."""
        names: dict[str, str] = {}
        so_far = nothing = derived_id(*map(_described, self._columns))
        for week in self._features.weeks():
            so_far = names[week] = derived_id(so_far, week, *(path.name for path in self._features.files(week)))
        fingerprints = []
        for week in self._outcomes.weeks():
            known = max((w for w in names if w <= week), default="")
            outcomes = (path.name for path in self._outcomes.files(week))
            fingerprints.append((week, derived_id(names.get(known, nothing), *outcomes)))
        return fingerprints

    def _week(self, week: str, fingerprint: str) -> pl.DataFrame:
        path = self._joined / f"{week}-{fingerprint}.parquet"
        if path.exists():
            return pl.read_parquet(path)
        frame = self._joined_week(week)
        write_parquet(frame, path)
        for older in self._joined.glob(f"{week}-*.parquet"):
            if older != path:
                older.unlink(missing_ok=True)
        return frame

    def _joined_week(self, week: str) -> pl.DataFrame:
        """Join a week's outcomes with its features, and what finds no match there with earlier weeks, newest first."""
        missing = self._outcomes.read(week).drop_nulls(LABEL)
        found = []
        for earlier in reversed([w for w in self._features.weeks() if w <= week]):
            if missing.is_empty():
                break
            joined = self._join(missing, self._features.read(earlier))
            found.append(joined.drop_nulls(EVENT_TIME_US))
            missing = missing.join(found[-1], on=EVENT_ID, how="anti")
        frame = pl.concat([*found, missing], how="diagonal")
        return self._contracted(frame)

    def _contracted(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the columns of a training frame, named as in the contract."""
        cells = [
            (pl.col(c.stored_as) if c.stored_as in frame.columns else pl.lit(None)).cast(c.dtype).alias(c.name)
            for c in self._columns
        ]
        return frame.select(EVENT_ID, EVENT_TIME, LABEL, *cells)

    def _empty(self) -> pl.DataFrame:
        columns = [(c.name, c.dtype) for c in self._columns]
        return pl.DataFrame(schema=[(EVENT_ID, pl.String()), (EVENT_TIME, _TIME), (LABEL, pl.Float64()), *columns])


def _described(column: StoreColumn) -> str:
    return f"{column.name} {column.categorical}{' vector' if column.vector else ''}"
