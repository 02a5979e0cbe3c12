"""What every feature store promises (homeostat.ports.OnlineFeatures and OfflineFeatures)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeostat.adapters.memory_features import MemoryOfflineFeatures, MemoryOnlineFeatures
from homeostat.bootstrap.stack import feast_address
from homeostat.contract.model import Contract
from homeostat.ports import OfflineFeatures, OnlineFeatures, OnlineRow
from homeostat.records import Arm, Cell, FeatureRow, Outcome

NOON = datetime(2024, 2, 28, 12, 0, 0, 123456, tzinfo=UTC)
LATER = NOON + timedelta(days=400)
CELLS: tuple[Cell, ...] = (1.5, "ups", 0.25)


def row(event: str, entity: str, hours: float = 0, values: tuple[Cell, ...] = CELLS) -> FeatureRow:
    return FeatureRow(event, entity, NOON + timedelta(hours=hours), values)


def outcome(event: str, entity: str, hours: float = 0, label: float | None = 1.0) -> Outcome:
    time = NOON + timedelta(hours=hours)
    return Outcome(event, entity, time, time + timedelta(hours=1), label, Arm.CHAMPION, "1", 0.5, {"1": 0.5})


@pytest.fixture(params=["memory", "sqlite", "redis"])
def online(request: pytest.FixtureRequest, contract: Contract, tmp_path: Path) -> OnlineFeatures:
    if request.param == "memory":
        return MemoryOnlineFeatures()
    from homeostat.adapters.feast_features import FeastOnlineFeatures  # noqa: PLC0415 - takes seconds

    if request.param == "sqlite":
        return FeastOnlineFeatures(contract, tmp_path)
    alone = contract.model_copy(update={"product": f"parcels_{token_hex(6)}"})  # the server is everybody's
    section = {"type": "redis", "connection_string": feast_address(request.getfixturevalue("redis_server").url)}
    return FeastOnlineFeatures(alone, tmp_path, section)


def stores(contract: Contract, kind: str) -> Callable[[Path], OfflineFeatures]:
    if kind == "memory":
        return lambda _: MemoryOfflineFeatures(contract)
    from homeostat.adapters.feast_features import FeastOfflineFeatures  # noqa: PLC0415 - takes seconds

    return lambda root: FeastOfflineFeatures(contract, root)


@pytest.fixture(params=["memory", "feast"])
def offline(request: pytest.FixtureRequest, contract: Contract, tmp_path: Path) -> OfflineFeatures:
    return stores(contract, request.param)(tmp_path)


def test_what_is_written_online_is_read_in_the_order_asked(online: OnlineFeatures) -> None:
    online.write([row("e1", "a"), row("e2", "b", 1, (2.0, "dhl", -1.0))])
    assert online.read(["b", "a", "b"]) == [
        OnlineRow(NOON + timedelta(hours=1), (2.0, "dhl", -1.0)),
        OnlineRow(NOON, CELLS),
        OnlineRow(NOON + timedelta(hours=1), (2.0, "dhl", -1.0)),
    ]


def test_an_unknown_entity_has_no_row(online: OnlineFeatures) -> None:
    online.write([row("e1", "a")])
    assert online.read(["nobody", "a"]) == [None, OnlineRow(NOON, CELLS)]


def test_writing_and_reading_nothing_is_fine(online: OnlineFeatures) -> None:
    online.write([])
    assert online.read([]) == []


def test_entities_without_an_event_since_a_time_are_forgotten_and_no_others(online: OnlineFeatures) -> None:
    many = [row(f"e{i}", f"old{i}", -1 - i) for i in range(2_500)]  # more than go at a stroke
    online.write([*many, row("e", "at it", 0), row("f", "new", 1), row("g", "back", -5)])
    online.write([row("h", "back", 2)])
    assert online.forget(NOON) == 2_500
    assert online.read(["old0", "old2499"]) == [None, None]
    assert [found is not None for found in online.read(["at it", "new", "back"])] == [True] * 3
    assert online.forget(NOON) == 0


@pytest.mark.parametrize("hours", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_an_older_row_never_overwrites_a_newer_one_within_a_call(
    online: OnlineFeatures, hours: tuple[int, ...]
) -> None:
    online.write([row(f"e{h}", "a", h, (float(h), "ups", None)) for h in hours])
    assert online.read(["a"]) == [OnlineRow(NOON + timedelta(hours=2), (2.0, "ups", None))]


def test_of_two_rows_at_one_time_the_last_one_counts(online: OnlineFeatures) -> None:
    online.write([row("e1", "a", 0, (1.0, "ups", 1.0)), row("e2", "a", 0, (2.0, "dhl", 2.0))])
    assert online.read(["a"]) == [OnlineRow(NOON, (2.0, "dhl", 2.0))]


def test_a_row_written_again_changes_nothing(online: OnlineFeatures) -> None:
    for _ in range(2):
        online.write([row("e1", "a")])
        assert online.read(["a"]) == [OnlineRow(NOON, CELLS)]


def test_a_newer_row_takes_the_place_also_of_cells_it_misses(online: OnlineFeatures) -> None:
    online.write([row("e1", "a")])
    online.write([row("e2", "a", 1, (None, None, None))])
    assert online.read(["a"]) == [OnlineRow(NOON + timedelta(hours=1), (None, None, None))]


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    entity=st.text(min_size=1, max_size=30),
    values=st.tuples(
        st.none() | st.floats(allow_nan=False), st.none() | st.text(max_size=20), st.none() | st.floats(allow_nan=False)
    ),
)
def test_any_row_comes_back_as_it_went_in(online: OnlineFeatures, entity: str, values: tuple[Cell, ...]) -> None:
    online.write([row("e", entity, 0, values)])
    assert online.read([entity]) == [OnlineRow(NOON, values)]


def test_an_empty_store_gives_an_empty_training_frame_of_the_right_types(offline: OfflineFeatures) -> None:
    frame = offline.training_frame(LATER)
    assert frame.is_empty()
    assert frame.schema == pl.Schema(
        {
            "event_id": pl.String(),
            "event_time": pl.Datetime("us", "UTC"),
            "label": pl.Float64(),
            "weight": pl.Float64(),
            "carrier": pl.String(),
            "late_rate": pl.Float64(),
        }
    )


def test_a_training_frame_has_labelled_rows_in_event_time_order(offline: OfflineFeatures) -> None:
    offline.write_features([row("e2", "a", 2, (2.0, "dhl", None)), row("e1", "b", 1), row("e3", "c", 3)])
    offline.write_outcomes([outcome("e3", "c", 3, None), outcome("e2", "a", 2, 0.0), outcome("e1", "b", 1)])
    assert offline.training_frame(LATER).rows() == [
        ("e1", NOON + timedelta(hours=1), 1.0, *CELLS),
        ("e2", NOON + timedelta(hours=2), 0.0, 2.0, "dhl", None),
    ]


def test_rows_at_or_after_the_limit_are_left_out(offline: OfflineFeatures) -> None:
    offline.write_features([row("e1", "a", 1), row("e2", "b", 2)])
    offline.write_outcomes([outcome("e1", "a", 1), outcome("e2", "b", 2)])
    for hours, events in ((1, []), (2, ["e1"]), (3, ["e1", "e2"])):
        assert offline.training_frame(NOON + timedelta(hours=hours))["event_id"].to_list() == events


def test_a_row_written_often_is_kept_once(offline: OfflineFeatures) -> None:
    rows, outcomes = [row("e1", "a"), row("e2", "b", 1)], [outcome("e1", "a"), outcome("e2", "b", 1)]
    for part in (slice(0, 2), slice(0, 1), slice(1, 2), slice(0, 2)):
        offline.write_features(rows[part])
        offline.write_outcomes(outcomes[part])
    assert offline.training_frame(LATER)["event_id"].to_list() == ["e1", "e2"]


def test_outcomes_that_come_after_a_training_are_in_the_next_frame(offline: OfflineFeatures) -> None:
    offline.write_features([row("e1", "a"), row("e2", "b", 1), row("e3", "b", 24 * 30)])
    offline.write_outcomes([outcome("e1", "a"), outcome("e3", "b", 24 * 30)])
    assert offline.training_frame(LATER)["event_id"].to_list() == ["e1", "e3"]
    offline.write_outcomes([outcome("e2", "b", 1)])
    assert offline.training_frame(LATER)["event_id"].to_list() == ["e1", "e2", "e3"]


def test_an_outcome_without_features_keeps_its_row_until_they_come(offline: OfflineFeatures) -> None:
    offline.write_features([row("e9", "a", 1)])  # after the event: not known at its time
    offline.write_outcomes([outcome("e1", "a"), outcome("e2", "b")])
    assert [cells[3:] for cells in offline.training_frame(LATER).rows()] == [(None, None, None)] * 2
    offline.write_features([row("e1", "a"), row("e0", "b", -24 * 40, (7.0, "dhl", 0.5))])
    assert [cells[3:] for cells in offline.training_frame(LATER).rows()] == [CELLS, (7.0, "dhl", 0.5)]


def test_writing_nothing_offline_is_fine(offline: OfflineFeatures) -> None:
    offline.write_features([])
    offline.write_outcomes([])
    assert offline.training_frame(LATER).is_empty()


def test_what_is_forgotten_is_a_week_older_at_most_and_nothing_younger(offline: OfflineFeatures) -> None:
    hours = [24 * day for day in range(0, 40, 2)]
    offline.write_features([row(f"e{h:03}", "a", h) for h in hours])
    offline.write_outcomes([outcome(f"e{h:03}", "a", h) for h in hours])
    offline.training_frame(LATER)
    before = NOON + timedelta(days=20)
    assert offline.forget(before) > 0
    times = offline.training_frame(LATER)["event_time"].to_list()
    assert [time for time in times if time >= before] == [NOON + timedelta(hours=h) for h in hours if h >= 24 * 20]
    assert min(times) > before - timedelta(days=7)
    assert offline.forget(before) == 0
    offline.write_features([row("e999", "b", 24 * 50)])
    offline.write_outcomes([outcome("e999", "b", 24 * 50)])
    assert offline.training_frame(LATER)["event_id"].to_list()[-1] == "e999"


def test_forgetting_in_an_empty_store_is_fine(offline: OfflineFeatures) -> None:
    assert offline.forget(NOON) == 0


entities = st.sampled_from("abc")
hours_of_entities = st.lists(st.tuples(entities, st.integers(0, 24 * 35)), unique=True, max_size=12)


@pytest.mark.parametrize(("kind", "examples"), [("memory", 50), ("feast", 6)])
def test_features_are_those_known_at_the_time_of_the_event(contract: Contract, kind: str, examples: int) -> None:
    opened = stores(contract, kind)

    @settings(max_examples=examples, deadline=None)
    @given(written=hours_of_entities, asked=hours_of_entities)
    def check(written: list[tuple[str, int]], asked: list[tuple[str, int]]) -> None:
        rows = [row(f"f{i}", e, h, (float(i), f"c{i}", None)) for i, (e, h) in enumerate(written)]
        outcomes = [outcome(f"o{i:02}", e, h) for i, (e, h) in enumerate(asked)]
        with TemporaryDirectory() as root:
            offline = opened(Path(root))
            offline.write_features(rows)
            offline.write_outcomes(outcomes)
            frame = offline.training_frame(LATER)
        assert [(c[0], c[3:]) for c in frame.rows()] == [
            (o.event_id, as_of(rows, o)) for o in sorted(outcomes, key=lambda o: (o.event_time, o.event_id))
        ]

    check()


def as_of(rows: list[FeatureRow], asked: Outcome) -> tuple[Cell, ...]:
    """The point-in-time join, said in one line."""
    known = [r for r in rows if r.entity_id == asked.entity_id and r.event_time <= asked.event_time]
    return max(known, key=lambda r: r.event_time).values if known else (None, None, None)


def test_label_time_does_not_matter_to_the_join(offline: OfflineFeatures) -> None:
    offline.write_features([row("e1", "a"), row("e2", "a", 1, (9.0, "dhl", 9.0))])
    offline.write_outcomes([replace(outcome("e1", "a"), label_time=NOON + timedelta(days=3))])
    assert offline.training_frame(LATER).rows() == [("e1", NOON, 1.0, *CELLS)]
