"""Broken is not drifted: faults and true drifts, put into drawn columns and into the flights year, and counted."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import binomtest

from homeostat.drift.faults import Fault, FaultKind
from tests.statistics.broken_columns import (
    DRAWN,
    FACTORS,
    PIECE,
    ROWS,
    SHAPES,
    SMALL,
    Table,
    Trained,
    Training,
    is_right,
    named,
    trained,
)
from tests.statistics.calm_pieces import AHEAD, STARTS, calm_pieces, features
from tests.statistics.drift_columns import flights

SHIFTS = (-1.5, -1.0, -0.5, 0.5, 1.0, 1.5)  # standard deviations
STRETCHES = (0.5, 0.7, 1.5, 2.0, 3.0)  # of the deviation from the mean
LEARNT = 60_000  # flights: January, October and some days, as they stand in the file
_COMMON = 0.1  # share of a category whose absence a piece must show
_RECODED = 0.5  # of vanished categories, another one stands for; the rows of the others are gone
_DARK = 0.1  # share of rows without weather: 31 December has none, which is a true null burst
DAY = 920  # of them
Found = tuple[str, list[Fault]]
"""A broken column, and what was said."""
Broken = tuple[str, FaultKind, float | None, Table | None]


@dataclass
class Tally:
    """How often a diagnosis was right of a fault, or wrong of a true drift."""

    where: str
    what: str
    hits: int = 0
    of: int = 0
    left_out: int = 0  # that nothing could tell from calm rows, by ``Training``
    others: Counter[str] = field(default_factory=Counter)  # what else was said, and where

    def add(self, faults: Sequence[Fault], *, hit: bool, place: str, odd: bool) -> None:
        """Count one trial; an odd one is kept in words."""
        self.hits, self.of = self.hits + int(hit), self.of + 1
        if odd:
            self.others[f"{place}: {', '.join(fault.kind.value for fault in faults) or 'nothing'}"] += 1

    def cells(self) -> tuple[str, ...]:
        """The tally as cells of a table, with its exact 95 % interval."""
        found = binomtest(self.hits, max(self.of, 1)).proportion_ci(0.95, "exact")
        share = f"{self.hits:,} of {self.of:,}"
        odd = "; ".join(f"{words} ({count})" for words, count in self.others.most_common(3))
        return self.where, self.what, share, f"{found.low:.1%} to {found.high:.1%}", f"{self.left_out:,}", odd


class Trials:
    """All tallies, by where and what."""

    def __init__(self) -> None:
        """Start with none."""
        self.tallies: dict[tuple[str, str], Tally] = {}

    def fault(self, where: str, what: str, place: str, faults: Sequence[Fault], *, hit: bool) -> None:
        """Count an injected fault."""
        self._tally(where, what).add(faults, hit=hit, place=place, odd=not hit)

    def leave_out(self, where: str, what: str) -> None:
        """Count a fault that looks like calm rows."""
        self._tally(where, what).left_out += 1

    def drift(self, where: str, what: str, place: str, faults: Sequence[Fault]) -> None:
        """Count a true drift."""
        self._tally(where, what).add(faults, hit=bool(faults), place=place, odd=bool(faults))

    def _tally(self, where: str, what: str) -> Tally:
        return self.tallies.setdefault((where, what), Tally(where, what))


def told(trials: Trials, where: str, case: Sequence[Any], place: str, found: Found) -> None:
    """Count a fault of one column, and of a change of unit also whether its constant is right."""
    what, kind, factor = case
    column, faults = found
    hit = is_right(faults, kind, {column})
    trials.fault(where, what, place, faults, hit=hit)
    if hit and factor is not None:
        trials.fault(where, f"{what}: constant", place, faults, hit=is_right(faults, kind, {column}, factor))


def broken(table: Table, j: int, rng: np.random.Generator, training: Training) -> Iterator[Broken]:
    """Give each fault of one column: by name, what it is, the constant of a unit, and the table.

    The table is None where the fault leaves rows as they were in training.
    """
    column = table[j]
    if column.dtype != object:
        for name, factors in (("unit x8 and more", FACTORS), ("unit below x4", SMALL)):
            factor = float(rng.choice(factors))
            if np.nanmax(np.abs(column), initial=0) > 0:  # nothing times a factor stays nothing
                as_before = training.had_most(j, column * factor)
                yield name, FaultKind.UNIT, factor, None if as_before else _with(table, j, column * factor)
    known = [cell for cell in column if cell is not None and cell == cell]  # noqa: PLR0124 - NaN
    if len(set(known)) > 1:  # else it stands still anyway
        as_before = training.stood_still(j, known[0], len(column))
        stuck = None if as_before else _with(table, j, np.full_like(column, known[0]))
        yield "stuck value", FaultKind.STUCK, None, stuck
    own = rng.spawn(1)[0]  # leaves all other draws as they are
    for text in _common(column):
        others = column[column != text]
        recoded = np.where(column == text, others[0], column)
        drawn = recoded if own.random() < _RECODED else own.choice(others, len(column))
        yield "vanished category", FaultKind.VANISHED, None, _with(table, j, drawn)
    gone = rng.random(len(column)) < rng.uniform(0.4, 1.0)
    yield "null burst", FaultKind.NULLS, None, _with(table, j, np.where(gone, *_absent(column)))


def _common(column: np.ndarray) -> list[object]:
    """Return the texts that are seen to be missed."""
    if column.dtype != object:
        return []
    shares = Counter(column[column != None])  # noqa: E711 - of an array
    return sorted((text for text, count in shares.items() if count >= _COMMON * len(column)), key=str)


def _absent(column: np.ndarray) -> tuple[object, np.ndarray]:
    return (None if column.dtype == object else np.nan), column


def _with(table: Table, j: int, column: np.ndarray) -> Table:
    return [*table[:j], column, *table[j + 1 :]]


def swapped(table: Table, j: int, k: int) -> Table:
    """Return the table with two columns in each other's place."""
    return _with(_with(table, j, table[k]), k, table[j])


