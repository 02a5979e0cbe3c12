"""Which of the remaining columns may be features, and why the others may not."""

from dataclasses import dataclass
from typing import Final

import polars as pl

from homeostat.drafting.clock import later_than
from homeostat.drafting.columns import Column, LeftOut
from homeostat.drafting.leaks import LEAK_AUC, STRONG_AUC, empty_with_the_label, rank_correlation, telling
from homeostat.drafting.personal import personal_data
from homeostat.drafting.words import ID_WORDS, LABEL_TIME_WORDS, SCHEDULE_WORDS, words_of

_NEARLY_UNIQUE: Final = 0.95
_MAX_CATEGORIES: Final = 1_000
_FEW: Final = 50  # categories that are never too many
_ROWS_A_CATEGORY: Final = 5.0
_MANY: Final = 30  # rows below which nothing can be said to be unique
_PROSE_CHARS: Final = 60
_MOSTLY_LATER: Final = 0.5
_RISING: Final = 0.95
_IS_THE_DELAY: Final = 0.999  # what is left of 1 is rounding
_GOES_WITH_THE_DELAY: Final = 0.95
_TURNING: Final = frozenset({"hour", "minute", "second", "weekday", "day", "dow"})  # they come round again


@dataclass(frozen=True, slots=True)
class Screened:
    """The columns that may be features, those that may not, and what to look at."""

    kept: list[Column]
    left: list[LeftOut]
    warnings: list[str]


def screen(columns: list[Column], event: Column, labels: pl.Series, label_times: pl.Series | None = None) -> Screened:
    """Sort the columns that have no other role.

    Args:
        columns: In the order of the file.
        event: The event times.
        labels: 1, 0 or null for each row.
        label_times: When each was known, where the file says so.
    """
    found = Screened([], [], [])
    delays = None if label_times is None else label_times - event.values
    for column in columns:
        out = _personal(column) or _empty_of_meaning(column) or _after_event(column, event)
        out = out or _is_delay(column, delays, found.warnings) or _leak(column, labels, found.warnings)
        out = out or _rising(column, event) or _prose(column)
        if out is None:
            found.kept.append(column)
        else:
            found.left.append(out)
    found.warnings.extend(_known_late(found.kept, labels))
    return found


def _known_late(kept: list[Column], labels: pl.Series) -> list[str]:
    late = [column.source for column in kept if empty_with_the_label(column, labels)]
    what = "empty only where there is no answer either, so probably known no earlier than it"
    return [f"{', '.join(late)}: {what} - leave out what is not known when the event happens"] if late else []


def _personal(column: Column) -> LeftOut | None:
    what = personal_data(column)
    return LeftOut(column.source, "personal", f"looks like personal data: {what}") if what else None


def _empty_of_meaning(column: Column) -> LeftOut | None:
    """Return a constant or an identifier."""
    distinct, known = column.distinct, column.known
    if distinct < 2:
        alone = column.missing == 0
        return LeftOut(column.source, "constant", "one value in every row") if alone or not known else None
    if known < _MANY or column.type in ("number", "boolean", "time"):
        return None
    named = bool(ID_WORDS & set(words_of(column.name)[-1:]))
    if distinct < _NEARLY_UNIQUE * known or (column.type == "integer" and not named and not _running(column)):
        return None
    words = column.type == "string" and _length(column) > _PROSE_CHARS
    why = "free text: nearly another one in every row" if words else "an identifier: nearly another one in every row"
    return LeftOut(column.source, "text" if words else "identifier", f"{why} ({distinct:,} of {known:,})")


def _running(column: Column) -> bool:
    """Return whether whole numbers count the rows: each is one above another."""
    values = column.values.drop_nulls().sort()
    span = (values[-1] - values[0]) if values.len() else 0
    return bool(column.distinct == values.len() and span <= 2 * values.len())


def _after_event(column: Column, event: Column) -> LeftOut | None:
    if column.type != "time":
        return None
    words = set(words_of(column.name))
    share = later_than(event, column)
    if words & SCHEDULE_WORDS or share < _MOSTLY_LATER:
        return None
    hint = " (if it is planned beforehand, move it to the fields)" if not words & LABEL_TIME_WORDS else ""
    return LeftOut(column.source, "after_event", f"lies behind the event in {share:.0%} of the rows: known later{hint}")


def _is_delay(column: Column, delays: pl.Series | None, warnings: list[str]) -> LeftOut | None:
    """Return a column that says how long the label took: known no earlier than the label."""
    if delays is None or column.type not in ("number", "integer"):
        return None
    correlation = rank_correlation(column, delays)
    if correlation >= _IS_THE_DELAY:
        return LeftOut(column.source, "after_event", "says how long it took until the label: known no earlier than it")
    if correlation >= _GOES_WITH_THE_DELAY:
        warnings.append(
            f"{column.source}: goes with how long the label took (rank correlation {correlation:.2f}) - "
            "leave it out unless it is known when the event happens"
        )
    return None


def _leak(column: Column, labels: pl.Series, warnings: list[str]) -> LeftOut | None:
    found = telling(_presence(column) if column.type == "time" else column, labels)
    if found is None:
        return None
    if found.auc >= LEAK_AUC:
        return LeftOut(
            column.source, "leak", f"looks like a leak: tells the label nearly by itself (AUC {found.auc:.3f})"
        )
    if found.absence is not None:
        return LeftOut(column.source, "leak", f"looks like a leak: {found.absence} ({column.missing:,} rows lack it)")
    if found.auc >= STRONG_AUC:
        warnings.append(
            f"{column.source}: tells the label well by itself (AUC {found.auc:.3f}) - "
            "leave it out unless it is known when the event happens"
        )
    return None


def _presence(column: Column) -> Column:
    """Return a column of ones where there is a time: only whether there is one is looked at."""
    ones = column.values.is_not_null().cast(pl.Float64).replace(0.0, None)
    return Column(column.source, column.name, "number", ones, column.cells)


def _rising(column: Column, event: Column) -> LeftOut | None:
    """Return a column that only says how late in the file a row is: every new window would look drifted."""
    if column.type not in ("number", "integer") or _TURNING & set(words_of(column.name)):
        return None
    correlation = rank_correlation(column, event.values)
    if correlation < _RISING:
        return None
    why = f"goes with time (rank correlation {correlation:.2f}): every new window would look like drift"
    return LeftOut(column.source, "trend", why)


def _prose(column: Column) -> LeftOut | None:
    if column.type != "string":
        return None
    distinct, known = column.distinct, column.known
    if distinct > _FEW and (distinct > _MAX_CATEGORIES or known < _ROWS_A_CATEGORY * distinct):
        return LeftOut(column.source, "text", f"text of many values ({distinct:,} in {known:,} rows)")
    return None


def _length(column: Column) -> float:
    mean = column.cells.cast(pl.String).str.len_chars().mean()
    return mean if isinstance(mean, float) else 0.0
