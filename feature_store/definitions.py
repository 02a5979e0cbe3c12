"""The Feast objects of the example product, built from its contract alone; `feast apply` finds them here."""

from datetime import timedelta
from importlib.resources import as_file, files
from pathlib import Path

from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.data_format import ParquetFormat
from feast.types import Array, FeastType, Float64, Int64, String

from homeostat.contract.load import load_contract
from homeostat.features.schema import CREATED_AT, ENTITY_ID, EVENT_TIME, EVENT_TIME_US, store_columns

with as_file(files("homeostat.examples.flights") / "contract.yaml") as path:
    contract = load_contract(path)

entity = Entity(name=contract.event.entity, join_keys=[ENTITY_ID], value_type=ValueType.STRING)

types: dict[str, FeastType] = {"text": String, "number": Float64, "vector": Array(Float64)}

rows = FileSource(
    name=f"{contract.product}_rows",
    path=str(Path(__file__).parents[1] / ".homeostat" / "feast" / "features" / "*" / "*.parquet"),
    timestamp_field=EVENT_TIME,
    created_timestamp_column=CREATED_AT,
    file_format=ParquetFormat(),
)

view = FeatureView(
    name=contract.product,
    entities=[entity],
    schema=[
        Field(name=ENTITY_ID, dtype=String),
        *(Field(name=c.stored_as, dtype=types[c.kind]) for c in store_columns(contract)),
        Field(name=EVENT_TIME_US, dtype=Int64),
    ],
    source=rows,
    ttl=timedelta(0),  # the last known row stays valid
    online=True,
)
