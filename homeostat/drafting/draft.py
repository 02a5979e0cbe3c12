"""From a sample of a file to everything its contract says, guess by guess."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from homeostat.contract.names import slug
from homeostat.drafting import roles
from homeostat.drafting.clock import LabelClock, Stretch, event_time, label_clock, stretch_of
from homeostat.drafting.columns import READABLE_AS, Column, LeftOut, read_columns
from homeostat.drafting.features import Feature, Subject, features_of, slices_of
from homeostat.drafting.fields import Field, field_of
from homeostat.drafting.interview import Guess, Interview, Wishes
from homeostat.drafting.pace import Pace, pace_of
from homeostat.drafting.personal import personal_data
from homeostat.drafting.sample import Sample
from homeostat.drafting.screening import screen
from homeostat.drafting.spans import D, H, M, S
from homeostat.errors import HomeostatError

MAX_FIELDS: Final = 400  # a contract is read by people, and its file is bounded
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RARE: Final = 50  # rows of the rarer label in the sample


@dataclass(frozen=True, slots=True)
class Draft:
    """Everything a contract says, and why; names are those of the contract.

    Args:
        product: Its name.
        file: The file it was drafted from.
        sample: What was looked at of it.
        event_id: The id's name.
        id_column: Where it is in the file, None where it is made.
        entity: The entity's name.
        entity_column: Where it is in the file, None where the event's id stands for it.
        event_time: The column of event times.
        stretch: From when to when, how finely, and whether in order.
        target: What is predicted.
        label_time: The name of the label's time.
        clock: When labels come.
        fields: Of the event.
        features: Live ones first, then suggestions.
        left: Columns kept out, and why.
        slices: Features by whose values a canary is looked at.
        pace: The policies.
        guesses: Every choice with its reason.
        warnings: What a person should look at.
    """

    product: str
    file: Path
    sample: Sample
    event_id: str
    id_column: Column | None
    entity: str
    entity_column: Column | None
    event_time: Column
    stretch: Stretch
    target: roles.Target
    label_time: str
    clock: LabelClock
    fields: tuple[Field, ...]
    features: tuple[Feature, ...]
    left: tuple[LeftOut, ...]
    slices: tuple[str, ...]
    pace: Pace
    guesses: tuple[Guess, ...]
    warnings: tuple[str, ...]

    @property
    def watch_from(self) -> datetime | None:
        """The first full day by which a first model can be there, None where the file has too little behind it.

        In a file of a few days it is a full hour, in a shorter one a minute or a second.
        """
        unit = next((unit for unit in (D, H, M) if self.stretch.span >= 20 * unit), S)
        ready = self.stretch.first + self.pace.start + self.clock.maturity - _EPOCH
        found = _EPOCH + -(-ready // unit) * unit
        return found if found + self.pace.window <= self.stretch.last else None


def draft_of(file: Path, sample: Sample, interview: Interview) -> Draft:
    """Return the draft of a contract for a file.

    Args:
        file: Names the product and stands in comments.
        sample: Rows of it.
        interview: Gives, asks or guesses what is unsure.

    Raises:
        HomeostatError: The file lacks what every contract needs, or a flag is wrong; the text says what to do.
    """
    columns, vectors, left = _columns(sample, interview.wishes)
    event = event_time(columns, left, interview, str(file))
    rest = _without(columns, event)
    target = roles.target(rest, left, interview, str(file))
    rest = _without(rest, target.column)
    clock = label_clock(rest, left, event, target.labels.is_not_null(), interview)
    rest = _without(rest, clock.column)
    id_column = roles.event_id(rest, left, interview)
    rest = _without(rest, id_column)
    entity = roles.entity(rest, left, interview)
    screened = screen(_without(rest, entity), event, target.labels, clock.column.values if clock.column else None)
    kept, taken = [*screened.kept, *vectors][: MAX_FIELDS - 1], {slug(name) for name in sample.frame.columns}
    stretch = stretch_of(event)
    pace = pace_of(sample.rows, stretch, clock, target.labels)
    interview.warnings += [*screened.warnings, *pace.warnings, *_personal(id_column, entity)]
    interview.warnings += [*_unordered(event, stretch), *_unreadable(event, clock.column, kept)]
    interview.warnings += _scarce(target, screened.kept)
    key = field_of(entity, entity=True) if entity else Field(_free("entity", taken), "string", "made: the event's id")
    subject = Subject(kept, entity, key.name, event, target.column.name)
    return Draft(
        product=_product(interview.wishes.product, file),
        file=file,
        sample=sample,
        event_id=id_column.name if id_column else _free("event_id", taken),
        id_column=id_column,
        entity=key.name,
        entity_column=entity,
        event_time=event,
        stretch=stretch,
        target=target,
        label_time=clock.column.name if clock.column else _free("label_time", taken),
        clock=clock,
        fields=(key, *map(field_of, kept)),
        features=tuple(features := features_of(subject, stretch, clock, pace.rows_a_day)),
        slices=slices_of(features, kept),
        left=(*left, *screened.left),
        pace=pace,
        guesses=tuple(interview.guesses),
        warnings=tuple(interview.warnings),
    )


def _columns(sample: Sample, wishes: Wishes) -> tuple[list[Column], list[Column], list[LeftOut]]:
    """Return the columns that may have any role, the vectors, which are features alone, and what is left out."""
    named = {slug(name) for name in (wishes.time, wishes.label_time) if name}
    times = [name for name in sample.frame.columns if slug(name) in named]
    found, left = read_columns(sample.frame, day_first=wishes.day_first, as_times=times)
    return [c for c in found if c.type != "vector"], [c for c in found if c.type == "vector"], left


def _without(columns: list[Column], used: Column | None) -> list[Column]:
    return [column for column in columns if used is None or column.source != used.source]


def _free(name: str, taken: set[str]) -> str:
    """Return a name for what the file doesn't have, that no column of it bears."""
    return next(n for n in (name, f"made_{name}", *(f"made_{name}_{i}" for i in range(2, 10_000))) if n not in taken)


