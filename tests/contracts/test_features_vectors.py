"""What every feature store promises of vectors."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeostat.adapters.memory_features import MemoryOfflineFeatures, MemoryOnlineFeatures
from homeostat.bootstrap.stack import feast_address
from homeostat.contract.model import Contract, FieldSpec
from homeostat.ports import OfflineFeatures, OnlineFeatures, OnlineRow
from homeostat.records import Arm, Cell, FeatureRow, Outcome
from homeostat.tabular import as_records
from homeostat.vectors import unpacked, vector_column, vector_of

NOON = datetime(2024, 2, 28, 12, 0, 0, 123456, tzinfo=UTC)
LATER = NOON + timedelta(days=400)
SIZE = 3


@pytest.fixture
def toys() -> Contract:
    fields = {"shop": "string", "price": "number", "emb": {"type": "vector", "size": SIZE, "nullable": True}}
    return Contract.model_validate(
        {
            "product": f"toys_{token_hex(6)}",  # the server is everybody's
            "event": {"entity": "shop", "fields": fields},
            "label": {"field": "returned", "delay": "1h", "maturity": "6h"},
            "features": {"price": {"field": "price"}, "look": {"field": "emb"}},
        }
    )


@pytest.fixture(params=["memory", "sqlite", "redis"])
def online(request: pytest.FixtureRequest, toys: Contract, tmp_path: Path) -> OnlineFeatures:
    if request.param == "memory":
        return MemoryOnlineFeatures()
    from homeostat.adapters.feast_features import FeastOnlineFeatures  # noqa: PLC0415 - takes seconds

    if request.param == "sqlite":
        return FeastOnlineFeatures(toys, tmp_path)
    section = {"type": "redis", "connection_string": feast_address(request.getfixturevalue("redis_server").url)}
    return FeastOnlineFeatures(toys, tmp_path, section)


@pytest.fixture(params=["memory", "feast"])
def opened(request: pytest.FixtureRequest, toys: Contract, tmp_path: Path) -> Callable[[], OfflineFeatures]:
    if request.param == "memory":
        store = MemoryOfflineFeatures(toys)
        return lambda: store
    from homeostat.adapters.feast_features import FeastOfflineFeatures  # noqa: PLC0415 - takes seconds

    return lambda: FeastOfflineFeatures(toys, tmp_path)


def row(event: str, hours: float, emb: Cell, entity: str = "a") -> FeatureRow:
    return FeatureRow(event, entity, NOON + timedelta(hours=hours), (1.5, emb))


def outcome(event: str, hours: float, entity: str = "a") -> Outcome:
    time = NOON + timedelta(hours=hours)
    return Outcome(event, entity, time, time + timedelta(hours=1), 1.0, Arm.CHAMPION, "1", 0.5, {"1": 0.5})


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(emb=st.none() | st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * SIZE))
def test_any_vector_comes_back_as_it_went_in(online: OnlineFeatures, emb: Cell) -> None:
    online.write([row("e", 0, emb)])
    assert online.read(["a"]) == [OnlineRow(NOON, (1.5, emb))]


def test_a_large_vector_comes_back(online: OnlineFeatures) -> None:
    emb = tuple(float(i % 3 == 0) * i for i in range(3_000))
    online.write([row("e", 0, emb)])
    assert online.read(["a"]) == [OnlineRow(NOON, (1.5, emb))]


def test_a_sparse_vector_comes_back_as_one(online: OnlineFeatures) -> None:
    emb = vector_of({17: 0.5, 2_999: -1e-300}, 3_000)
    online.write([row("e", 0, emb)])
    assert online.read(["a"]) == [OnlineRow(NOON, (1.5, emb))]


def test_a_training_frame_has_vectors_as_lists(opened: Callable[[], OfflineFeatures]) -> None:
    offline = opened()
    assert offline.training_frame(LATER).schema["look"] == pl.List(pl.Float64)
    offline.write_features([row("e1", 0, (1.0, -2.5, 1e-300)), row("e2", 1, None), row("e3", 2, (0.0, 0.0, 7.0))])
    offline.write_outcomes([outcome("e1", 0), outcome("e2", 1), outcome("e3", 2), outcome("e4", 2, "nobody")])
    for frame in (offline.training_frame(LATER), opened().training_frame(LATER)):  # joined, and what was kept of it
        assert frame.schema["look"] == pl.List(pl.Float64)
        assert frame["look"].to_list() == [[1.0, -2.5, 1e-300], None, [0.0, 0.0, 7.0], None]


def test_a_training_frame_has_sparse_vectors_with_all_their_numbers(opened: Callable[[], OfflineFeatures]) -> None:
    offline, rows = opened(), 70  # those that come as columns, and one alone
    emb = [vector_of({i: 0.5}, 100) for i in range(rows)]
    ids = [f"e{i:03}" for i in range(rows)]
    times = pl.Series([NOON + timedelta(minutes=i) for i in range(rows)], dtype=pl.Datetime("us", "UTC"))
    head = {"event_id": ids, "entity_id": ids, "event_time": times, "price": [1.0] * rows}
    offline.write_features(as_records(pl.DataFrame({**head, "look": vector_column("look", emb)})))
    offline.write_features([row("e900", 9, emb[3], "e900")])
    offline.write_outcomes([outcome(one, i / 60, one) for i, one in enumerate(ids)] + [outcome("e900", 9, "e900")])
    frame = offline.training_frame(LATER)
    assert frame.schema["look"] == pl.List(pl.Float64)
    assert frame["look"].to_list() == [unpacked(one).tolist() for one in [*emb, emb[3]]]


def test_what_was_a_number_before_is_missing_as_a_vector_and_the_other_way_round(
    toys: Contract, tmp_path: Path
) -> None:
    from homeostat.adapters.feast_features import FeastOfflineFeatures  # noqa: PLC0415 - takes seconds

    fields = {**toys.event.fields, "emb": FieldSpec(type="number", nullable=True)}
    before = toys.model_copy(update={"event": toys.event.model_copy(update={"fields": fields})})
    offline = FeastOfflineFeatures(before, tmp_path)
    offline.write_features([row("e1", 0, 2.5)])
    offline.write_outcomes([outcome("e1", 0), outcome("e2", 1)])
    offline = FeastOfflineFeatures(toys, tmp_path)
    offline.write_features([row("e2", 1, (1.0, 2.0, 3.0))])
    assert offline.training_frame(LATER)["look"].to_list() == [None, [1.0, 2.0, 3.0]]
    assert FeastOfflineFeatures(before, tmp_path).training_frame(LATER)["look"].to_list() == [2.5, None]


def test_vectors_of_many_rows_as_columns_are_the_same(opened: Callable[[], OfflineFeatures]) -> None:
    offline, rows = opened(), 100
    emb = [[float(i), 0.5, -float(i)] if i % 3 else None for i in range(rows)]
    table = pl.DataFrame(
        {
            "event_id": [f"e{i:03}" for i in range(rows)],
            "entity_id": [f"s{i}" for i in range(rows)],
            "event_time": pl.Series([NOON + timedelta(minutes=i) for i in range(rows)], dtype=pl.Datetime("us", "UTC")),
            "price": pl.Series([1.0] * rows),
            "look": vector_column("look", [None if one is None else tuple(one) for one in emb]),
        }
    )
    offline.write_features(as_records(table))
    offline.write_outcomes([outcome(f"e{i:03}", i / 60, f"s{i}") for i in range(rows)])
    assert offline.training_frame(LATER)["look"].to_list() == emb