def synthetic(trials: Trials, repeats: int, seed: int) -> None:
    """Count faults and drifts in columns that are drawn."""
    rng = np.random.default_rng(seed)
    names = list(DRAWN)
    learnt = [draw(rng, ROWS, 0.0) for draw in DRAWN.values()]
    model, training = trained(learnt), Training(learnt)
    for _ in range(repeats):
        for j, name in enumerate(names):
            table = [draw(rng, PIECE, 0.0) for draw in DRAWN.values()]
            for *case, spoilt in broken(table, j, rng, training):
                if spoilt is None:
                    trials.leave_out("drawn", case[0])
                else:
                    told(trials, "drawn", case, name, (f"x{j}", named(model, spoilt)))
            k = int(rng.choice([i for i in range(len(names)) if i != j and (i < len(SHAPES)) == (j < len(SHAPES))]))
            faults = named(model, swapped(table, j, k))
            hit = is_right(faults, FaultKind.SWAPPED, {f"x{j}", f"x{k}"})
            trials.fault("drawn", "swapped columns", f"{name} and {names[k]}", faults, hit=hit)
            for what, column in drifted(rng, name):
                trials.drift("drawn", what, name, named(model, _with(table, j, column)))
            trials.drift("drawn", "no drift", name, named(model, table))


def drifted(rng: np.random.Generator, name: str) -> Iterator[tuple[str, np.ndarray]]:
    """Give a column with each true drift, by name."""
    draw, by = DRAWN[name], float(rng.choice(SHIFTS))
    yield "mean or frequency shift", draw(rng, PIECE, by)
    mixed = np.where(rng.random(PIECE) < rng.uniform(0.2, 0.8), draw(rng, PIECE, by), draw(rng, PIECE, 0.0))
    yield "mixture", mixed
    if name in SHAPES:
        column = draw(rng, PIECE, 0.0)
        yield "variance change", column.mean() + float(rng.choice(STRETCHES)) * (column - column.mean())
        steps = [draw(rng, 1, by * i / PIECE)[0] for i in range(PIECE)]
        yield "gradual shift", np.array(steps)
    else:
        new = np.where(rng.random(PIECE) < rng.uniform(0.05, 0.3), "new", draw(rng, PIECE, 0.0))
        yield "new category", new.astype(object)


