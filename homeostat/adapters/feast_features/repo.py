"""A product's Feast repository under one folder: configuration, entity, feature view, registry."""

import fcntl
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.data_format import ParquetFormat
from feast.errors import FeatureViewNotFoundException
from feast.types import Array, FeastType, Float64, Int64, String

from homeostat.contract.model import Contract
from homeostat.features.schema import CREATED_AT, ENTITY_ID, EVENT_TIME, EVENT_TIME_US, store_columns

# by name, as Feast loads them: each does what Feast's store of that type does, faster
SQLITE = "homeostat.adapters.feast_features.sqlite_online.BatchSqliteOnlineStore"
REDIS = "homeostat.adapters.feast_features.redis_online.QuickRedisOnlineStore"
_TYPES: dict[str, FeastType] = {"text": String, "number": Float64, "vector": Array(Float64)}


def open_repo(contract: Contract, root: Path, online_store: Mapping[str, object] | None) -> FeatureStore:
    """Return the store of a product with its entity and view registered.

    Args:
        contract: Names the product, its entity and its features.
        root: Folder of the registry and of the part files.
        online_store: Feast's ``online_store`` section, ``type: redis`` for Redis; None keeps rows in SQLite under
            ``root``.
    """
    root = root.resolve()  # Feast takes a relative path as one below its own folder
    root.mkdir(parents=True, exist_ok=True)
    store = FeatureStore(
        config=RepoConfig(
            project=contract.product,
            provider="local",
            registry=str(root / "registry.db"),
            online_store=_section(online_store, root),
            offline_store={"type": "duckdb"},
            entity_key_serialization_version=3,
        )
    )
    entity = Entity(name=contract.event.entity, join_keys=[ENTITY_ID], value_type=ValueType.STRING)
    view = feature_view(contract, entity, str(root / "features" / "*" / "*.parquet"))
    with (root / ".registry.lock").open("w") as lock:  # Feast rewrites the whole file; two processes may start at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _registered(store, view):
            store.apply([entity, view])
    return store


def _section(online_store: Mapping[str, object] | None, root: Path) -> dict[str, object]:
    if online_store is None:
        return {"type": SQLITE, "path": str(root / "online.db")}
    return {**online_store, "type": REDIS if online_store["type"] == "redis" else online_store["type"]}


def feature_view(contract: Contract, entity: Entity, files: str) -> FeatureView:
    """Return the one view of a product: its features, and the exact event time.

    Args:
        contract: Names and types of the features.
        entity: What rows are stored by.
        files: Glob of the Parquet part files behind it.
    """
    fields = [Field(name=c.stored_as, dtype=_TYPES[c.kind]) for c in store_columns(contract)]
    return FeatureView(
        name=contract.product,
        entities=[entity],
        schema=[Field(name=ENTITY_ID, dtype=String), *fields, Field(name=EVENT_TIME_US, dtype=Int64)],
        source=file_source(contract, files),
        ttl=timedelta(0),  # the last known row stays valid
        online=True,
    )


def file_source(contract: Contract, files: str) -> FileSource:
    """Return Parquet files as a Feast source."""
    return FileSource(
        name=f"{contract.product}_rows",
        path=files,
        timestamp_field=EVENT_TIME,
        created_timestamp_column=CREATED_AT,
        file_format=ParquetFormat(),
    )


def _registered(store: FeatureStore, view: FeatureView) -> bool:
    """Say whether the registry holds this view already; applying it again would rewrite the file under readers."""
    try:
        known = store.get_feature_view(view.name)
    except FeatureViewNotFoundException:
        return False
    return known.schema == view.schema and known.batch_source == view.batch_source and known.entities == view.entities
