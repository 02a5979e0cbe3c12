"""Policies that fit a stream's pace: how long a window is, how often to look, how many rows to wait for."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import polars as pl

from homeostat.contract.durations import spoken, written
from homeostat.drafting.clock import LabelClock, Stretch
from homeostat.drafting.spans import LONGEST, D, H, M, at_least, at_most

ROWS_A_WINDOW: Final = 1_500  # below that, PSI is mostly chance
LEAST_ROWS: Final = 50  # what a drift policy asks for at the least
ROWS_TO_START: Final = 5_000
ONES_TO_START: Final = 200  # rows of the rarer label
WINDOWS_TO_START: Final = 8  # windows of the training span, to see how far calm ones lie apart
_WEEK: Final = 7 * D
_LOOKS_A_WINDOW: Final = 16  # at least: fewer see a jump later, many more widen the limits that share one budget
_MONTH: Final = 30 * D
_BUDGET_WINDOWS: Final = 4  # at least, of the time that a false retraining is allowed in
_EFFECT: Final = 0.3  # standard deviations: a smaller shift of a column costs a model next to nothing
_HARMLESS: Final = 0.01  # of the model's say
_HARMLESS_OF_EQUAL: Final = 0.25  # of what each of many features would have if all had the same
_BLOCKS: Final = 3
_CANARY_BLOCKS: Final = 28  # to a window: at least ten complete ones are needed for a verdict
_CANARY_WINDOWS: Final = 2
_STEP_BLOCKS: Final = 4  # to a step of traffic
_SHARE_TO_START: Final = 1 / 3  # of the file, at most: the rest is to be watched
_MOST_LATENESS: Final = 14 * D
_WHY_ALARMS: Final = (
    "so many retrainings for nothing are expected at most; effect: a shift that is worth one, in standard deviations. "
    "All limits follow from it"
)


@dataclass(frozen=True, slots=True)
class Line:
    """One setting and its reason."""

    key: str
    value: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Pace:
    """The settings by part of the contract, and what is odd about the stream.

    Args:
        lateness: How late an event may come.
        rows_a_day: On average.
        start: The labelled history that a first model waits for.
        window: Of one look at drift.
        parts: The settings.
        warnings: What is odd.
    """

    lateness: timedelta
    rows_a_day: float
    start: timedelta
    window: timedelta
    parts: dict[str, tuple[Line, ...]]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Tempo:
    """What all policies follow from: spans, and the rows they hold."""

    window: timedelta
    step: timedelta  # what times are rounded to
    start: timedelta  # history of a first model
    mature: timedelta
    rows: float  # of a window
    start_rows: float
    labelled: float  # share of the rows

    @property
    def canary_block(self) -> timedelta:
        """Rows nearer than this count as one observation."""
        return max(at_most(self.window / _CANARY_BLOCKS), self.step, M)


def pace_of(rows: int, stretch: Stretch, clock: LabelClock, labels: pl.Series) -> Pace:
    """Return policies for a stream.

    Args:
        rows: In the whole file.
        stretch: Its event times.
        clock: When labels come.
        labels: 1, 0 or null for each row of the sample.
    """
    ones = labels.mean()
    rate = ones if isinstance(ones, float) else 0.5
    span = max(stretch.span, stretch.step, M)
    rows_a_day = rows / (span / D)
    window = _window(rows_a_day, stretch, span)
    start = _start(rows_a_day, window, clock, rate, span)
    labelled = 1 - labels.null_count() / labels.len()
    tempo = _Tempo(
        window, stretch.step, start, clock.maturity, rows_a_day * (window / D), rows_a_day * (start / D), labelled
    )  # fmt: skip
    parts = {"drift": _drift(tempo), "healing": _healing(tempo), "training": _training(tempo), "canary": _canary(tempo)}
    odd = tuple(_odd(rows, stretch, rows_a_day, tempo))
    return Pace(_lateness(stretch), rows_a_day, start, window, parts, odd)


def harmless_of(features: int) -> Line:
    """Return how little of the model's say makes a feature one that drifts in silence, of so many features."""
    share = min(_HARMLESS, _HARMLESS_OF_EQUAL / features)
    why = f"of the model's say: a feature with less drifts in silence (an equal part: {1 / features:.2g})"
    return Line("harmless_share", f"{share:.2g}", why)


def _drift(tempo: _Tempo) -> tuple[Line, ...]:
    floor = max(LEAST_ROWS, _round(0.7 * tempo.rows))
    every = max(at_most(tempo.window / _LOOKS_A_WINDOW), tempo.step, M)
    per = max(_MONTH, at_least(_BUDGET_WINDOWS * tempo.window))
    return (
        Line("alarms", f"{{false_retrainings: 1, per: {written(per)}, effect: {_EFFECT}}}", _WHY_ALARMS),
        Line("every", written(every), "a look at the window; looks share the alarms: more of them widen the limits"),
        Line("window", written(tempo.window), _why_window(tempo)),
        Line("min_rows", f"{floor}", f"a window has about {tempo.rows:,.0f} rows: fewer say 'unknown'"),
    )


