"""How often windows without drift alarm: single looks, long series of overlapping looks, and shuffled flights."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from scipy.stats import false_discovery_control

from homeostat.contract.model import Contract
from homeostat.contract.policies import DriftPolicy
from homeostat.drift.budget import policy_in_force
from homeostat.drift.counts import WindowCounts
from homeostat.drift.report import judge_window
from homeostat.records import DriftStatus
from tests.statistics.drift_columns import (
    ROWS_A_DAY,
    WEEK,
    Columns,
    blocks,
    days,
    evenly,
    flights,
    mixed,
    moving_days,
    tied,
    times_of,
    with_vector,
)

NO_FLOORS = DriftPolicy(min_rows=50, min_psi=1e-9, min_ks=1e-9, min_loss_increase=1e-9)
LEVELS = (0.1, 0.05, 0.01, 0.001)
REFERENCE_ROWS, WINDOWS = 5000, 8  # at least so many rows, and so many windows, to learn from
MOST_TRAINED = 400_000  # rows, where two windows are less
DAY = WEEK / 7
CONTRACT = {
    "product": "parcels",
    "event": {"entity": "depot", "fields": {"depot": "string", "weight": "number"}},
    "label": {"field": "late", "delay": "1h", "maturity": "1d"},
    "features": {"weight": {"field": "weight"}},
}


@dataclass(frozen=True)
class Looks:
    """Single looks, each at rows and a reference of its own."""

    name: str
    smallest: list[float] = field(repr=False)  # of each look, the level from which on it alarms

    def alarms(self, level) -> int:
        """How many would have alarmed at a level."""
        return sum(p <= level for p in self.smallest)


@dataclass(frozen=True)
class Series:
    """Long series of overlapping looks under a budget."""

    name: str
    looks: int
    budget: float  # false retrainings a series may have on average
    cases: list[int]  # those it had
    alarms: int  # drifted looks of all series


def told(work, *args) -> dict[str, Any]:
    """What an experiment finds, as it can be kept."""
    return asdict(work(*args))


def found(answer: dict[str, Any]) -> Looks | Series:
    """What was kept of an experiment."""
    return Series(**answer) if "cases" in answer else Looks(**answer)


def smallest_level(counts: WindowCounts, labelled=()) -> float:
    """The level from which on a window alarms, floors aside: labels have half of it to themselves."""
    judged = judge_window(counts, labelled, NO_FLOORS)
    scores = [*judged.features, judged.prediction, judged.embedding]
    p_values = np.asarray([score.p_value for score in scores if score is not None])
    if (seen := judged.performance) is None:
        return float(false_discovery_control(p_values).min())
    tests = p_values.size + 1
    loss = min(1.0, 2 * min(seen.p_value, seen.calibration_p_value))
    weighted = np.append(p_values * 2 * (tests - 1) / tests, loss * 2 / tests)
    return float(false_discovery_control(np.minimum(weighted, 1.0)).min())


def single_looks(name, size, rho, looks, seed) -> Looks:
    """Looks at so many rows of so many mixed columns, after eight such windows or more; two, where they are huge."""
    rows, features = size
    trained, smallest = max(REFERENCE_ROWS, min(WINDOWS * rows, MOST_TRAINED), 2 * rows), []
    for look in range(looks):
        rng = np.random.default_rng([seed, rows, features, int(10 * rho), look])
        counter = mixed(rng, trained, features, rho).counter(WEEK, evenly(trained, rows))
        smallest.append(smallest_level(mixed(rng, rows, features, rho).counted(counter)))
    return Looks(name, smallest)


def looks_at_weeks(name, weeks, memory, looks, seed) -> Looks:
    """Looks at the third week after ``weeks`` of training, whose rows share their days."""
    smallest = []
    for look in range(looks):
        rng = np.random.default_rng([seed, weeks, look])
        table, trained = days(rng, 7 * (weeks + 3), memory), 7 * weeks * ROWS_A_DAY
        counter = table.rows(slice(0, trained)).counter(WEEK, times_of(trained))
        smallest.append(smallest_level(table.rows(slice(-7 * ROWS_A_DAY, None)).counted(counter)))
    return Looks(name, smallest)


def looks_with_labels(name, weeks, memory, looks, seed) -> Looks:
    """Looks at a week with its labels, drawn as the scores say; without memory rows are independent."""
    smallest, week = [], 7 * ROWS_A_DAY
    for look in range(looks):
        rng = np.random.default_rng([seed, 4, weeks, look])
        rows = (weeks + 1) * week
        table = days(rng, 7 * (weeks + 1), memory) if memory else mixed(rng, rows, 8, 0.5)
        counter = table.rows(slice(0, rows - week)).counter(WEEK, times_of(rows - week))
        live = table.rows(slice(rows - week, None))
        labels = (rng.uniform(size=week) < live.scores).astype(float)
        smallest.append(smallest_level(live.counted(counter), blocks(live.scores, labels, ROWS_A_DAY)))
    return Looks(name, smallest)


def looks_at_vectors(name, rows, size, looks, seed) -> Looks:
    """Looks at so many rows of a vector of so many numbers and four columns, rows independent."""
    trained, smallest = max(REFERENCE_ROWS, WINDOWS * rows), []
    for look in range(looks):
        rng = np.random.default_rng([seed, 2, rows, size, look])
        counter = with_vector(tied(rng, trained, size + 4), size).counter(WEEK, evenly(trained, rows))
        smallest.append(smallest_level(with_vector(tied(rng, rows, size + 4), size).counted(counter)))
    return Looks(name, smallest)


def looks_at_days(name, moves, size, looks, seed, *, shift=0.0) -> Looks:
    """Looks at a day after six weeks of days that have a mean of their own; ``size`` of the numbers are a vector.

    With ``shift`` all numbers of that day lie so many times farther than days do from one another.
    """
    smallest, trained = [], 42 * ROWS_A_DAY
    for look in range(looks):
        rng = np.random.default_rng([seed, 3, int(100 * moves), size, look])
        numbers = moving_days(rng, 43, size + 5, moves)
        numbers[trained:] += shift * moves
        table = with_vector(numbers, size) if size else Columns(list(numbers.T.copy()), np.full(len(numbers), 0.5))
        counter = table.rows(slice(0, trained)).counter(DAY, times_of(trained))
        smallest.append(smallest_level(table.rows(slice(trained, None)).counted(counter)))
    return Looks(name, smallest)


def looks_apart(name, weeks, memory, looks, seed) -> Looks:
    """What the domain classifier alone says of the third week after ``weeks``; without memory rows are independent."""
    trained, rows, smallest = 7 * weeks * ROWS_A_DAY, 7 * (weeks + 3) * ROWS_A_DAY, []
    for look in range(looks):
        rng = np.random.default_rng([seed, 1, weeks, look])
        table = days(rng, 7 * (weeks + 3), memory) if memory else mixed(rng, rows, 8, 0.5)
        before, times = table.rows(slice(0, trained)), times_of(rows)
        counter = before.counter()
        told = table.rows(slice(trained + 14 * ROWS_A_DAY, None)).told_apart(
            counter, before.domain(counter, times[:trained]), times[trained + 14 * ROWS_A_DAY :]
        )
        smallest.append(told.p_value)
    return Looks(name, smallest)


def mixed_series(name, features, rho, series, seed, *, looks=1000, budget=2.0, floors=False) -> Series:
    """Series whose windows hold ten buckets of 100 rows and move on by one bucket a look."""
    tables = (
        (mixed(rng, 20_000, features, rho), mixed(rng, 100 * (looks + 9), features, rho))
        for rng in (np.random.default_rng([seed, features, k]) for k in range(series))
    )
    return _series(name, tables, 100, looks, budget, floors=floors)


def flights_series(name, series, seed, *, looks=300, budget=1.0, floors=False) -> Series:
    """The flights year with its rows shuffled: two months to learn from, then a look a day at the last seven."""
    table, day = flights(), 922

    def shuffled(k):
        order = np.random.default_rng([seed, k]).permutation(table.scores.size)
        return table.rows(order[: 59 * day]), table.rows(order[59 * day : (59 + looks + 6) * day])

    return _series(name, (shuffled(k) for k in range(series)), day, looks, budget, width=7, floors=floors)


def _series(name, tables, bucket, looks, budget, *, width=10, floors) -> Series:
    policy = _budgeted(looks, budget, floors=floors)
    outcomes = [_cases(reference, live, bucket, looks, (width, policy)) for reference, live in tables]
    return Series(name, looks, budget, [cases for cases, _ in outcomes], sum(alarms for _, alarms in outcomes))


def _cases(reference: Columns, live: Columns, bucket, looks, rule) -> tuple[int, int]:
    """How many cases two drifted looks in a row open, and how many looks drifted."""
    width, policy = rule
    counter = reference.counter(WEEK, evenly(reference.scores.size, width * bucket))
    buckets = [live.rows(slice(k * bucket, (k + 1) * bucket)).counted(counter) for k in range(looks + width - 1)]
    cases = streak = alarms = 0
    for look in range(looks):
        window = WindowCounts(counter)
        for part in buckets[look : look + width]:
            window.merge(part)
        drifted = judge_window(window, (), policy).status is DriftStatus.DRIFTED
        alarms, streak = alarms + drifted, streak + 1 if drifted else 0
        if streak == 2:
            cases, streak = cases + 1, 0
    return cases, alarms


def _budgeted(looks, budget, *, floors):
    alarms = {"false_retrainings": budget, "per": f"{looks}d", "effect": 0.3 if floors else 1e-6}
    drift = {"every": "1d", "window": "10d", "min_rows": 50, "alarms": alarms}
    return policy_in_force(Contract.model_validate({**CONTRACT, "drift": drift, "healing": {"confirm": 2}}))


SINGLE = (
    (1_000_000, 5, 0.0, 40), (100_000, 20, 0.5, 60), (10_000, 20, 0.5, 200),
    (1000, 300, 0.5, 40), (1000, 100, 0.5, 100), (1000, 20, 0.0, 500), (200, 20, 0.5, 500),
    (50, 300, 0.0, 40), (50, 100, 0.5, 100), (50, 20, 0.0, 500), (50, 5, 0.0, 600),
)  # fmt: skip
"""Rows, features, latent correlation, looks."""


def experiments(share: float, seed: int) -> list[tuple[Any, ...]]:
    """Every experiment as work and arguments, the longest first; ``share`` scales how often each is repeated."""

    def times(n):
        return max(2, round(n * share))

    series = [
        (mixed_series, f"1,000 looks, {d} features, {_tied(rho)}", d, rho, times(m), seed)
        for d, rho, m in ((20, 0.5, 32), (100, 0.0, 6), (5, 0.0, 48))
    ]
    apart = [
        (looks_apart, f"the domain classifier alone, {rows}, {w} weeks of training", w, memory, times(200), seed)
        for rows, w, memory in (
            ("rows share their day", 8, 0.5),
            ("days are like their week", 8, 0.9),
            ("independent rows", 8, 0.0),
        )
    ]
    weeks = [
        (looks_at_weeks, f"weeks whose rows share their day, {w} of training", w, 0.5, times(600), seed)
        for w in (8, 16)
    ]
    own = [
        (looks_at_days, f"days with a mean of their own, {moves} sd, {_columns(size)}", moves, size, times(200), seed)
        for size in (0, 16)
        for moves in (0.5, 1.0)
    ]
    labels = [
        (looks_with_labels, f"labels of a week, {rows}", 8, memory, times(400), seed)
        for rows, memory in (("rows share their day", 0.5), ("independent rows", 0.0))
    ]
    vectors = [
        (looks_at_vectors, f"{n:,} rows, {_columns(size)}, independent", n, size, times(200), seed)
        for n, size in ((200, 16), (1000, 64))
    ]
    looks = [
        (single_looks, f"{n:,} rows, {d} features, {_tied(rho)}", (n, d), rho, times(m), seed)
        for n, d, rho, m in SINGLE
    ]
    return [
        (flights_series, "flights year, rows shuffled", times(24), seed),
        *series,
        *looks,
        *apart,
        *weeks,
        *own,
        *labels,
        *vectors,
    ]


def _tied(rho):
    return "correlated" if rho else "independent"


def _columns(size):
    return f"a vector of {size} and others" if size else "5 features"
