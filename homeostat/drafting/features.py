"""Features of a first contract: fields as they are, hours and weekdays, and aggregates as suggestions."""

import keyword
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from homeostat.contract.checks import RESERVED
from homeostat.contract.durations import written
from homeostat.drafting.clock import LabelClock, Stretch
from homeostat.drafting.columns import Column
from homeostat.drafting.spans import D, at_least, at_most

_LONGEST_NAME: Final = 63
_FEW_ENTITIES: Final = 200  # that a model may learn one by one
_KEYS_SUGGESTED: Final = 3
_ROWS_A_KEY: Final = 20  # in an aggregate's span, to be more than noise
_MOST_SPAN: Final = 84 * D
_MOST_SLICES: Final = 3
_MOST_VALUES: Final = 10  # of a slice, each looked at by itself


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature as YAML; ``live`` is False for a suggestion that stands in a comment."""

    name: str
    spec: str
    comment: str = ""
    live: bool = True


@dataclass(frozen=True, slots=True)
class Subject:
    """What features can be made of.

    Args:
        kept: Columns that may be features, without the entity.
        entity: The entity's column, None where it is made.
        entity_name: Its name in the contract.
        event_time: The event times.
        target: The label's name in the contract.
    """

    kept: Sequence[Column]
    entity: Column | None
    entity_name: str
    event_time: Column
    target: str


def features_of(subject: Subject, stretch: Stretch, clock: LabelClock, rows_a_day: float) -> list[Feature]:
    """Return the features, those that are suggestions last; at least one is live."""
    found = [Feature(_free(c.name), _field(c.name)) for c in subject.kept if c.type != "time"]
    entity = subject.entity
    if entity is not None and entity.distinct <= _FEW_ENTITIES and entity.known >= _ROWS_A_KEY * entity.distinct:
        found.append(Feature(_free(entity.name), _field(entity.name), "few enough to be learnt one by one"))
    times = [*(c for c in subject.kept if c.type == "time"), subject.event_time]
    found += [feature for column in times for feature in _calendar(column, stretch)]
    aggregates = _aggregates(subject, clock, rows_a_day)
    if not any(feature.live for feature in found):
        aggregates = [Feature(f.name, f.spec, f.comment) for f in aggregates]
    return sorted(_renamed([*found, *aggregates]), key=lambda feature: not feature.live)


def slices_of(features: Iterable[Feature], kept: Iterable[Column]) -> tuple[str, ...]:
    """Return the features by whose values a canary may be looked at one by one: texts of few values, fewest first."""
    texts = sorted(
        (c for c in kept if c.type == "string" and 2 <= c.distinct <= _MOST_VALUES), key=lambda c: c.distinct
    )
    places = {_field(column.name): place for place, column in enumerate(texts)}
    found = [feature for feature in features if feature.live and feature.spec in places]
    return tuple(feature.name for feature in sorted(found, key=lambda feature: places[feature.spec]))[:_MOST_SLICES]


def _calendar(column: Column, stretch: Stretch) -> list[Feature]:
    """Return hour and weekday of a time, where it has them."""
    if keyword.iskeyword(column.name):  # an expression is parsed as Python
        return []
    times = column.values.drop_nulls()
    found = []
    if stretch.step < D and times.dt.hour().n_unique() > 2:
        zone = f'of UTC; for another clock: hour({column.name}, "Europe/Paris")'
        found.append(Feature(f"{column.name}_hour", f"{{expression: hour({column.name})}}", zone))
    if stretch.span >= 14 * D and times.dt.weekday().n_unique() > 2:
        found.append(Feature(f"{column.name}_weekday", f"{{expression: weekday({column.name})}}", "1 is Monday"))
    return found


def _aggregates(subject: Subject, clock: LabelClock, rows_a_day: float) -> list[Feature]:
    """Return what was known just before, by entity and by the coarsest categories."""
    entities = subject.entity.distinct if subject.entity else 1
    keys = [(subject.entity_name, entities)] if subject.entity else []
    texts = sorted((c for c in subject.kept if c.type == "string"), key=lambda c: c.distinct)
    keys += [(c.name, c.distinct) for c in texts[:_KEYS_SUGGESTED]]
    found = []
    for name, distinct in keys:
        over = written(_span(distinct, clock, rows_a_day))
        spec = f"{{aggregate: mean, of: {quoted(subject.target)}, by: [{quoted(name)}], over: {over}}}"
        found.append(Feature(f"{subject.target}_{name}_{over}", spec, f"how often it was so for this {name}"))
    over = written(_span(entities, clock, rows_a_day))
    counted = f"{{aggregate: count, by: [{quoted(subject.entity_name)}], over: {over}}}"
    found.append(Feature(f"count_{subject.entity_name}_{over}", counted, "how busy it has been"))
    return [Feature(f.name, f.spec, f.comment, live=False) for f in found]


def _span(keys: int, clock: LabelClock, rows_a_day: float) -> timedelta:
    """Return a span in which a usual key has rows enough, and whose labels have come."""
    days = min(_ROWS_A_KEY * keys / max(rows_a_day, 1e-6), _MOST_SPAN / D)
    return max(at_most(max(at_least(timedelta(days=days)), at_least(2 * clock.delay))), timedelta(minutes=1))


def _field(name: str) -> str:
    return f"{{field: {quoted(name)}}}"


def _free(name: str) -> str:
    return f"{name}_value" if name in RESERVED else name


def _renamed(features: list[Feature]) -> list[Feature]:
    """Return the features under names that fit and differ."""
    taken: set[str] = set()
    found = []
    for feature in features:
        name, n = feature.name[:_LONGEST_NAME].rstrip("_"), 2
        while name in taken:
            name, n = f"{feature.name[: _LONGEST_NAME - 3]}_{n}", n + 1
        taken.add(name)
        found.append(Feature(name, feature.spec, feature.comment, feature.live))
    return found


def quoted(name: str) -> str:
    """Return a name so that YAML takes it for a text: no, on and null would be something else.

    >>> quoted("no"), quoted("origin")
    ('"no"', 'origin')
    """
    return f'"{name}"' if name in {"yes", "no", "on", "off", "true", "false", "null", "y", "n"} else name
