"""A contract's values held against its model: every mismatch in words, and the parts that are sound."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from types import MappingProxyType
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from homeostat.contract.document import Document, Path, Plain
from homeostat.contract.model import (
    AggregateFeature,
    Contract,
    ExpressionFeature,
    Feature,
    FieldFeature,
    FieldSpec,
)
from homeostat.contract.names import nearest, suggestion
from homeostat.contract.policies import Part

KINDS: Final[Mapping[str, type[Feature]]] = MappingProxyType(
    {"field": FieldFeature, "expression": ExpressionFeature, "aggregate": AggregateFeature}
)
MAX_SPAN_D: Final = 3650  # a longer one would leave the calendar when added to a time
_UNITS_PER_D: Final = {"s": 86_400, "m": 1_440, "h": 24, "d": 1, "w": 1 / 7}
_SPAN: Final = re.compile(r"\s*(\d+)([smhdw])\s*", re.ASCII)
_SPAN_TEXT: Final = "a whole number with a unit s, m, h, d or w, like 15m or 7d"
_FEATURE_TEXT: Final = "expected {field: ...}, {expression: ...} or {aggregate: ..., of: ..., by: [...], over: ...}"

P = TypeVar("P", bound=Part)


@dataclass(slots=True)
class Draft:
    """What is sound in a contract; a part with a problem is None, or missing from its mapping."""

    document: Document
    fields: dict[str, FieldSpec | None] = field(default_factory=dict)  # of the event, None: known by name only
    facts: dict[str, FieldSpec | None] = field(default_factory=dict)
    features: dict[str, Feature] = field(default_factory=dict)

    def part(self, key: str, kind: type[P]) -> P | None:
        """Return a top-level part of the contract, with its defaults where nothing is given."""
        data = self.document.data
        raw = data.get(key, {}) if isinstance(data, dict) else {}
        return _sound(kind, raw)


def check_schema(document: Document) -> Draft:
    """Report every unknown key, missing key and value of a wrong type or out of range; return the rest."""
    document.data = _possible(document, document.data, ())
    try:
        Contract.model_validate(document.data)
    except ValidationError as error:
        details = [e for e in error.errors() if not _of_a_feature(e["loc"])]
        _report(document, (), Contract, details)
    draft = Draft(document)
    draft.fields = _specs(document.get(("event", "fields")))
    draft.facts = _specs(document.get(("label", "facts")))
    features = document.get(("features",))
    for name, raw in features.items() if isinstance(features, dict) else ():
        feature = _feature(document, ("features", name), raw)
        if feature is not None:
            draft.features[name] = feature
    return draft


def _possible(document: Document, value: Plain, path: Path) -> Plain:
    """Return the value without the numbers and spans that no field can hold."""
    if isinstance(value, dict):
        return {key: _possible(document, item, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_possible(document, item, (*path, index)) for index, item in enumerate(value)]
    if isinstance(value, float) and not isfinite(value):
        document.report(path, f"{value} - expected a finite number")
        return None
    span = _SPAN.fullmatch(value) if isinstance(value, str) and path != ("description",) else None
    if span and int(span[1][:18]) > MAX_SPAN_D * _UNITS_PER_D[span[2]]:
        document.report(path, f"{_shown(value)} - expected at most {MAX_SPAN_D}d")
        return None
    return value


def _of_a_feature(loc: tuple[int | str, ...]) -> bool:
    """Whether an error lies inside a feature, where the union of kinds would name three for one."""
    return loc[0] == "features" and len(loc) > 2 and loc[-1] != "[key]"


def _specs(raw: Plain) -> dict[str, FieldSpec | None]:
    specs = raw.items() if isinstance(raw, dict) else ()
    return {name: _sound(FieldSpec, {"type": spec} if isinstance(spec, str) else spec) for name, spec in specs}


def _sound(kind: type[P], raw: object) -> P | None:
    try:
        return kind.model_validate(raw)
    except ValidationError:
        return None


def _feature(document: Document, path: Path, raw: Plain) -> Feature | None:
    """Return a feature of the kind its keys speak of, None after reporting what is wrong with it."""
    if not isinstance(raw, dict):
        document.report(path, f"{_shown(raw)} - {_FEATURE_TEXT}")
        return None
    named = [key for key in KINDS if key in raw]
    if len(named) > 1:
        document.report(path, f"has {' and '.join(named)} - expected exactly one of {', '.join(KINDS)}")
        return None
    likeness = {key: sum(nearest(k, model.model_fields) is not None for k in raw) for key, model in KINDS.items()}
    key = named[0] if named else max(likeness, key=lambda k: likeness[k])
    if not named and not likeness[key]:
        found = f"unknown keys {', '.join(map(_shown, raw))}" if raw else "empty"
        document.report(path, f"{found} - {_FEATURE_TEXT}")
        return None
    try:
        return KINDS[key].model_validate(raw)
    except ValidationError as error:
        _report(document, path, KINDS[key], error.errors())
        return None


def _report(document: Document, base: Path, model: type[BaseModel], errors: Iterable[ErrorDetails]) -> None:
    """Report pydantic's errors in our words; ``model`` is what ``base`` was held against."""
    errors = sorted(errors, key=lambda e: e["type"] != "extra_forbidden")
    misspelt: set[Path] = set()  # a misspelt key is one problem, not an unknown and a missing one
    for error in errors:
        loc = tuple(error["loc"])
        if error["type"] == "extra_forbidden":
            keys = _keys(_annotation(model, loc[:-1]))
            misspelt.add((*loc[:-1], nearest(str(loc[-1]), keys) or ""))
            line = document.line_of(base + loc)
            document.report(base + loc[:-1], f"unknown key '{loc[-1]}' - {suggestion(str(loc[-1]), keys)}", line)
        elif loc[-1:] == ("[key]",):
            document.report(base + loc[:-1], f"the name {_shown(error['input'])} - {_wanted(error, None)}")
        elif error["type"] == "missing":
            if loc not in misspelt:
                document.report(base + loc, f"missing - expected {_describe(_annotation(model, loc))}")
        elif base + loc not in document.reported:
            text = f"{_shown(error['input'])} - {_wanted(error, _annotation(model, loc))}"
            document.report(base + loc, text)


