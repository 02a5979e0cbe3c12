"""Raw rows become tables that keep the contract: whole columns at once where a look at them is enough."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, repeat
from typing import Any

import numpy as np
import polars as pl

from homeostat.contract.model import Contract, FieldSpec
from homeostat.errors import InvalidRecordError
from homeostat.features.checks import Check, checked, field_check, id_check, time_check, truth_check
from homeostat.features.expressions import DTYPES
from homeostat.features.parsing import EventParser, LabelParser
from homeostat.features.windows import microseconds
from homeostat.tabular import json_rows
from homeostat.vectors import VECTORS, vector_column

Raw = bytes | pl.DataFrame
"""One row as a JSON object, or many as columns."""


@dataclass(frozen=True, slots=True)
class Table:
    """What came, cut into rows that keep the contract and the others."""

    rows: pl.DataFrame
    places: list[int]  # of each of the rows among all that came
    faults: list[tuple[int, str]]  # places and reasons of the others

    def shifted(self, by: int) -> "Table":
        """Return the same behind so many rows."""
        return Table(self.rows, [at + by for at in self.places], [(at + by, reason) for at, reason in self.faults])


def event_schema(contract: Contract) -> pl.Schema:
    """Return the columns of a table of events: its id, its time, its fields."""
    event = contract.event
    return pl.Schema({event.id: pl.String(), event.time: DTYPES["time"], **_dtypes(event.fields)})


def label_schema(contract: Contract) -> pl.Schema:
    """Return the columns of a table of labels: the event's id, its time, 0.0 or 1.0, its facts."""
    label = contract.label
    head = {label.id: pl.String(), label.time: DTYPES["time"], label.field: pl.Float64()}
    return pl.Schema({**head, **_dtypes(label.facts)})


def table_of(schema: pl.Schema, rows: Sequence[Sequence[Any]]) -> pl.DataFrame:
    """Return rows as a table: by columns, which polars takes in several times as fast as rows."""
    columns = zip(*rows, strict=True) if rows else repeat((), len(schema))
    return pl.DataFrame(
        [_series(name, dtype, cells) for (name, dtype), cells in zip(schema.items(), columns, strict=True)]
    )


class TableReader:
    """Reads the raw rows of one kind.

    A row alone is parsed. Of columns, the cells are looked at in a few strokes; a row in which that finds
    anything out of the ordinary is parsed too, so that the parser alone says what is wrong with a row.
    """

    def __init__(self, checks: Sequence[Check], schema: pl.Schema, parse: Callable[[bytes], list[Any]]) -> None:
        """Take what columns must hold, and the parser that makes cells of a row, for columns of that schema."""
        self._checks = checks
        self._schema = schema
        self._parse = parse
        self._none = Table(table_of(schema, []), [], [])

    def read(self, raw: Sequence[Raw]) -> Table:
        """Return the rows that keep the contract and what is wrong with the others, in the order they came."""
        if not raw:
            return self._none
        tables: list[Table] = []
        start = 0
        for part in _parts(raw):
            table = self._columns(part) if isinstance(part, pl.DataFrame) else self._alone(part)
            tables.append(table.shifted(start) if start else table)
            start += len(part)
        if len(tables) == 1:
            return tables[0]
        rows = pl.concat([self._none.rows, *(table.rows for table in tables)])
        return Table(rows, [p for t in tables for p in t.places], [f for t in tables for f in t.faults])

    def _alone(self, values: Sequence[bytes]) -> Table:
        good: list[list[Any]] = []
        places: list[int] = []
        faults: list[tuple[int, str]] = []
        for place, value in enumerate(values):
            try:
                good.append(self._parse(value))
            except InvalidRecordError as error:
                faults.append((place, str(error)))
            else:
                places.append(place)
        return Table(table_of(self._schema, good), places, faults)

    def _columns(self, raw: pl.DataFrame) -> Table:
        rows, sound = checked(raw, self._checks)
        if sound.all():
            return Table(rows, list(range(raw.height)), [])
        odd = np.flatnonzero(~sound)
        parsed = self._alone(json_rows(raw[odd]))
        places = np.concatenate([np.flatnonzero(sound), odd[parsed.places]])
        order = np.argsort(places)
        faults = [(int(odd[at]), reason) for at, reason in parsed.faults]
        return Table(pl.concat([rows.filter(sound), parsed.rows])[order], places[order].tolist(), faults)


def event_reader(contract: Contract) -> TableReader:
    """Return what reads the events of a contract."""
    event = contract.event
    fields = [field_check(n, spec) if n != event.entity else id_check(n) for n, spec in event.fields.items()]
    checks = [id_check(event.id), time_check(event.time), *fields]
    return TableReader(checks, event_schema(contract), EventParser(contract).cells)


def label_reader(contract: Contract) -> TableReader:
    """Return what reads the labels of a contract."""
    label = contract.label
    checks = [id_check(label.id), time_check(label.time), truth_check(label.field)]
    checks += [field_check(name, spec) for name, spec in label.facts.items()]
    return TableReader(checks, label_schema(contract), LabelParser(contract).cells)


def values_at(raw: Sequence[Raw], places: Sequence[int]) -> list[bytes]:
    """Return the rows at ascending places as they came, each as one JSON object."""
    wanted = np.array(places, np.int64)
    values: list[bytes] = []
    start = 0
    for part in _parts(raw) if places else ():
        end = start + len(part)
        mine = wanted[np.searchsorted(wanted, start) : np.searchsorted(wanted, end)] - start
        values += json_rows(part[mine]) if isinstance(part, pl.DataFrame) else [part[at] for at in mine.tolist()]
        start = end
    return values


def _parts(raw: Sequence[Raw]) -> Iterable[list[bytes] | pl.DataFrame]:
    """Yield what came with the rows alone that stand beside each other as one."""
    for is_alone, group in groupby(raw, lambda part: isinstance(part, bytes)):
        if is_alone:
            yield [part for part in group if isinstance(part, bytes)]
        else:
            yield from (part for part in group if isinstance(part, pl.DataFrame))


def _dtypes(specs: dict[str, FieldSpec]) -> dict[str, pl.DataType]:
    return {name: VECTORS if spec.type == "vector" else DTYPES[spec.type] for name, spec in specs.items()}


def _series(name: str, dtype: pl.DataType, cells: Sequence[Any]) -> pl.Series:
    """Return cells as a column; times go by microseconds, ten times as fast as by Python's datetimes."""
    if isinstance(dtype, pl.Datetime):
        times = [None if cell is None else microseconds(cell) for cell in cells]
        return pl.Series(name, times, pl.Int64()).cast(dtype)
    if dtype == VECTORS:
        return vector_column(name, cells)
    return pl.Series(name, cells, dtype)
