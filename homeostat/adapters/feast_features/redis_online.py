"""Feast's Redis online store, quick to say that Redis is away and with one round trip for many rows.

What Redis acknowledged survives its kill -9 with ``appendonly yes``, and a power cut with ``appendfsync always``
too; with Redis' default ``appendfsync everysec`` a power cut may lose the last second, which then comes back with
the next event of each entity.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain, islice
from typing import Literal

from feast import FeatureView, RepoConfig
from feast.infra.online_stores.helpers import _mmh3
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from google.protobuf.timestamp_pb2 import Timestamp  # type: ignore[import-untyped]
from redis import Redis, RedisCluster
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, RedisError
from redis.retry import Retry

from homeostat.adapters.feast_features.encoding import EPOCH, MICROSECOND, EncodedRow, QuickStore
from homeostat.errors import HomeostatError, TransientError

_DELETE_IF_STILL = """
if redis.call("HGET", KEYS[1], ARGV[1]) == ARGV[2] then return redis.call("UNLINK", KEYS[1]) end
return 0
"""
_AT_A_STROKE = 500  # rows: 1 or 2 ms in which Redis answers nobody else

TYPE = "homeostat.adapters.feast_features.redis_online.QuickRedisOnlineStore"


class QuickRedisOnlineStoreConfig(RedisOnlineStoreConfig):
    """The ``online_store`` section of Feast's ``type: redis``, with another default."""

    type: Literal["homeostat.adapters.feast_features.redis_online.QuickRedisOnlineStore"] = TYPE  # type: ignore[assignment]
    skip_dedup: bool = True
    """Write without reading first: which row is the newest is known already."""


class QuickRedisOnlineStore(QuickStore, RedisOnlineStore):
    """Keys and values are Feast's, so ``type: redis`` reads what is written here."""

    def write_encoded(
        self, config: RepoConfig, table: FeatureView, names: Sequence[str], rows: Sequence[EncodedRow]
    ) -> None:
        """Write rows without Feast's object a cell, many of them at a stroke.

        Redis reads 16 KiB at a time and syncs its file after each with ``appendfsync always``, unless they are one
        transaction. A cluster has none over the keys of several nodes.
        """
        project, fields = config.project.encode(), _fields(table.name, tuple(names))
        stamp_field = f"_ts:{table.name}".encode()
        client = self._get_client(config.online_store)
        for start in range(0, len(rows), _AT_A_STROKE):
            part = rows[start : start + _AT_A_STROKE]
            with client.pipeline(transaction=len(part) > 1 and not isinstance(client, RedisCluster)) as pipe:
                for key, event_time, cells in part:
                    pairs = chain.from_iterable(zip(fields, cells, strict=True))
                    pipe.execute_command("HSET", key + project, stamp_field, _stamp(event_time), *pairs)
                pipe.execute()

    def read_encoded(
        self, config: RepoConfig, table: FeatureView, names: Sequence[str], keys: Sequence[bytes]
    ) -> list[Sequence[bytes | None]]:
        """Read rows in one round trip, without Feast's object a cell and the time that nobody asks for."""
        project, fields = config.project.encode(), _fields(table.name, tuple(names))
        with self._get_client(config.online_store).pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.execute_command("HMGET", key + project, *fields)
            found: list[Sequence[bytes | None]] = pipe.execute()
            return found

    def forget(self, config: RepoConfig, table: FeatureView, before: datetime) -> int:
        """Delete the rows of events before a time, in passing over all keys; none that has a newer one by then."""
        client, stamp_field = self._get_client(config.online_store), f"_ts:{table.name}".encode()
        keys, gone = client.scan_iter(match=b"*" + config.project.encode(), count=_AT_A_STROKE), 0
        while some := list(islice(keys, _AT_A_STROKE)):
            with client.pipeline(transaction=False) as pipe:
                for key in some:
                    pipe.execute_command("HGET", key, stamp_field)
                stamps = zip(some, pipe.execute(), strict=True)
                for key, stamp in stamps:
                    if stamp and Timestamp.FromString(stamp).ToDatetime(UTC) < before:  # another product's key has none
                        pipe.execute_command("EVAL", _DELETE_IF_STILL, 1, key, stamp_field, stamp)
                gone += sum(pipe.execute())
        return gone

    def _get_client(self, online_store_config: RedisOnlineStoreConfig) -> "Redis | RedisCluster":
        """Return the client; it tries once more, on a new connection: by default it would wait for seconds."""
        if self._client is None:
            self._client = super()._get_client(online_store_config)
            self._client.set_retry(Retry(NoBackoff(), 1))
        return self._client


@lru_cache(64)
def _fields(view: str, names: tuple[str, ...]) -> list[bytes]:
    """Return under what Feast keeps the cells of these names in an entity's hash."""
    return [_mmh3(f"{view}:{name}") for name in names]


def _stamp(time: datetime) -> bytes:
    seconds, microseconds = divmod((time - EPOCH) // MICROSECOND, 1_000_000)
    stamp: bytes = Timestamp(seconds=seconds, nanos=1_000 * microseconds).SerializeToString()
    return stamp


@contextmanager
def redis_errors() -> Iterator[None]:
    """Tell what may pass (a server that restarts or is full) from what won't."""
    try:
        yield
    except (AuthenticationError, AuthorizationError, NoPermissionError) as error:
        raise HomeostatError(f"Redis refuses us; look at HOMEOSTAT_REDIS__URL: {error}") from error
    except (RedisError, OSError) as error:
        raise TransientError(f"Redis doesn't answer: {error}") from error