def _wanted(error: ErrorDetails, annotation: object) -> str:
    """Return what was expected, from the kind of error."""
    context = error.get("ctx", {})
    if error["type"] == "value_error":
        return str(context["error"])
    if error["type"] == "string_pattern_mismatch":
        return "expected lower-case letters, digits and _, a letter first, at most 63 characters"
    if error["type"] == "literal_error":
        near = nearest(str(error["input"]), re.findall(r"'([^']*)'", context["expected"]))
        return f"expected {context['expected']}" + (f"; did you mean '{near}'?" if near else "")
    if error["type"] in {"model_type", "dict_type", "list_type"}:
        return f"expected {_describe(annotation)}"
    if error["type"] == "too_short":
        return "expected at least one"
    return error["msg"].replace("Input should be", "expected").replace("datetime.timedelta(0)", "0s")


def _annotation(model: type[BaseModel], loc: tuple[int | str, ...]) -> object:
    """Return the type a model wants at a place, None where it wants nothing."""
    wanted: object = model
    for key in loc:
        parts = get_args(wanted)
        if isinstance(wanted, type) and issubclass(wanted, BaseModel):
            info = wanted.model_fields.get(str(key))
            wanted = info.annotation if info else None
        else:
            wanted = parts[-1] if parts else None  # the values of a mapping, the items of a list
        if hasattr(wanted, "__metadata__"):
            wanted = get_args(wanted)[0]
    return wanted


def _keys(annotation: object) -> list[str]:
    return list(getattr(annotation, "model_fields", {}))


def _describe(annotation: Any) -> str:  # noqa: ANN401 - a type of any form
    """Return a type in words."""
    if keys := _keys(annotation):
        return f"a mapping with the keys {', '.join(keys)}"
    forms = {"dict": "a mapping", "list": "a list", "str": "a text", "timedelta": _SPAN_TEXT, "float": "a number"}
    name = getattr(annotation, "__origin__", annotation)
    literals = [value for value in get_args(annotation) if isinstance(value, str)]
    return f"one of {', '.join(literals)}" if literals else forms.get(getattr(name, "__name__", ""), "a value")


def _shown(value: object) -> str:
    """Return a value as the file has it, shortened."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = str(value) if len(str(value)) <= 60 else str(value)[:57] + "..."
    return f"'{text}'" if isinstance(value, str) else text