def _healing(tempo: _Tempo) -> tuple[Line, ...]:
    return (
        Line("confirm", "2", "drifted looks in a row before a case is opened"),
        Line("cooldown", written(tempo.window), "a window must be full of the new champion's rows anyway"),
    )


def _training(tempo: _Tempo) -> tuple[Line, ...]:
    rows = max(200, min(20_000, _round(0.5 * tempo.start_rows * tempo.labelled)))
    block = max(at_most(min(tempo.window, tempo.start / (2 * _BLOCKS))), tempo.step)
    mature = f"label.maturity, {written(tempo.mature)}"
    return (
        Line("cold_start_after", written(tempo.start), f"about {tempo.start_rows:,.0f} rows; more than {mature}"),
        Line("min_rows", f"{rows}", "labelled rows, below which no training starts"),
        Line("blocks", f"{_BLOCKS}", "forward-in-time tests of every candidate"),
        Line("block", written(block), "span of one of them"),
    )


def _canary(tempo: _Tempo) -> tuple[Line, ...]:
    rows = min(2_000, max(LEAST_ROWS, _round(0.25 * tempo.rows * tempo.labelled)))
    longest = max(_CANARY_WINDOWS * tempo.window, 15 * tempo.canary_block) + tempo.mature
    return (
        Line("steps", "[0.05, 0.25, 1.0]", "shares of entities that a challenger answers in turn; 0 would be a shadow"),
        Line("step_time", written(_STEP_BLOCKS * tempo.canary_block), "each step lasts at least, and min_rows"),
        Line("min_rows", f"{rows}", "mature rows scored by both models, before any decision"),
        Line("block", written(tempo.canary_block), "rows nearer than this are not independent"),
        Line("max_duration", written(max(longest, at_least(longest))), "nothing proven by then: rejected"),
        Line("watch", written(tempo.window), "after a promotion, while the way back is kept warm"),
    )


def _window(rows_a_day: float, stretch: Stretch, span: timedelta) -> timedelta:
    """Return a span with enough rows: a whole week or day if the file is long enough, so that rhythms are no drift."""
    needed = timedelta(days=min(ROWS_A_WINDOW / rows_a_day, LONGEST / D))
    if needed <= _WEEK and span >= 8 * _WEEK:
        return _WEEK
    if needed <= D and span >= 8 * D:
        return D
    longest = max(span / WINDOWS_TO_START, stretch.step, 5 * M)
    least = timedelta(days=min(2 * LEAST_ROWS / rows_a_day, LONGEST / D))
    window = max(min(at_least(max(needed, 5 * M)), at_most(longest)), at_least(least), stretch.step)
    return max(1, round(window / _WEEK)) * _WEEK if window > 4 * D else window


def _why_window(tempo: _Tempo) -> str:
    if tempo.window % _WEEK == timedelta(0):
        return "whole weeks, so that weekdays never look like drift"
    if tempo.window == D:
        return "a whole day, so that hours never look like drift"
    return "as many rows as the file allows" if tempo.rows < ROWS_A_WINDOW else "enough rows to tell drift from chance"


def _start(rows_a_day: float, window: timedelta, clock: LabelClock, rate: float, span: timedelta) -> timedelta:
    """Return the history a first model needs: rows, rows of the rarer label, and windows to compare."""
    rarer = max(min(rate, 1 - rate), 1e-4)
    rows = max(ROWS_TO_START, ONES_TO_START / rarer)
    wanted = max(timedelta(days=min(rows / rows_a_day, LONGEST / D)), WINDOWS_TO_START * window)
    chosen = min(wanted, max(span * _SHARE_TO_START, 2 * window))
    start = max(at_least(chosen), at_least(clock.maturity))
    return start if start > clock.maturity else clock.maturity + max(window, D)


def _lateness(stretch: Stretch) -> timedelta:
    """Return how late an event may come: twice what its time is rounded to, for that is how far it may be off."""
    return min(max(H, 2 * stretch.step), _MOST_LATENESS)


def _round(rows: float) -> int:
    """Return a count rounded to two digits."""
    whole = max(1, round(rows))
    unit = int(10 ** max(0, len(str(whole)) - 2))
    return round(whole / unit) * unit


def _odd(rows: int, stretch: Stretch, rows_a_day: float, tempo: _Tempo) -> list[str]:
    found = []
    if stretch.span < M:
        found.append(f"all rows lie within {spoken(stretch.span)}: the policies are guesses, look at each of them")
    elif tempo.rows < 4 * LEAST_ROWS:
        found.append(f"{rows_a_day:,.2g} rows a day: drift is seen late, a window is {spoken(tempo.window)} long")
    if tempo.start_rows * tempo.labelled < 200 or rows * tempo.labelled < 400:
        found.append(f"{rows:,} rows are hardly enough: a training needs 200 labelled ones, and some to be tested on")
    return found
