"""Online features in Redis: what Feast reads of them, and what becomes of a restart or a wrong password."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis import Redis as Client

from deploy.servers import Redis
from homeostat.bootstrap.stack import feast_address
from homeostat.contract.model import Contract
from homeostat.errors import HomeostatError, TransientError
from homeostat.ports import OnlineFeatures, OnlineRow
from homeostat.records import FeatureRow

NOON = datetime(2024, 2, 28, 12, 0, 0, 123456, tzinfo=UTC)
ROW = FeatureRow("e1", "a", NOON, (1.5, "ups", None))


def opened(contract: Contract, folder: Path, url: str) -> OnlineFeatures:
    from homeostat.adapters.feast_features import FeastOnlineFeatures  # noqa: PLC0415 - takes seconds

    return FeastOnlineFeatures(contract, folder, {"type": "redis", "connection_string": feast_address(url)})


def test_feast_itself_reads_what_is_written(contract: Contract, tmp_path: Path, redis_server: Redis) -> None:
    from feast import FeatureStore, RepoConfig  # noqa: PLC0415 - takes seconds

    mine = contract.model_copy(update={"product": "read_by_feast"})
    opened(mine, tmp_path, redis_server.url).write([ROW])
    config = RepoConfig(
        project="read_by_feast",
        provider="local",
        registry=str(tmp_path / "registry.db"),
        online_store={"type": "redis", "connection_string": feast_address(redis_server.url)},
        entity_key_serialization_version=3,
    )
    view = FeatureStore(config=config).get_feature_view("read_by_feast")
    names = [field.name for field in view.features if field.name != "event_time_us"]
    found = FeatureStore(config=config).get_online_features(
        [f"{view.name}:{name}" for name in names], [{"entity_id": "a"}, {"entity_id": "nobody"}]
    )
    assert [found.to_dict()[name] for name in names] == [[1.5, None], ["ups", None], [None, None]]


def test_more_rows_than_go_at_a_stroke_are_all_there(contract: Contract, tmp_path: Path, redis_server: Redis) -> None:
    online = opened(contract.model_copy(update={"product": "many_rows"}), tmp_path, redis_server.url)
    ids = [str(i) for i in range(1_101)]
    online.write([FeatureRow(f"e{i}", i, NOON, (float(i), "ups", None)) for i in ids])
    assert online.read(ids) == [OnlineRow(NOON, (float(i), "ups", None)) for i in ids]


def test_a_full_server_asks_for_patience_and_takes_none_of_the_rows(
    own_server: Callable[[str], Redis], contract: Contract, tmp_path: Path
) -> None:
    server = own_server("redis")
    online, two = opened(contract, tmp_path, server.url), [ROW, FeatureRow("e2", "b", NOON, ROW.values)]
    with Client.from_url(server.url) as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(TransientError, match="Redis doesn't answer"):
            online.write(two)
        assert online.read(["a", "b"]) == [None, None]
        client.config_set("maxmemory", 0)
    online.write(two)
    assert online.read(["a", "b"]) == [OnlineRow(NOON, ROW.values)] * 2


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restart_in_the_middle_asks_for_patience_and_loses_nothing(
    own_server: Callable[[str], Redis], contract: Contract, tmp_path: Path, end: str
) -> None:
    server = own_server("redis")
    online = opened(contract, tmp_path, server.url)
    online.write([ROW])
    getattr(server, end)()
    for use in (lambda: online.read(["a"]), lambda: online.write([ROW])):
        with pytest.raises(TransientError, match="Redis doesn't answer"):
            use()
    server.start()
    assert online.read(["a", "b"]) == [OnlineRow(NOON, ROW.values), None]
    online.write([FeatureRow("e2", "b", NOON, ROW.values)])
    assert online.read(["b"]) == [OnlineRow(NOON, ROW.values)]


def test_a_store_opens_while_redis_is_away(
    own_server: Callable[[str], Redis], contract: Contract, tmp_path: Path
) -> None:
    server = own_server("redis")
    server.stop()
    online = opened(contract, tmp_path, server.url)
    server.start()
    assert online.read(["a"]) == [None]


def test_a_refused_password_names_the_setting(contract: Contract, tmp_path: Path, redis_server: Redis) -> None:
    online = opened(contract, tmp_path, redis_server.url.replace(redis_server.password, "guessed"))
    with pytest.raises(HomeostatError, match="HOMEOSTAT_REDIS__URL") as refused:
        online.read(["a"])
    assert not isinstance(refused.value, TransientError)
