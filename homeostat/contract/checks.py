"""What a contract means beyond its types: names that exist, features that can't see the future, spans that fit."""

from datetime import timedelta
from typing import Final

from homeostat.contract.document import Path
from homeostat.contract.expression_types import KIND_OF, kind_of
from homeostat.contract.expressions import parse_expression
from homeostat.contract.model import (
    AggregateFeature,
    EventSpec,
    ExpressionFeature,
    FieldFeature,
    FieldSpec,
    LabelSpec,
)
from homeostat.contract.names import suggestion
from homeostat.contract.policies import CanaryPolicy, DriftPolicy, TrainingPolicy
from homeostat.contract.schema import Draft
from homeostat.contract.vectors import check_sizes, is_vector, no_vector

RESERVED: Final = frozenset({"event_id", "entity_id", "event_time", "label"})
"""Columns of a training frame beside the features."""


def check_meaning(draft: Draft) -> None:
    """Report every contradiction in the parts whose types are sound."""
    _check_event(draft)
    _check_label(draft)
    for base, specs in ((("event", "fields"), draft.fields), (("label", "facts"), draft.facts)):
        _check_ranges(draft, base, specs)
        check_sizes(draft, base, specs)
    _check_spans(draft)
    for name, feature in draft.features.items():
        path = ("features", name)
        if name in RESERVED:
            draft.document.report(path, f"the name is reserved, as are {', '.join(sorted(RESERVED - {name}))}")
        if not draft.fields:
            continue  # nothing is known about the event: every name would look wrong
        if isinstance(feature, FieldFeature):
            _check_field(draft, path, feature)
        elif isinstance(feature, ExpressionFeature):
            _check_expression(draft, path, feature)
        else:
            _check_aggregate(draft, path, feature)


def _check_event(draft: Draft) -> None:
    event = draft.part("event", EventSpec)
    if event is None:
        return
    report = draft.document.report
    if event.id == event.time:
        report(("event", "time"), f"'{event.time}' is the event's id too - expected another name")
    for role, name in (("id", event.id), ("time", event.time)):
        if name in event.fields:
            report(("event", "fields", name), f"the event's {role} - expected no field of that name")
    spec = event.fields.get(event.entity)
    if spec is None:
        report(("event", "entity"), f"'{event.entity}' is no event field - {suggestion(event.entity, event.fields)}")
    elif spec.type != "string" or spec.nullable:
        kind = f"{'nullable ' if spec.nullable else ''}{spec.type}"
        report(("event", "entity"), f"'{event.entity}' has the type {kind} - expected string, not nullable")


def _check_label(draft: Draft) -> None:
    label = draft.part("label", LabelSpec)
    if label is None:
        return
    report = draft.document.report
    roles: dict[str, str] = {}
    for role, name in (("id", label.id), ("time", label.time), ("field", label.field)):
        if name in roles:
            report(("label", role), f"'{name}' is the label's {roles[name]} too - expected another name")
        roles.setdefault(name, role)
    for name in label.facts:
        if name in roles:
            report(("label", "facts", name), f"the label's {roles[name]} - expected no fact of that name")
        if name in draft.fields:
            report(("label", "facts", name), "also an event field - a fact is known only with the label; rename one")
    if label.field in {*draft.fields, *_event_names(draft)}:
        report(("label", "field"), f"'{label.field}' is also in the event - the label is known only later; rename one")


def _event_names(draft: Draft) -> dict[str, str]:
    """Return the names of the event's id and time, with what they are."""
    get = draft.document.get
    return {
        str(get(("event", role)) or f"event_{role}"): f"the event's {role}, which is no field"
        for role in ("id", "time")
    }


def _check_ranges(draft: Draft, base: Path, specs: dict[str, FieldSpec | None]) -> None:
    for name, spec in specs.items():
        if spec is None or (spec.min is None and spec.max is None):
            continue
        if spec.type not in {"number", "integer"}:
            draft.document.report((*base, name), f"min or max of the type {spec.type} - expected on numbers alone")
        elif spec.min is not None and spec.max is not None and spec.min > spec.max:
            draft.document.report((*base, name), f"min {spec.min:g} is above max {spec.max:g} - no value would pass")


