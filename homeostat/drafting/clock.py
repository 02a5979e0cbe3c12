"""Which column says when an event happened, and which when its truth was known."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from homeostat.contract.durations import spoken, written
from homeostat.contract.policies import parse_duration
from homeostat.drafting.columns import Column, LeftOut, as_time
from homeostat.drafting.interview import NONE, Interview, Question, column_of
from homeostat.drafting.personal import personal_data
from homeostat.drafting.spans import D, H, M, S, at_least, at_most
from homeostat.drafting.words import EVENT_TIME_WORDS, LABEL_TIME_WORDS, SCHEDULE_WORDS, words_of
from homeostat.errors import HomeostatError

_LATER: Final = 0.99  # of the rows have the label time after the event time
_MOST_MISSING: Final = 0.02  # of an event time's cells
_MATURE: Final = 0.99  # of the labels have come by the maturity
_USUAL_NAMES: Final = frozenset({"event_time", "event_timestamp", "timestamp", "ts", "datetime"})
_NEEDS_A_TIME: Final = (
    "has no column that is a time. Homeostat watches a stream and has to know when each row happened: "
    "add a column like event_time (2024-01-31T12:00:00Z), or name it with --time"
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """The event times of a sample.

    Args:
        first: The earliest.
        last: The latest.
        step: What the times are rounded to: a second, a minute, an hour or a day.
        ordered: Whether the file is in time order.
    """

    first: datetime
    last: datetime
    step: timedelta
    ordered: bool

    @property
    def span(self) -> timedelta:
        """From the first to the last."""
        return self.last - self.first


@dataclass(frozen=True, slots=True)
class LabelClock:
    """When labels come: the column that says so, the typical delay, and when to stop waiting."""

    column: Column | None
    delay: timedelta
    maturity: timedelta
    delay_why: str
    maturity_why: str


def event_time(columns: list[Column], left: list[LeftOut], interview: Interview, file: str) -> Column:
    """Return the column of event times.

    Raises:
        HomeostatError: There is none, or the one named can't be read as times.
    """
    wishes = interview.wishes
    if wishes.time is not None:
        column = column_of(wishes.time, "--time", columns, left)
        found = column if column.type == "time" else as_time(column, day_first=wishes.day_first)
        if found is None:
            raise HomeostatError(f"--time {column.source}: its cells can't be read as times - {column.why}")
        interview.note("time", found.source, f"as given, {found.why}")
    else:
        ranked = _ranked(columns)
        if not ranked:
            raise HomeostatError(f"{file}: {_NEEDS_A_TIME}{_parts_hint(columns)}")
        best, *others = ranked
        sure = not others or best.score >= others[0].score + 2
        names = tuple(place.column.source for place in ranked)
        question = Question("Which column says when an event happened?", best.column.source, best.why, names)
        answer = interview.settle("time", question, sure=sure)
        found = next(place.column for place in ranked if place.column.source == answer)
    return _day_order(found, interview)


@dataclass(frozen=True, slots=True)
class _Place:
    """What may be the event time, and what speaks for it."""

    column: Column
    score: float
    why: str


def _ranked(columns: list[Column]) -> list[_Place]:
    """Return what may be the event time, the best first."""
    timed = [c for c in columns if c.type == "time" and personal_data(c) is None]
    timed = timed or [t for c in columns if c.type == "integer" and (t := _counting(c)) is not None]
    found = []
    for column in timed:
        words = set(words_of(column.name))
        score, reasons = 0.0, [column.why]
        if words & EVENT_TIME_WORDS and not words & (LABEL_TIME_WORDS | SCHEDULE_WORDS):
            score, reasons = score + 2 + 2 * (column.name in _USUAL_NAMES), ["by its name", *reasons]
        score -= 3 * bool(words & LABEL_TIME_WORDS) + 2 * bool(words & SCHEDULE_WORDS)
        score -= 20 * max(0.0, column.values.null_count() / column.values.len() - _MOST_MISSING)
        others = [other for other in timed if other is not column]
        if others and all(_share_later(column, other) >= _LATER for other in others):
            score, reasons = score + 2, ["the earliest time of a row", *reasons]
        if column.distinct > 1 and column.values.drop_nulls().is_sorted():
            score, reasons = score + 1, [*reasons, "the file is in its order"]
        found.append(_Place(column, score, ", ".join(reasons)))
    return sorted(found, key=lambda place: -place.score)


def _counting(column: Column) -> Column | None:
    """Return an ascending column of numbers read as seconds since 1970, None where it isn't one."""
    values = column.values.drop_nulls()
    if column.values.null_count() or values.n_unique() < 3 or not values.is_sorted():
        return None
    return as_time(column)


def _share_later(early: Column, late: Column) -> float:
    both = late.values.is_not_null() & early.values.is_not_null()
    if not both.any():
        return 0.0
    later = (late.values >= early.values).filter(both).mean()
    return float(later) if isinstance(later, float) else 0.0


def _parts_hint(columns: list[Column]) -> str:
    names = {column.name for column in columns}
    return ". One can be made of year, month and day" if {"year", "month", "day"} <= names else ""


def _day_order(column: Column, interview: Interview) -> Column:
    """Return the column with day and month in the order that is meant, after asking where the cells don't tell."""
    if not column.unsure:
        return column
    guess = "day" if column.written == "day_first" else "month"
    example = column.cells.cast(pl.String).drop_nulls()[0]
    why = f"nothing in {column.source} tells (such as {example}); --day-first or --month-first says it"
    question = Question(f"In {column.source}, what comes first, day or month?", guess, why, ("day", "month"))
    answer = interview.settle("day_or_month_first", question, sure=False)
    return as_time(column, day_first=answer == "day") or column


