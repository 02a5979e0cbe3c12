"""What is predicted, about whom, and under which id."""

import math
from dataclasses import dataclass
from typing import Final

import polars as pl

from homeostat.contract.cells import ASKED_FOR, SAYS_YES, answers, key_of, positive_of, texts, truth
from homeostat.drafting.columns import Column, LeftOut, as_text
from homeostat.drafting.interview import Interview, Question, column_of
from homeostat.drafting.personal import personal_data
from homeostat.drafting.words import ENTITY_WORDS, ID_WORDS, TARGET_WORDS, words_of
from homeostat.errors import HomeostatError

_NOT_ASKED_FOR: Final = frozenset({"sex", "gender", "male", "female", "weekend", "holiday", "is"})
_LONGEST_KEY: Final = 40  # characters; longer texts are prose
_MIN_REPEATS: Final = 2.0  # events an entity has on average
_MAX_SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class Target:
    """What is predicted.

    Args:
        column: Where the answers are.
        labels: 1, 0, or null where the answer is missing; shape (rows,).
        positive: The answer that counts as 1.
        why: Why that one.
        plain: Whether whoever reads the file finds that answer by itself: it says true/false, yes/no or 1/0.
    """

    column: Column
    labels: pl.Series
    positive: str
    why: str
    plain: bool

    @property
    def rate(self) -> float:
        """The share of ones among the labels."""
        mean = self.labels.mean()
        return float(mean) if isinstance(mean, float) else 0.0


def target(columns: list[Column], left: list[LeftOut], interview: Interview, file: str) -> Target:
    """Return what is predicted.

    Raises:
        HomeostatError: No column has two answers, or the one named has more and none is said to be positive.
    """
    wished = interview.wishes.target
    if wished is not None:
        column = column_of(wished, "--target", columns, left)
        interview.note("target", column.source, "as given")
    else:
        column = _target_column(columns, interview, file)
    counts = _counts(column)
    forms = answers(counts)
    positive, why = _positive(column, counts, interview)
    if len(forms) < 2:
        raise HomeostatError(f"{column.source}: has one answer, {positive!r} - nothing can be learnt from it")
    labels = truth(column.cells, positive)
    found, found_why = positive_of(counts)
    plain = key_of(found) == key_of(positive) and (key_of(positive) == "1" or found_why == SAYS_YES)
    return Target(column, labels, positive, why, plain)


def _counts(column: Column) -> dict[str, int]:
    return dict(texts(column.cells).drop_nulls().value_counts().iter_rows())


def _target_column(columns: list[Column], interview: Interview, file: str) -> Column:
    two = [c for c in columns if c.type != "time" and personal_data(c) is None and _two_answers(c)]
    if not two:
        raise HomeostatError(
            f"{file}: has no column of two answers to be predicted. Homeostat predicts yes or no: "
            "add a column like late (1 or 0), or name one with --target and its answer that counts as yes "
            "with --positive"
        )
    scores = {c.source: _likeness(c, last=c is columns[-1]) for c in two}
    ranked = sorted(two, key=lambda c: -scores[c.source])
    best = ranked[0]
    lead = scores[best.source] - (scores[ranked[1].source] if len(ranked) > 1 else 0)
    hint = _hint(best)
    why = hint or ("the one column of two answers" if len(two) == 1 else "it has two answers")
    question = Question("Which column is to be predicted?", best.source, why, tuple(c.source for c in ranked))
    sure = lead >= 2 and (hint is not None or len(two) == 1)
    answer = interview.settle("target", question, sure=sure, crucial=True)
    return next(c for c in two if c.source == answer)


def _hint(column: Column) -> str | None:
    if TARGET_WORDS & set(words_of(column.name)):
        return "by its name"
    return "by its answers" if positive_of(_counts(column))[1] == ASKED_FOR else None


def _two_answers(column: Column) -> bool:
    cells = column.cells.drop_nulls().unique().head(_MAX_SHOWN)
    return cells.len() < _MAX_SHOWN and len(answers(dict.fromkeys(texts(cells).drop_nulls().to_list(), 1))) == 2


def _likeness(column: Column, *, last: bool) -> float:
    words = words_of(column.name)
    score = 4.0 * bool(TARGET_WORDS & set(words)) + 1.0 * last - 3.0 * bool(_NOT_ASKED_FOR & set(words))
    score += 3.0 * (positive_of(_counts(column))[1] == ASKED_FOR)
    score += 1.0 * (column.type == "boolean" or set(_counts(column)) <= {"0", "1"}) + 1.0
    return score + 2.0 * (column.name in ("target", "label", "y"))


