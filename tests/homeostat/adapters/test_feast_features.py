import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from feast import FeatureStore, RepoConfig

from homeostat.adapters.feast_features import FeastOfflineFeatures, FeastOnlineFeatures
from homeostat.adapters.feast_features.repo import open_repo
from homeostat.contract.model import Contract
from homeostat.ports import OnlineRow
from homeostat.records import Arm, Cell, FeatureRow, Outcome

NOON = datetime(2024, 3, 31, 1, 30, 0, 5, tzinfo=UTC)  # an hour that a European summer skips
LATER = NOON + timedelta(days=400)
CONTRACT = """{
    "product": "parcels",
    "event": {"entity": "route_y", "fields": {"route_y": "string", "weight": "number", "carrier": "string"}},
    "label": {"field": "late", "delay": "1d", "maturity": "3d"},
    "features": {
        "weight_y": {"field": "weight"}, "rn": {"field": "carrier"},
        "entity_id": {"field": "weight"}, "created_at": {"field": "weight"}
    }
}"""
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def contract() -> Contract:
    """Feature names that Feast's join would drop or overwrite under their own names."""
    return Contract.model_validate_json(CONTRACT)


def row(index: int, hours: float = 0, values: tuple[Cell, ...] = (1.5, "ups", None, 3.0)) -> FeatureRow:
    return FeatureRow(f"e{index}", f"r{index % 3}", NOON + timedelta(hours=hours), values)


def outcome(made: FeatureRow, label: float | None = 1.0) -> Outcome:
    return Outcome(made.event_id, made.entity_id, made.event_time, None, label, Arm.NONE, None, None)


@pytest.mark.parametrize("type_", ["sqlite", "homeostat.adapters.feast_features.sqlite_online.BatchSqliteOnlineStore"])
def test_the_public_api_of_feast_reads_what_was_written(contract: Contract, tmp_path: Path, type_: str) -> None:
    FeastOnlineFeatures(contract, tmp_path).write([row(0), row(1, values=(None, None, 2.0, 3.0))])
    store = FeatureStore(
        config=RepoConfig(
            project="parcels",
            provider="local",
            registry=str(tmp_path / "registry.db"),
            online_store={"type": type_, "path": str(tmp_path / "online.db")},
            offline_store={"type": "duckdb"},
            entity_key_serialization_version=3,
        )
    )
    view = store.get_feature_view("parcels")
    names = [f"parcels:{field.name}" for field in view.features]
    rows = store.get_online_features(names, [{"entity_id": name} for name in ("r1", "r0", "r9")]).to_dict()
    assert rows["weight_y_"] == [None, 1.5, None]
    assert rows["rn_"] == [None, "ups", None]
    assert rows["entity_id_"] == [2.0, None, None]
    assert rows["created_at_"] == [3.0, 3.0, None]


