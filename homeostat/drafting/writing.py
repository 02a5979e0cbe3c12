"""The draft as YAML: every guess with its reason in a comment."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from homeostat.contract.durations import written
from homeostat.contract.load import parse_contract
from homeostat.contract.names import slug
from homeostat.drafting.draft import Draft
from homeostat.drafting.features import Feature, quoted
from homeostat.drafting.pace import Line, harmless_of
from homeostat.errors import ContractError, HomeostatError

_LONGEST: Final = 160  # characters of a comment
_ENTITIES: Final = Line("entities", "30d", "each event is an entity of its own, and few ask about an old one")
_WHY_SLICES: Final = "a challenger must not do much worse where one of them has some value"
_MOST_LEFT: Final = 150  # columns named among those left out


def contract_text(draft: Draft) -> str:
    """Return the contract as YAML that `homeostat check` accepts.

    Raises:
        HomeostatError: It would not; then the drafting itself is at fault, and the text asks to report it.
    """
    text = "\n".join(_lines(draft)) + "\n"
    try:
        parse_contract(text, f"{draft.product}.yaml")
    except ContractError as error:
        raise HomeostatError(f"the draft is no sound contract; please report this:\n{error}") from error
    return text


def findings(draft: Draft) -> dict[str, Any]:
    """Return the choices and warnings as JSON-able data."""
    return {
        "product": draft.product,
        "file": str(draft.file),
        "rows": draft.sample.rows,
        "rows_counted": draft.sample.whole,
        "rows_a_day": round(draft.pace.rows_a_day, 3),
        "form": draft.sample.form,
        "first": draft.stretch.first.isoformat(),
        "last": draft.stretch.last.isoformat(),
        "guesses": [{"role": g.role, "value": g.value, "why": g.why, "sure": g.sure} for g in draft.guesses],
        "features": [feature.name for feature in draft.features if feature.live],
        "left_out": [{"column": out.source, "kind": out.kind, "why": out.why} for out in draft.left],
        "notes": list(draft.sample.notes),
        "warnings": list(draft.warnings),
        "replay_options": replay_options(draft),
        "watch_from": draft.watch_from.isoformat() if draft.watch_from else None,
        "example_event": example_event(draft, datetime.now(UTC)),
        "example_label": example_label(draft, datetime.now(UTC)),
    }


def example_event(draft: Draft, now: datetime) -> dict[str, object]:
    """Return an event with a usual value in every field, as a producer would send it."""
    at = f"{now:%Y-%m-%dT%H:%M:%SZ}"
    fields = {field.name: at if field.example is None else field.example for field in draft.fields}
    return {draft.event_id: "try-1", draft.event_time.name: at, **fields}


def example_label(draft: Draft, now: datetime) -> dict[str, object]:
    """Return the label of that event, as a producer would send it once it is known."""
    return {draft.event_id: "try-1", draft.label_time: f"{now:%Y-%m-%dT%H:%M:%SZ}", draft.target.column.name: True}


def replay_options(draft: Draft) -> list[str]:
    """Return what whoever reads the file by this contract has to be told beside it."""
    options = [] if draft.target.plain else ["--positive", draft.target.positive]
    orders = {c.written for c in (draft.event_time, draft.clock.column) if c is not None}
    if "day_first" in orders or "month_first" in orders:
        options.append("--day-first" if "day_first" in orders else "--month-first")
    return options


def _lines(draft: Draft) -> Iterator[str]:
    yield from _head(draft)
    yield f"product: {quoted(draft.product)}"
    about = f"Will {_said(draft.target.column.source)} be {_said(draft.target.positive)}?"
    about = f"Predicts {_said(draft.target.column.source).rstrip('.?!')}." if draft.target.plain else about
    yield f"description: {json.dumps(about, ensure_ascii=False)}"
    yield ""
    yield from _event(draft)
    yield ""
    yield from _label(draft)
    yield ""
    yield from _features(draft.features)
    yield from _constraints()
    for part, settings in draft.pace.parts.items():
        yield ""
        yield from _part(part, settings)
        if part == "drift":
            yield from _part_lines([harmless_of(sum(feature.live for feature in draft.features))])
        if part == "canary" and draft.slices:
            yield from _part_lines([Line("slices", f"[{', '.join(map(quoted, draft.slices))}]", _WHY_SLICES)])
    if draft.entity_column is None:
        yield ""
        yield from _part("retention", [_ENTITIES])


def _head(draft: Draft) -> Iterator[str]:
    sample, stretch = draft.sample, draft.stretch
    counted = "" if sample.whole else "about "
    yield _comment(f"Drafted by `homeostat init {_said(str(draft.file.name))}`: {sample.form}.")
    yield _comment(
        f"{counted}{sample.rows:,} rows from {stretch.first:%Y-%m-%d %H:%M} to {stretch.last:%Y-%m-%d %H:%M} UTC, "
        f"about {draft.pace.rows_a_day:,.3g} a day."
    )
    yield "# Every guess has its reason beside it: read, correct, and try with `homeostat check`."
    yield "# A column of the file has its own name here, in lower case with _ for what is no letter or digit."
    if options := replay_options(draft):
        yield _comment(f"To read that file by this contract: {_said(' '.join(options))}")
    for note in (*sample.notes, *draft.warnings):
        yield _comment(f"! {_said(note)}")


def _event(draft: Draft) -> Iterator[str]:
    id_why = (
        "another one in every row looked at" if draft.id_column else "the file has none: replay makes one from the row"
    )
    yield "# What a producer sends when something is to be predicted: nothing that is known only later."
    yield "event:"
    yield f"  id: {quoted(draft.event_id)}{_aside(id_why)}"
    yield f"  entity: {quoted(draft.entity)}{_aside(_why(draft, 'entity'))}"
    yield f"  time: {quoted(draft.event_time.name)}{_aside(_why(draft, 'time'))}"
    yield f"  allowed_lateness: {written(draft.pace.lateness)}{_aside('older than the newest by more: quarantined')}"
    yield "  fields:"
    for field in draft.fields:
        yield f"    {quoted(field.name)}: {field.spec}{_aside(field.comment)}"
    if draft.left:
        yield "    # Left out:"
    for out in draft.left[:_MOST_LEFT]:
        yield f"    {_comment(f'{_said(out.source)}: {out.why}')}"
    if len(draft.left) > _MOST_LEFT:
        yield f"    # and {len(draft.left) - _MOST_LEFT:,} more"


def _label(draft: Draft) -> Iterator[str]:
    target, clock = draft.target, draft.clock
    unlabelled = target.labels.null_count()
    time_why = _why(draft, "label_time") if clock.column else "the file has none: replay takes event time + delay"
    said = f"{_why(draft, 'target')}; 1 is {target.positive} ({target.why}); {target.rate:.1%} of the labels"
    said += f"; {unlabelled / target.labels.len():.1%} of the rows have none" if unlabelled else ""
    yield "# What a producer sends when the truth is known."
    yield "label:"
    yield f"  id: {quoted(draft.event_id)}"
    yield f"  time: {quoted(draft.label_time)}{_aside(time_why)}"
    yield f"  field: {quoted(target.column.name)}{_aside(said)}"
    yield f"  delay: {written(clock.delay)}{_aside(clock.delay_why)}"
    yield f"  maturity: {written(clock.maturity)}{_aside(clock.maturity_why)}"


def _features(features: Iterable[Feature]) -> Iterator[str]:
    yield "features:"
    suggested = False
    for feature in features:
        if not feature.live and not suggested:
            suggested = True
            yield "  # Worth a try: remove the # (an aggregate sees only what was known strictly before the event)."
        mark = "" if feature.live else "# "
        yield f"  {mark}{quoted(feature.name)}: {feature.spec}{_aside(feature.comment)}"


def _constraints() -> Iterator[str]:
    yield ""
    yield "objective:"
    yield "  metric: log_loss  # or brier"
    yield "  # constraints: {min_auc: 0.6, max_calibration_error: 0.1}  # what a model must reach before it may serve"


def _part(name: str, settings: Iterable[Line]) -> Iterator[str]:
    yield f"{name}:"
    yield from _part_lines(settings)


def _part_lines(settings: Iterable[Line]) -> Iterator[str]:
    for line in settings:
        yield f"  {line.key}: {line.value}{_aside(line.why)}"


def _why(draft: Draft, role: str) -> str:
    guess = next((g for g in draft.guesses if g.role == role), None)
    if guess is None:
        return ""
    own = f"column '{_said(guess.value)}', " if guess.value != slug(guess.value) else ""
    return f"{own}{guess.why}" if guess.sure else f"a guess: {own}{guess.why}"


def _aside(text: str) -> str:
    return f"  {_comment(text)}" if text else ""


def _comment(text: str) -> str:
    return f"# {_said(text, _LONGEST)}"


def _said(text: str, longest: int = 80) -> str:
    """Return a text on one line in characters that YAML allows, shortened."""
    plain = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return plain if len(plain) <= longest else plain[: longest - 3] + "..."