def on_flights(trials: Trials, pieces: int, seed: int) -> None:
    """Count faults and drifts in days of the flights year, learnt from two months of it.

    A fault is named rightly if one of the two scales names it and neither says anything else. A pair of columns is
    swapped at random; weather of the same range can't be told, and counts as missed.
    """
    rng = np.random.default_rng(seed)
    year = [c.to_numpy().astype(object) if isinstance(c, pl.Series) else c for c in flights().values]
    names = ["hour", "minute", "distance", "temp", "dewp", "humid", "wind_speed", "precip", "visib", "pressure"]
    names += ["carrier", "origin", "dest"]
    learnt = [column[:LEARNT] for column in year]
    scales, training = [(trained(learnt, rows), rows) for rows in (PIECE, DAY)], Training(learnt)
    for start in rng.integers(LEARNT, len(year[0]) - DAY, pieces):
        table = [column[start : start + DAY] for column in year]
        if np.isnan(table[names.index("temp")]).mean() > _DARK:
            continue
        trials.drift("flights", "the year's own seasons", "", _at_both(scales, table))
        for j, name in enumerate(names):
            for *case, spoilt in broken(table, j, rng, training):
                if spoilt is None:
                    trials.leave_out("flights", case[0])
                else:
                    told(trials, "flights", case, name, (f"x{j}", _at_both(scales, spoilt)))
            if name in names[:-3]:
                spread = float(np.nanstd(year[j][:LEARNT]))
                moved = _with(table, j, table[j] + float(rng.choice(SHIFTS)) * spread)
                trials.drift("flights", "mean or frequency shift", name, _at_both(scales, moved))
                middle = float(np.nanmean(table[j]))
                wide = _with(table, j, middle + float(rng.choice(STRETCHES)) * (table[j] - middle))
                trials.drift("flights", "variance change", name, _at_both(scales, wide))
        numbers = (0, len(names) - 3) if rng.random() < 0.7 else (len(names) - 3, len(names))
        j, k = sorted(int(i) for i in rng.choice(np.arange(*numbers), 2, replace=False))
        faults = _at_both(scales, swapped(table, j, k))
        hit = is_right(faults, FaultKind.SWAPPED, {f"x{j}", f"x{k}"})
        trials.fault("flights", "swapped columns", f"{names[j]} and {names[k]}", faults, hit=hit)


def on_calm_features(trials: Trials, starts: Sequence[datetime]) -> None:
    """Count pieces of the flights example's own features that are called broken in the three months behind a start."""
    year = features(until=max(starts) + AHEAD)
    for start in starts:
        for model, columns, times in calm_pieces(year, start):
            trials.drift("the demo's features", "calm", f"{start:%B}", named(model, columns, times))


def _at_both(scales: Sequence[tuple[Trained, int]], table: Table) -> list[Fault]:
    """Return what either scale says, each fault once: of a piece, then of the day it is part of.

    What a piece shows a day doesn't rename, as in a quarantine.
    """
    found: list[Fault] = []
    for model, rows in scales:
        told = named(model, [column[:rows] for column in table])
        found += [fault for fault in told if not any({*fault.columns} & {*known.columns} for known in found)]
    return found


def diagnosis_table(tallies: Sequence[Tally]) -> str:
    """Return the tallies as Markdown."""
    head = (
        "columns",
        "injected",
        "faults named rightly, drifts called broken",
        "95 % interval",
        "left out",
        "most often instead",
    )
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(tally.cells())} |" for tally in tallies)])


def prove(share: float, seed: int) -> list[Tally]:
    """Return the tallies of all three sets of columns, of a share of the trials."""
    trials = Trials()
    synthetic(trials, int(200 * share), seed)
    on_flights(trials, int(300 * share), seed)
    on_calm_features(trials, STARTS[: max(1, int(len(STARTS) * share))])
    return sorted(trials.tallies.values(), key=lambda tally: (tally.where, tally.what))


def main() -> None:
    """Run the trials, print the table, and write the figures as JSON."""
    parser = argparse.ArgumentParser(description="Shows how well faults are told from drift.")
    parser.add_argument("--json", type=Path, default=Path(".homeostat/diagnosis.json"))
    parser.add_argument("--quick", action="store_true", help="a tenth of the trials")
    parser.add_argument("--seed", type=int, default=20130401)
    chosen = parser.parse_args()
    tallies = prove(0.1 if chosen.quick else 1.0, chosen.seed)
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps([vars(tally) for tally in tallies], indent=1))
    sys.stdout.write(f"{diagnosis_table(tallies)}\n\nfigures in {chosen.json}\n")


if __name__ == "__main__":
    main()
