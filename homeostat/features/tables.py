"""Raw rows become tables that keep the contract: whole columns at once where a look at them is enough."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Generic, TypeVar

import numpy as np
import polars as pl

from homeostat.contract.model import Contract, FieldSpec
from homeostat.errors import InvalidRecordError
from homeostat.features.checks import Check, checked, field_check, id_check, time_check, truth_check
from homeostat.features.expressions import DTYPES
from homeostat.features.parsing import EventParser, LabelParser, ParsedEvent, ParsedLabel
from homeostat.features.windows import microseconds
from homeostat.tabular import json_rows

Parsed = TypeVar("Parsed")

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


def event_table(contract: Contract, events: Iterable[ParsedEvent]) -> pl.DataFrame:
    """Return parsed events as a table."""
    names = contract.event.fields
    rows = [[e.event_id, e.event_time, *(e.fields[name] for name in names)] for e in events]
    return _table(event_schema(contract), rows)


def label_table(contract: Contract, labels: Iterable[ParsedLabel]) -> pl.DataFrame:
    """Return parsed labels as a table."""
    names = contract.label.facts
    rows = [[x.event_id, x.label_time, x.value, *(x.facts[name] for name in names)] for x in labels]
    return _table(label_schema(contract), rows)


class TableReader(Generic[Parsed]):
    """Reads the raw rows of one kind.

    A row alone is parsed. Of columns, the cells are looked at in a few strokes; a row in which that finds
    anything out of the ordinary is parsed too, so that the parser alone says what is wrong with a row.
    """

    def __init__(
        self,
        checks: Sequence[Check],
        parse: Callable[[bytes], Parsed],
        tabled: Callable[[Iterable[Parsed]], pl.DataFrame],
    ) -> None:
        """Take what columns must hold, the parser of a row, and what makes a table of its rows."""
        self._checks = checks
        self._parse = parse
        self._tabled = tabled
        self._none = Table(tabled([]), [], [])

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
        good: list[Parsed] = []
        places: list[int] = []
        faults: list[tuple[int, str]] = []
        for place, value in enumerate(values):
            try:
                good.append(self._parse(value))
            except InvalidRecordError as error:
                faults.append((place, str(error)))
            else:
                places.append(place)
        return Table(self._tabled(good), places, faults)

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


def event_reader(contract: Contract) -> TableReader[ParsedEvent]:
    """Return what reads the events of a contract."""
    event = contract.event
    fields = [field_check(n, spec) if n != event.entity else id_check(n) for n, spec in event.fields.items()]
    checks = [id_check(event.id), time_check(event.time), *fields]
    return TableReader(checks, EventParser(contract).parse, lambda events: event_table(contract, events))


def label_reader(contract: Contract) -> TableReader[ParsedLabel]:
    """Return what reads the labels of a contract."""
    label = contract.label
    checks = [id_check(label.id), time_check(label.time), truth_check(label.field)]
    checks += [field_check(name, spec) for name, spec in label.facts.items()]
    return TableReader(checks, LabelParser(contract).parse, lambda labels: label_table(contract, labels))


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
    return {name: DTYPES[spec.type] for name, spec in specs.items()}


def _table(schema: pl.Schema, rows: Sequence[list[Any]]) -> pl.DataFrame:
    """Return rows as a table; times go by microseconds, ten times as fast as by Python's datetimes."""
    times = [at for at, dtype in enumerate(schema.values()) if isinstance(dtype, pl.Datetime)]
    for row in rows:
        for at in times:
            row[at] = None if row[at] is None else microseconds(row[at])
    whole = {name: pl.Int64() if isinstance(dtype, pl.Datetime) else dtype for name, dtype in schema.items()}
    table = pl.DataFrame(rows, whole, orient="row")
    for at in times:
        cells = table.to_series(at)
        table.replace_column(at, cells.cast(schema[cells.name]))
    return table
