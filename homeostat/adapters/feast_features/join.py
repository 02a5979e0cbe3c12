"""A point-in-time join by Feast with the DuckDB engine, bounded in memory."""

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import ibis  # type: ignore[import-untyped]
import polars as pl
from feast import FeatureStore
from feast.infra.offline_stores.offline_utils import get_offline_store_from_config

from homeostat.adapters.feast_features.repo import feature_view
from homeostat.contract.model import Contract
from homeostat.features.schema import CREATED_AT, ENTITY_ID, EVENT_ID, EVENT_TIME, EVENT_TIME_US, LABEL, store_columns

# ibis calls what DuckDB has renamed; Feast turns such warnings on
warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"ibis\.")

_AS_OF = "event_timestamp"  # the name Feast looks for; under another it prints its guess
_ENGINE = {"threads": 1, "memory_limit": "512MB"}  # a week of rows needs far less; beyond it DuckDB spills to disk


class PointInTimeJoin:
    """For each labelled outcome, the features of its entity as of its event time."""

    def __init__(self, contract: Contract, repo: FeatureStore, root: Path) -> None:
        """Keep what every join needs; ``root`` is a folder for temporary files."""
        self._contract = contract
        self._repo = repo
        self._root = root
        self._entity = repo.get_entity(contract.event.entity)
        self._engine = get_offline_store_from_config(repo.config.offline_store)
        self._stored = [column.stored_as for column in store_columns(contract)]

    def __call__(self, outcomes: pl.DataFrame, features: pl.DataFrame) -> pl.DataFrame:
        """Return ``event_id``, ``entity_id``, ``event_time``, ``label``, the features, ``event_time_us`` of the match.

        Outcomes whose entity has no row at or before their time keep their row, with missing cells.

        Args:
            outcomes: ``event_id``, ``entity_id``, ``event_time``, ``label``; one row an event.
            features: Rows of the store to search, one an event, sorted by event time and event id.
        """
        keys = [EVENT_ID, ENTITY_ID, EVENT_TIME, LABEL]
        wanted = [*self._stored, EVENT_TIME_US]
        with TemporaryDirectory(dir=self._root) as folder:
            path = Path(folder) / "rows.parquet"
            _with_order(features).write_parquet(path)
            view = feature_view(self._contract, self._entity, str(path))
            backend = ibis.duckdb.connect(**_ENGINE, temp_directory=folder)
            ibis.set_backend(backend)  # Feast reads files by ibis' default engine, which takes all cores and memory
            try:
                job = self._engine.get_historical_features(
                    config=self._repo.config,
                    feature_views=[view],
                    feature_refs=[f"{view.name}:{name}" for name in wanted],
                    entity_df=outcomes.select(keys).rename({EVENT_TIME: _AS_OF}).to_pandas(),
                    registry=self._repo.registry,
                    project=self._contract.product,
                )
                joined = pl.from_arrow(job.to_arrow())
            finally:
                backend.disconnect()
        assert isinstance(joined, pl.DataFrame)  # noqa: S101 - a table, not a column: for the type checker
        return (
            joined.rename({_AS_OF: EVENT_TIME})
            .select(*keys, *wanted)
            .cast({EVENT_TIME: pl.Datetime("us", "UTC"), LABEL: pl.Float64, **{n: features.schema[n] for n in wanted}})
        )


def _with_order(features: pl.DataFrame) -> pl.DataFrame:
    """Make rows of one entity at one time differ, so that which of them wins does not depend on luck."""
    rank = pl.int_range(pl.len(), dtype=pl.Int64).over(ENTITY_ID, EVENT_TIME)
    return features.with_columns((pl.col(EVENT_TIME) + pl.duration(microseconds=rank)).alias(CREATED_AT))