def _check_spans(draft: Draft) -> None:
    label = draft.part("label", LabelSpec)
    drift = draft.part("drift", DriftPolicy)
    if drift is not None and drift.window < drift.every:
        why = f"drift.every, {_span(drift.every)}, or rows would never be looked at"
        _too_short(draft, ("drift", "window"), drift.window, f"at least {why}")
    if label is None:
        return
    maturity = f"label.maturity, {_span(label.maturity)}"
    if label.maturity < label.delay:
        why = f"at least label.delay, {_span(label.delay)}, or most labels would come too late"
        _too_short(draft, ("label", "maturity"), label.maturity, why)
    training = draft.part("training", TrainingPolicy)
    if training is not None and training.cold_start_after <= label.maturity:
        why = f"more than {maturity}, or no row would be mature by then"
        _too_short(draft, ("training", "cold_start_after"), training.cold_start_after, why)
    canary = draft.part("canary", CanaryPolicy)
    if canary is not None and canary.max_duration <= label.maturity:
        why = f"more than {maturity}, or every canary would end without a mature row"
        _too_short(draft, ("canary", "max_duration"), canary.max_duration, why)


def _too_short(draft: Draft, path: Path, value: timedelta, expected: str) -> None:
    default = "" if draft.document.get(path) is not None else " (the default)"
    draft.document.report(path, f"{_span(value)}{default} - expected {expected}")


def _span(value: timedelta) -> str:
    seconds = int(value.total_seconds())
    size, unit = next(
        (size, unit) for size, unit in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")) if seconds % size == 0
    )
    return f"{seconds // size}{unit}"


def _known(draft: Draft, path: Path, name: str) -> bool:
    """Report a name that is no event field, with what it is instead or the nearest one that is."""
    if name in draft.fields:
        return True
    feature = path[:2]
    if name in draft.facts or name == draft.document.get(("label", "field")):
        draft.document.report(
            feature,
            f"uses '{name}', which is known only with the label: "
            "features may use it through an aggregate (its past) alone",
            draft.document.line_of(path),
        )
        return False
    role = _event_names(draft).get(name, "no event field")
    draft.document.report(path, f"'{name}' is {role} - {suggestion(name, draft.fields)}")
    return False


def _check_field(draft: Draft, path: Path, feature: FieldFeature) -> None:
    name = feature.field
    if not _known(draft, (*path, "field"), name):
        return
    spec = draft.fields[name]
    if spec is not None and spec.type == "time":
        hint = f"expected an expression of it, like hour({name})"
        draft.document.report((*path, "field"), f"'{name}' is a time, which no model takes - {hint}")


def _check_expression(draft: Draft, path: Path, feature: ExpressionFeature) -> None:
    path = (*path, "expression")
    try:
        expression = parse_expression(feature.expression)
        time = str(draft.document.get(("event", "time")) or "event_time")  # known with the event like any field
        names = expression.fields - {time}
        if [name for name in sorted(names) if not _known(draft, path, name)]:
            return
        no_vector({name: draft.fields[name] for name in names})
        if not expression.fields:
            raise ValueError("uses no event field, so it would be the same for every event")  # noqa: TRY301
        kinds = {name: KIND_OF[spec.type] for name in names if (spec := draft.fields[name]) is not None}
        kind = kind_of(expression, {time: "time", **kinds})
    except ValueError as error:
        draft.document.report(path, str(error))
    except KeyError:
        return  # a field whose own type is wrong has been reported where it stands
    else:
        if kind not in {"number", "boolean"}:
            draft.document.report(path, f"the value is a {kind} - expected a number or a boolean")


def _check_aggregate(draft: Draft, path: Path, feature: AggregateFeature) -> None:
    for index, name in enumerate(feature.by):
        where = (*path, "by", index)
        if name in feature.by[:index]:
            draft.document.report(where, f"'{name}' is named twice")
        elif _known(draft, where, name) and is_vector(draft.fields[name]):
            draft.document.report(where, f"'{name}' is a vector, by which no rows go together - expected another field")
    if feature.aggregate == "count":
        if feature.of is not None:
            draft.document.report((*path, "of"), "count takes no 'of': it counts events")
    elif feature.of is None:
        draft.document.report((*path, "of"), f"missing - {feature.aggregate} needs an event field, the label or a fact")
    else:
        _check_source(draft, (*path, "of"), feature.aggregate, feature.of)


def _check_source(draft: Draft, path: Path, aggregate: str, name: str) -> None:
    """Report what an aggregate is taken of where it can't be."""
    label = draft.document.get(("label", "field"))
    if name == label:
        return
    known = {**draft.facts, **draft.fields}
    if name not in known:
        names = [*known, *([label] if isinstance(label, str) else [])]
        draft.document.report(path, f"'{name}' is no event field, label or fact - {suggestion(name, names)}")
        return
    spec = known[name]
    if spec is not None and (spec.type in {"time", "vector"} or (aggregate != "last" and spec.type == "string")):
        allowed = "any type but time and vector" if aggregate == "last" else "number, integer or boolean"
        draft.document.report(path, f"'{name}' has the type {spec.type} - {aggregate} takes {allowed}")