def test_the_store_of_feast_itself_is_taken_by_configuration(contract: Contract, tmp_path: Path) -> None:
    online = FeastOnlineFeatures(contract, tmp_path, {"type": "sqlite", "path": str(tmp_path / "plain.db")})
    online.write([row(0)])
    assert online.read(["r0", "r1"]) == [OnlineRow(row(0).event_time, row(0).values), None]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_an_event_time_comes_back_to_the_microsecond_in_any_time_zone(
    contract: Contract, tmp_path: Path, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time  # noqa: PLC0415 - for this test alone

    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        online = FeastOnlineFeatures(contract, tmp_path)
        online.write([row(0)])
        assert online.read(["r0"]) == [OnlineRow(NOON, row(0).values)]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_names_that_feast_would_drop_are_joined(contract: Contract, tmp_path: Path) -> None:
    offline = FeastOfflineFeatures(contract, tmp_path)
    offline.write_features([row(0)])
    offline.write_outcomes([outcome(row(0))])
    assert offline.training_frame(LATER).to_dicts() == [
        {
            "event_id": "e0",
            "event_time": NOON,
            "label": 1.0,
            "weight_y": 1.5,
            "rn": "ups",
            "entity_id": None,
            "created_at": 3.0,
        }
    ]


def test_of_two_rows_of_an_entity_at_one_time_the_greater_event_id_wins_in_any_order(
    contract: Contract, tmp_path: Path
) -> None:
    rows = [row(0, 0, (0.0, "a", 0.0, 0.0)), row(3, 0, (3.0, "b", 3.0, 3.0))]
    for name, written in (("one", rows), ("other", rows[::-1])):
        offline = FeastOfflineFeatures(contract, tmp_path / name)
        for made in written:
            offline.write_features([made])
        offline.write_outcomes([outcome(rows[0])])
        assert offline.training_frame(LATER)["weight_y"].to_list() == [3.0]


def test_part_files_stay_few_and_rows_whole(contract: Contract, tmp_path: Path) -> None:
    offline = FeastOfflineFeatures(contract, tmp_path)
    rows = [row(i, i / 10) for i in range(150)]
    for made in rows:
        offline.write_features([made])
        offline.write_outcomes([outcome(made)])
    for table in ("features", "outcomes"):
        assert len(list((tmp_path / table).rglob("*.parquet"))) <= 70
    assert offline.training_frame(LATER)["event_id"].to_list() == [made.event_id for made in rows]


def test_a_crash_while_merging_parts_loses_and_doubles_nothing(
    contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline = FeastOfflineFeatures(contract, tmp_path)
    rows = [row(i, i / 10) for i in range(70)]
    offline.write_outcomes([outcome(made) for made in rows])
    written: list[FeatureRow] = []

    def write_all() -> None:
        for made in rows:
            written.append(made)
            offline.write_features([made])

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", _crash)
        with pytest.raises(KeyboardInterrupt):
            write_all()
    again = FeastOfflineFeatures(contract, tmp_path)
    again.write_features(rows[len(written) - 1 :])
    assert again.training_frame(LATER).select("event_id", "weight_y").rows() == [(r.event_id, 1.5) for r in rows]


def _crash(*_args: object, **_kwargs: object) -> None:
    raise KeyboardInterrupt


def test_a_finished_week_is_joined_once(contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offline = FeastOfflineFeatures(contract, tmp_path)
    rows = [row(i, i * 24) for i in range(20)]
    offline.write_features(rows)
    offline.write_outcomes([outcome(made) for made in rows])
    frame = offline.training_frame(LATER)
    monkeypatch.setattr(offline, "_join", None)
    assert offline.training_frame(LATER).equals(frame)


def test_the_frame_is_the_same_however_rows_were_batched(contract: Contract, tmp_path: Path) -> None:
    rows = [row(i, i * 5) for i in range(40)]
    frames = []
    for size in (40, 7):
        offline = FeastOfflineFeatures(contract, tmp_path / str(size))
        for start in range(0, 40, size):
            offline.write_features(rows[start : start + size])
            offline.write_outcomes([outcome(made) for made in rows[start : start + size]])
        frames.append(offline.training_frame(LATER))
    assert frames[0].equals(frames[1])


def test_opening_a_store_again_leaves_the_registry_alone(contract: Contract, tmp_path: Path) -> None:
    open_repo(contract, tmp_path, None)
    before = (tmp_path / "registry.db").read_bytes()
    open_repo(contract, tmp_path, None)
    assert (tmp_path / "registry.db").read_bytes() == before


def test_another_feature_in_the_contract_is_added_to_the_store(contract: Contract, tmp_path: Path) -> None:
    FeastOnlineFeatures(contract, tmp_path).write([row(0)])
    wider = contract.model_copy(update={"features": {**contract.features, "more": contract.features["rn"]}})
    online = FeastOnlineFeatures(wider, tmp_path)
    assert online.read(["r0"]) == [OnlineRow(NOON, (*row(0).values, None))]
    online.write([row(0, 1, (1.0, "a", 2.0, 3.0, "new"))])
    assert online.read(["r0"]) == [OnlineRow(NOON + timedelta(hours=1), (1.0, "a", 2.0, 3.0, "new"))]


def test_rows_written_before_a_feature_was_added_have_it_missing(contract: Contract, tmp_path: Path) -> None:
    before = FeastOfflineFeatures(contract, tmp_path)
    before.write_features([row(0), row(1, 1)])
    before.write_outcomes([outcome(row(0)), outcome(row(2, 2))])
    assert "more" not in before.training_frame(LATER).columns
    wider = contract.model_copy(update={"features": {**contract.features, "more": contract.features["rn"]}})
    after = FeastOfflineFeatures(wider, tmp_path)
    assert after.training_frame(LATER)["more"].to_list() == [None, None]
    after.write_features([row(2, 2, (1.0, "a", 2.0, 3.0, "new"))])
    assert after.training_frame(LATER)["more"].to_list() == [None, "new"]


def test_nothing_is_printed(contract: Contract, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    FeastOnlineFeatures(contract, tmp_path).write([row(0)])
    offline = FeastOfflineFeatures(contract, tmp_path)
    offline.write_features([row(0)])
    offline.write_outcomes([outcome(row(0))])
    offline.training_frame(LATER)
    assert capfd.readouterr() == ("", "")


WRITER = """
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from homeostat.adapters.feast_features import FeastOfflineFeatures, FeastOnlineFeatures
from homeostat.contract.model import Contract
from homeostat.records import Arm, FeatureRow, Outcome
contract, root = Contract.model_validate_json({contract!r}), Path({root!r})
online, offline = FeastOnlineFeatures(contract, root), FeastOfflineFeatures(contract, root)
for i in range(100_000):
    time = datetime(2024, 3, 31, tzinfo=UTC) + timedelta(minutes=i)
    rows = [FeatureRow(f"e{{i}}", f"r{{i}}", time, (float(i), "ups", None, 1.0))]
    offline.write_features(rows)
    offline.write_outcomes([Outcome(f"e{{i}}", f"r{{i}}", time, None, 1.0, Arm.NONE, None, None)])
    online.write(rows)
    print(i, flush=True)
"""


def test_acknowledged_rows_survive_kill_9(contract: Contract, tmp_path: Path) -> None:
    script = WRITER.format(contract=CONTRACT, root=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(80)]
        process.kill()
        lines += process.stdout.readlines()
    count = len([line for line in lines if line.endswith(b"\n")])
    assert count >= 80
    frame = FeastOfflineFeatures(contract, tmp_path).training_frame(LATER).head(count)
    assert frame.select("event_id", "weight_y").rows() == [(f"e{i}", float(i)) for i in range(count)]
    online = FeastOnlineFeatures(contract, tmp_path).read([f"r{i}" for i in range(count)])
    assert [found.values[0] for found in online if found] == [float(i) for i in range(count)]


def test_feast_comes_without_compiled_in_type_checks_and_others_keep_theirs() -> None:
    script = """
import typeguard
kept = typeguard.typechecked
import homeostat.adapters.feast_features
from feast import FeatureView
assert typeguard.typechecked is kept
print(*FeatureView.__init__.__code__.co_varnames)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"self", "entities"} <= set(done.stdout.split())
    assert "TypeCheckMemo" not in done.stdout
