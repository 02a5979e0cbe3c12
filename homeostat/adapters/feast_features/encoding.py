"""A row's key and cells in the bytes that Feast stores: as its protobuf classes make them, without an object a cell.

That they are the same bytes is tested against Feast's own functions (tests/homeostat/adapters/test_feast_encoding.py).
"""

import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from feast import FeatureView, RepoConfig
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import DoubleList, Value

from homeostat.features.schema import ENTITY_ID
from homeostat.records import Cell, SparseVector
from homeostat.vectors import packed, unpacked

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
_MISSING: Final = b""  # a Value that holds nothing
_DOUBLE_CELL: Final = struct.Struct("<Bd")
_VECTOR: Final = Value(double_list_val=DoubleList()).SerializeToString()[:1]  # the field's number comes first
_HEAD: Final = 4  # bytes before the numbers of a vector, at least
_DOUBLE: Final = Value.DESCRIPTOR.fields_by_name["double_val"].number << 3 | 1  # a field of 8 bytes


class EncodedRow(NamedTuple):
    """One row as a store writes it."""

    key: bytes
    event_time: datetime
    cells: Sequence[bytes]


class QuickStore(ABC):
    """What one of Feast's online stores needs to take rows in the bytes in which it keeps them."""

    @abstractmethod
    def write_encoded(
        self, config: RepoConfig, table: FeatureView, names: Sequence[str], rows: Sequence[EncodedRow]
    ) -> None:
        """Write rows whose cells are those of the names, all of them or none where the store can.

        Args:
            config: Of the repository.
            table: The view that the rows are of.
            names: Of the cells of each row.
            rows: Keys as Feast makes them, without the project.
        """

    @abstractmethod
    def read_encoded(
        self, config: RepoConfig, table: FeatureView, names: Sequence[str], keys: Sequence[bytes]
    ) -> list[Sequence[bytes | None]]:
        """Return for each key, in the order asked, the cells of the names, None for each that isn't there."""

    @abstractmethod
    def forget(self, config: RepoConfig, table: FeatureView, before: datetime) -> int:
        """Delete the rows of events before a time and return how many went; one that is written meanwhile stays."""

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: Sequence[tuple[EntityKey, dict[str, Value], datetime, datetime | None]],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Write rows as Feast's own interface has them."""
        names = tuple(data[0][1]) if data else ()
        self.write_encoded(config, table, names, encoded_rows(config, names, data))
        if progress:
            progress(len(data))


def entity_key(entity_id: str) -> EntityKey:
    """Return an entity's key as Feast's interface takes it."""
    return EntityKey(join_keys=[ENTITY_ID], entity_values=[Value(string_val=entity_id)])


def key_encoder(version: int) -> Callable[[str], bytes]:
    """Return what makes the key of an entity: it ends with the id behind its length, and all before is the same."""
    head = serialize_entity_key(entity_key(""), version)[: -struct.calcsize("<I")]
    pack_length = struct.Struct("<I").pack

    def encode(entity_id: str) -> bytes:
        text = entity_id.encode()
        return b"%b%b%b" % (head, pack_length(len(text)), text)

    return encode


def encoded(values: Iterable[Cell], *, categorical: bool) -> list[bytes]:
    """Return a feature's cells: texts if it is categorical, lists where they are vectors, else floats of 64 bits."""
    if categorical:
        return [_MISSING if value is None else _text(str(value)) for value in values]
    return [_MISSING if value is None else _numbers(value) for value in values]


def _numbers(value: Cell) -> bytes:
    if isinstance(value, tuple | SparseVector):
        return _vector_head(len(value)) + unpacked(value).astype("<f8").tobytes()
    return _DOUBLE_CELL.pack(_DOUBLE, value)


@lru_cache(64)  # a contract has few vectors
def _vector_head(size: int) -> bytes:
    """Return what comes before the numbers of a vector: protobuf has them as they are in memory."""
    whole: bytes = Value(double_list_val=DoubleList(val=(0.0,) * size)).SerializeToString()
    return whole[: len(whole) - 8 * size]


def decoded(cell: bytes | None) -> Cell:
    """Return what a feature's cell holds, whatever type it was stored as; None where there is none."""
    if not cell:
        return None
    if len(cell) == _DOUBLE_CELL.size and cell[0] == _DOUBLE:
        number: float = _DOUBLE_CELL.unpack(cell)[1]
        return number
    if cell.startswith(_VECTOR):
        return _vector(cell)
    return _parsed(cell)


def _vector(cell: bytes) -> Cell:
    head = _vector_head((len(cell) - _HEAD) // 8)
    if cell.startswith(head) and (len(cell) - len(head)) % 8 == 0:
        return packed(np.frombuffer(cell, "<f8", offset=len(head)))
    return tuple(Value.FromString(cell).double_list_val.val)  # as another writer may put it


def encoded_time(time: datetime) -> bytes:
    """Return a time's cell: microseconds since 1970."""
    cell: bytes = Value(int64_val=(time - EPOCH) // MICROSECOND).SerializeToString()
    return cell


def decoded_time(cell: bytes) -> datetime:
    """Return the time of a time's cell."""
    microseconds: int = Value.FromString(cell).int64_val
    return EPOCH + microseconds * MICROSECOND


def encoded_rows(
    config: RepoConfig,
    names: Sequence[str],
    data: Sequence[tuple[EntityKey, dict[str, Value], datetime, datetime | None]],
) -> list[EncodedRow]:
    """Return rows as Feast's interface has them, each with cells of these names, as a store writes them."""
    version = config.entity_key_serialization_version
    return [
        EncodedRow(serialize_entity_key(key, version), time, [cells[name].SerializeToString() for name in names])
        for key, cells, time, _ in data
    ]


@lru_cache(4096)  # categories are few, and come again
def _text(value: str) -> bytes:
    cell: bytes = Value(string_val=value).SerializeToString()
    return cell


@lru_cache(4096)
def _parsed(cell: bytes) -> Cell:
    value = Value.FromString(cell)
    kind = value.WhichOneof("val")
    held: Cell = None if kind is None else getattr(value, kind)
    return held