def _positive(column: Column, counts: dict[str, int], interview: Interview) -> tuple[str, str]:
    forms = answers(counts)
    given = interview.wishes.positive
    if given is not None:
        if key_of(given) not in forms:
            raise HomeostatError(f"--positive {given}: {column.source} has {_listed(forms)}")
        interview.note("positive", forms[key_of(given)], "as given")
        return forms[key_of(given)], "as given"
    if len(forms) > 2:
        raise HomeostatError(f"{column.source}: {_too_many(column, forms)}")
    guess, why = positive_of(counts)
    sure = why not in ("the rarer answer", "the greater number") or key_of(guess) == "1"
    names = tuple(sorted(forms.values()))
    question = Question(f"Which answer of {column.source} is to be predicted (counts as 1)?", guess, why, names)
    return interview.settle("positive", question, sure=sure), why


def _too_many(column: Column, forms: dict[str, str]) -> str:
    if column.type in ("number", "integer") and len(forms) > _MAX_SHOWN:
        return (
            f"is a number ({len(forms):,} values) where Homeostat predicts yes or no - add a column that says whether "
            "it lies above some limit, or name the value that counts as yes with --positive"
        )
    return (
        f"has {len(forms):,} answers ({_listed(forms)}) where Homeostat predicts yes or no - "
        "name the one that counts as yes with --positive, or another column with --target"
    )


def _listed(forms: dict[str, str]) -> str:
    shown = [repr(form[:_LONGEST_KEY]) for form in sorted(forms.values())[:_MAX_SHOWN]]
    return ", ".join(shown) + (", ..." if len(forms) > len(shown) else "")


def event_id(columns: list[Column], left: list[LeftOut], interview: Interview) -> Column | None:
    """Return the column of event ids, None where one has to be made.

    Raises:
        HomeostatError: The column named has no id in every row, or one twice.
    """
    wished = interview.wishes.id
    if wished is not None:
        column = column_of(wished, "--id", columns, left)
        if not _unique(column):
            doubled = column.known - column.distinct
            raise HomeostatError(
                f"--id {column.source}: {column.missing:,} cells are empty and {doubled:,} repeat another - "
                "expected another id in every row; without --id one is made"
            )
        interview.note("id", column.source, "as given")
        return as_text(column, "the event's id")
    for column in columns:
        words = words_of(column.name)
        about_entity = bool(ENTITY_WORDS & set(words))
        named = ID_WORDS & set(words) and not about_entity and column.type in ("string", "integer")
        if named and _unique(column) and personal_data(column) is None:
            interview.note("id", column.source, "by its name, and another one in every row looked at")
            return as_text(column, "the event's id")
    interview.note("id", "made", "no column has another id in every row: replay makes one from the row")
    return None


def _unique(column: Column) -> bool:
    return column.missing == 0 and column.distinct == column.known > 1


def entity(columns: list[Column], left: list[LeftOut], interview: Interview) -> Column | None:
    """Return the column that says what an event is about, as text; None where the event's id has to do.

    Raises:
        HomeostatError: The column named doesn't exist or can't be used.
    """
    wished = interview.wishes.entity
    if wished is not None:
        column = column_of(wished, "--entity", columns, left)
        interview.note("entity", column.source, "as given")
        if column.missing:
            interview.warnings.append(
                f"{column.source}: {column.missing:,} rows have no entity and will be quarantined"
            )
        return as_text(column, "the entity")
    ranked = sorted((c for c in columns if _may_be_entity(c)), key=lambda c: -_entity_score(c))
    if not ranked:
        interview.note("entity", "the event's id", "no column says what an event is about", sure=False)
        return None
    best = ranked[0]
    hint = bool(ENTITY_WORDS & set(words_of(best.name)))
    each = f"{best.known / best.distinct:,.1f}".removesuffix(".0")
    why = f"{'by its name; ' if hint else ''}{best.distinct:,} of them, {each} rows each"
    question = Question("Which column says what an event is about?", best.source, why, tuple(c.source for c in ranked))
    answer = interview.settle("entity", question, sure=hint)
    return as_text(next(c for c in ranked if c.source == answer), "the entity")


def _may_be_entity(column: Column) -> bool:
    if column.missing or column.distinct < 2 or personal_data(column) is not None:
        return False
    named = bool(ENTITY_WORDS & set(words_of(column.name)))
    if column.type == "integer":
        return named
    if column.type != "string":
        return False
    length = column.cells.cast(pl.String).str.len_chars().mean()
    repeats = column.known / column.distinct
    return (named or repeats >= _MIN_REPEATS) and isinstance(length, float) and length <= _LONGEST_KEY


def _entity_score(column: Column) -> float:
    """Return how much a column looks like an entity: by its name, then by how many there are."""
    words = words_of(column.name)
    repeats = column.known / column.distinct
    named = 4.0 * bool(ENTITY_WORDS & set(words)) + 2.0 * (words[-1:] == ["id"])
    return named + math.log10(column.distinct) - 1.0 * (repeats < _MIN_REPEATS)
