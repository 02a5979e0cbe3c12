"""A CSV or Parquet file of past events, read by a contract, as a recording of what its producers would have sent."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import polars as pl

from homeostat.contract.cells import answers, as_field, booleans, key_of, positive_of, texts, truth
from homeostat.contract.durations import spoken
from homeostat.contract.lists import vectors
from homeostat.contract.model import Contract, FieldSpec, FieldType
from homeostat.contract.names import slug, suggestion
from homeostat.errors import HomeostatError
from homeostat.replay.moments import TimeReading
from homeostat.replay.payloads import UTC_TIME, Sendable, track_of
from homeostat.replay.recording import Recording, Track
from homeostat.replay.tables import Table, read_table

_READABLE: Final = 0.98  # of the target's cells: the few others are sent as they are, and refused with the reason
_SHOWN: Final = 12  # answers in an error text


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that can't be sent, for it has no place in time."""

    place: int  # the line of a CSV, the row of a Parquet file
    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What the contract doesn't say about a file.

    Args:
        positive: The answer that counts as 1 where the target is a text; None to find out.
        times: How its times are meant.
        is_past: Whether all its labels are known by its last event, as in an export: a label without a time of its
            own then comes no later than that.
    """

    positive: str | None = None
    times: TimeReading = field(default_factory=TimeReading)
    is_past: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """A file as a stream.

    Args:
        recording: What producers would have sent; a label without a time comes ``label.delay`` after its event.
        rows: In the file.
        bad_rows: What could not be sent at all.
        place_word: What a bad row's place counts: ``line`` or ``row``.
        notes: What was assumed.
    """

    recording: Recording
    rows: int
    bad_rows: tuple[BadRow, ...] = ()
    place_word: str = "line"
    notes: tuple[str, ...] = ()


def load_file(path: Path, contract: Contract, reading: Reading | None = None) -> Loaded:
    """Return the stream behind a file; its columns are found by the slug of their names.

    A row that breaks the contract is in the stream all the same, with its cells as they stand: whoever takes it in
    refuses it with the reason. Only a row whose event time can't be read has no place in the stream.

    Args:
        path: CSV or Parquet with a header.
        contract: Names and types.
        reading: What the contract doesn't say.

    Raises:
        HomeostatError: A column the contract asks for is not there, or can't be understood.
    """
    return _Loading(path, contract, reading or Reading()).load()


class _Loading:
    """One file on its way."""

    def __init__(self, path: Path, contract: Contract, reading: Reading) -> None:
        self._path = path
        self._contract = contract
        self._reading = reading
        self._notes: list[str] = []
        self._table: Table = read_table(path)
        self._columns = _by_name(self._table.frame)

    def load(self) -> Loaded:
        """Return the stream, its events and labels in the order in which they became known."""
        event, label = self._contract.event, self._contract.label
        self._check_columns()
        moments = self._reading.times.read(self._columns[event.time])
        bad = self._bad_rows(moments)
        placed = moments.is_not_null()
        if not placed.any():
            raise HomeostatError(f"{self._path}: column '{event.time}' holds no readable time - {bad[0].reason}")
        if not placed.all():
            self._columns = {name: column.filter(placed) for name, column in self._columns.items()}
        times = moments.filter(placed)
        ids, entities = self._keys(times)
        events = Sendable()
        events.put(event.id, ids)
        events.put(event.time, times)
        for name, spec in event.fields.items():
            self._put(events, name, spec, entities if name == event.entity else self._columns.get(name))
        recording = Recording(track_of(events, times), self._labels(ids, times))
        self._notes += [] if len(recording.labels) else [f"no row has a label: column '{label.field}' is empty"]
        return Loaded(
            recording=recording,
            rows=self._table.frame.height,
            bad_rows=tuple(bad),
            place_word=self._table.place_word,
            notes=(*self._table.notes, *self._notes),
        )

    def _check_columns(self) -> None:
        event, label = self._contract.event, self._contract.label
        needed = [event.time, label.field]
        needed += [name for name, spec in event.fields.items() if not spec.nullable and name != event.entity]
        missing = [name for name in needed if name not in self._columns]
        if missing:
            said = "; ".join(f"'{name}' ({suggestion(name, self._columns)})" for name in missing)
            raise HomeostatError(
                f"{self._path}: no column for {said}. A column belongs to a name of the contract "
                f"'{self._contract.product}' when it is that name in lower case with _ for other characters"
            )
        optional = [*(name for name, spec in event.fields.items() if spec.nullable), *label.facts]
        absent = [name for name in optional if name not in self._columns]
        if absent:
            self._notes.append(f"no column for {', '.join(absent)}: sent as missing")

    def _bad_rows(self, moments: pl.Series) -> list[BadRow]:
        column = self._columns[self._contract.event.time]
        lost = moments.is_null()
        cells = column.filter(lost).cast(pl.String, strict=False).to_list()
        return [
            BadRow(place, f"'{column.name}' is {'missing' if cell is None else repr(cell[:60])}, expected a time")
            for place, cell in zip(self._table.places.filter(lost).to_list(), cells, strict=True)
        ]

    def _keys(self, times: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Return the events' ids and entities, made where the file has none: the same for the same file."""
        event = self._contract.event
        entities = self._columns.get(event.entity)
        ids = self._columns.get(event.id)
        if ids is None:
            of_whom = pl.lit("") if entities is None else texts(entities).fill_null("") + "@"
            made = pl.DataFrame({"at": times}).select(whole=pl.concat_str(of_whom, pl.col("at").dt.strftime(UTC_TIME)))
            count = pl.int_range(pl.len()).over("whole")
            again = pl.when(count > 0).then(pl.format("#{}", count + 1)).otherwise(pl.lit(""))
            ids = made.select((pl.col("whole") + again).alias(event.id)).to_series()
            self._notes.append(f"no column for '{event.id}': ids are made from entity, time and a counter")
        if entities is None:
            self._notes.append(f"no column for '{event.entity}': each event stands for itself, by its id")
            entities = ids
        return texts(ids), entities

    def _put(self, rows: Sendable, name: str, spec: FieldSpec, column: pl.Series | None) -> None:
        if column is None:
            return
        if spec.type == "vector":
            values, nested = vectors(column, spec.size or 0), column.dtype.is_nested()
            rows.put(name, values, _json(column.set(values.is_not_null(), None)) if nested else texts(column))
            return
        if spec.type == "time":
            values = self._reading.times.read(column)
        else:
            values = as_field(_plain(column, spec.type), spec.type)
        rows.put(name, values, texts(column))

    def _labels(self, ids: pl.Series, times: pl.Series) -> Track:
        label = self._contract.label
        target = self._columns[label.field]
        known = texts(target).is_not_null()
        due, unread = self._due(times, known)
        rows = Sendable()
        rows.put(label.id, ids)
        rows.put(label.time, due.set(unread.is_not_null(), None), unread)
        rows.put(label.field, self._truth(target), texts(target))
        for name, spec in label.facts.items():
            self._put(rows, name, spec, self._columns.get(name))
        return track_of(rows.where(known), due.filter(known))

    def _due(self, times: pl.Series, known: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Return when each label became known, and the cells that should say so and can't be read."""
        label = self._contract.label
        guessed = times + label.delay
        if self._reading.is_past:
            guessed = guessed.clip(upper_bound=times.sort()[-1])
        stated = self._columns.get(label.time)
        if stated is None:
            self._notes.append(f"no column for '{label.time}': labels come {spoken(label.delay)} after their event")
            return guessed, pl.Series([None], dtype=pl.String).new_from_index(0, times.len())
        said = self._reading.times.read(stated)
        early = int((said < times).filter(known).sum())
        if early:
            self._notes.append(f"{early:,} labels lie before their event: they count as known at once")
        due = said.zip_with(said.is_not_null(), guessed)
        return due.zip_with(due >= times, times), texts(stated).set(said.is_not_null(), None)

    def _truth(self, target: pl.Series) -> pl.Series:
        """Return 1 where the answer is the positive one, 0 where it is another, null where it is none."""
        cells = texts(_plain(target, "number"))
        counts: dict[str, int] = dict(cells.drop_nulls().value_counts().iter_rows())
        positive = self._reading.positive
        found = answers(counts)
        if positive is not None:
            if counts and key_of(positive) not in found:
                raise HomeostatError(f"--positive {positive}: column '{target.name}' has {_listed(found.values())}")
            return truth(cells, positive)
        plain = booleans(cells)
        known = cells.len() - cells.null_count()
        if plain.len() - plain.null_count() >= _READABLE * known:
            return plain.cast(pl.Int8)
        if len(found) > 2:
            raise HomeostatError(
                f"{self._path}: column '{target.name}' has {len(found)} answers ({_listed(found.values())}) - "
                "name the one that counts as 1 with --positive"
            )
        chosen, why = positive_of(counts)
        self._notes.append(f"'{target.name}' is 1 where it says '{chosen}' ({why}); --positive names another")
        return truth(cells, chosen)


def _by_name(frame: pl.DataFrame) -> dict[str, pl.Series]:
    """Return the columns by their names in a contract; a column that bears such a name comes before one like it."""
    found = {name: frame[name] for name in frame.columns if slug(name) == name}
    for name in frame.columns:
        found.setdefault(slug(name), frame[name])
    return found


def _plain(column: pl.Series, kind: FieldType) -> pl.Series:
    """Return truth values as numbers where numbers are asked for."""
    return column.cast(pl.Int8) if column.dtype == pl.Boolean and kind in {"number", "integer"} else column


def _json(column: pl.Series) -> pl.Series:
    """Return lists as texts."""
    cells = [None if cell is None else json.dumps(cell, default=str) for cell in column.to_list()]
    return pl.Series(column.name, cells, pl.String)


def _listed(found: Iterable[str]) -> str:
    names = sorted(found)
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