def stretch_of(column: Column) -> Stretch:
    """Return from when to when the events are, and how finely their times are given."""
    times = column.values.drop_nulls()
    micros = times.dt.epoch("us")
    step = next((unit for unit in (D, H, M) if bool((micros % (unit // timedelta(microseconds=1)) == 0).all())), S)
    first, last = times.min(), times.max()
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        raise HomeostatError(f"{column.source}: has no readable time")
    return Stretch(first, last, step, bool(times.is_sorted()))


def later_than(event: Column, column: Column) -> float:
    """Return the share of rows in which a time lies behind the event's, of the rows that have both."""
    both = column.values.is_not_null() & event.values.is_not_null()
    if not both.any():
        return 0.0
    later = (column.values > event.values).filter(both).mean()
    return float(later) if isinstance(later, float) else 0.0


def label_clock(
    columns: list[Column], left: list[LeftOut], event: Column, labelled: pl.Series, interview: Interview
) -> LabelClock:
    """Return when labels come.

    Args:
        columns: All columns.
        left: Those that can't be used.
        event: The event times.
        labelled: Whether each row has a label.
        interview: Gives, asks, or guesses.

    Raises:
        HomeostatError: A flag names no time, or a span is no span.
    """
    column = _label_time(columns, left, event, interview)
    delays = None
    if column is not None:
        delays = (column.values - event.values).filter(labelled).drop_nulls()
        negative = int((delays < timedelta(0)).sum())
        if negative:
            interview.warnings.append(
                f"{column.source}: lies before {event.source} in {negative:,} of {delays.len():,} rows - "
                "a label can't be known before its event: such rows count as labelled at once"
            )
    delay, delay_why = _span("label_delay", interview, _delay_guess(delays))
    maturity, maturity_why = _span("maturity", interview, _maturity_guess(delays, delay))
    if maturity < delay:
        raise HomeostatError(f"--maturity {written(maturity)}: shorter than the label delay, {written(delay)}")
    return LabelClock(column, delay, maturity, delay_why, maturity_why)


def _label_time(columns: list[Column], left: list[LeftOut], event: Column, interview: Interview) -> Column | None:
    given = interview.wishes.label_time
    if given == NONE:
        return None
    if given is not None:
        column = column_of(given, "--label-time", columns, left)
        found = column if column.type == "time" else as_time(column, day_first=interview.wishes.day_first)
        if found is None:
            raise HomeostatError(f"--label-time {column.source}: its cells can't be read as times - {column.why}")
        interview.note("label_time", found.source, "as given")
        return found
    later = [
        c
        for c in columns
        if c.type == "time" and c.source != event.source and personal_data(c) is None
        and not set(words_of(c.name)) & SCHEDULE_WORDS and later_than(event, c) >= _LATER
    ]  # fmt: skip
    named = [c for c in later if set(words_of(c.name)) & LABEL_TIME_WORDS]
    if not later:
        return None
    best = max(named or later, key=lambda c: (c.name == "label_time", len(set(words_of(c.name)) & LABEL_TIME_WORDS)))
    why = f"{'by its name, and ' if named else ''}it lies behind {event.source}"
    question = Question(
        "Which column says when the truth was known?", best.source, why, (*(c.source for c in later), NONE)
    )
    answer = interview.settle("label_time", question, sure=len(named) == 1 or best.name == "label_time")
    return next((c for c in later if c.source == answer), None)


def _delay_guess(delays: pl.Series | None) -> tuple[timedelta, str, bool]:
    if delays is None or not delays.len():
        return D, "a guess: the file doesn't say when the truth was known; --label-delay sets it", False
    median = delays.median()
    found = median if isinstance(median, timedelta) else timedelta(0)
    rounded = min((at_least(found), at_most(found)), key=lambda nice: abs(nice - found))
    return rounded, f"half of them come within {spoken(max(found, timedelta(0)))}, rounded", True


def _maturity_guess(delays: pl.Series | None, delay: timedelta) -> tuple[timedelta, str, bool]:
    if delays is None or not delays.len():
        return at_least(2 * delay), "a guess: twice the delay; --maturity sets it", False
    ordered = delays.sort()
    found, longest = ordered[int((ordered.len() - 1) * _MATURE)], ordered[-1]
    chosen = max(at_least(longest if longest <= 1.5 * found else found), delay)
    share = float((delays <= chosen).sum()) / delays.len()
    return chosen, f"{share:.2%} of the labels have come by then; later ones are not waited for", True


def _span(role: str, interview: Interview, guess: tuple[timedelta, str, bool]) -> tuple[timedelta, str]:
    given = interview.wishes.label_delay if role == "label_delay" else interview.wishes.maturity
    found, why, sure = guess
    if given is not None:
        if problem := _span_problem(given):
            raise HomeostatError(f"--{role.replace('_', '-')} {given}: {problem}")
        interview.note(role, given, "as given")
        return parse_duration(given), "as given"
    text = "How long after an event is its truth usually known?"
    if role == "maturity":
        text = "After how long without a label will there never be one?"
    answer = interview.settle(role, Question(text, written(found), why, check=_span_problem), sure=sure)
    return parse_duration(answer), why if answer == written(found) else "as answered"


def _span_problem(text: str) -> str | None:
    try:
        span = parse_duration(text)
    except ValueError as error:
        return str(error)
    return None if timedelta(0) < span <= 1000 * D else "expected more than 0s and at most 1000d"