def _product(wish: str | None, file: Path) -> str:
    if wish is None:
        return slug(file.stem)
    if slug(wish) != wish:
        raise HomeostatError(f"--product {wish}: expected lower-case letters, digits and _, like {slug(wish)}")
    return wish


def _personal(*keys: Column | None) -> list[str]:
    return [
        f"{column.source}: looks like personal data: {what} - it would be stored with every row"
        for column in keys
        if column is not None and (what := personal_data(column)) is not None
    ]


def _unreadable(event: Column, label_time: Column | None, kept: list[Column]) -> list[str]:
    """Return what stands in cells that can't be read, and what becomes of their rows."""
    fates = [(event, "have no place in time and will not be sent")]
    fates += [] if label_time is None else [(label_time, "have a label that will be refused")]
    fates += [(column, "will be refused") for column in kept]
    return [
        f"{column.source}: {column.unreadable:,} rows {fate}: no {READABLE_AS[column.type]} is {column.strange}"
        for column, fate in fates
        if column.unreadable
    ]


def _unordered(event: Column, stretch: Stretch) -> list[str]:
    return [] if stretch.ordered else [f"{event.source}: not in time order; replay sorts the rows"]


def _scarce(target: roles.Target, kept: list[Column]) -> list[str]:
    """Return what there is too little of, or too much."""
    found = []
    ones = int(target.labels.sum())
    rarer = min(ones, target.labels.len() - target.labels.null_count() - ones)
    if rarer < _RARE:
        found.append(f"{target.column.source}: only {rarer} rows of the rarer answer were seen: hardly enough to learn")
    if len(kept) >= MAX_FIELDS:
        found.append(f"{len(kept):,} columns could be fields: the first {MAX_FIELDS - 1} are taken")
    return found
