"""What is guessed, asked or given: every choice of a draft with its reason."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from homeostat.contract.names import slug, suggestion
from homeostat.drafting.columns import Column, LeftOut
from homeostat.errors import HomeostatError

NONE: Final = "none"
"""The answer that there is no such column."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked where a guess is unsure.

    Args:
        text: The question.
        guess: What is taken for an empty answer; None where nothing can be guessed.
        why: The reason of the guess.
        choices: What may be answered; empty where ``check`` decides.
        check: Says what is wrong with an answer, None where it is fine.
    """

    text: str
    guess: str | None
    why: str
    choices: tuple[str, ...] = ()
    check: Callable[[str], str | None] | None = None

    def problem(self, answer: str) -> str | None:
        """Return what is wrong with an answer, None where it will do."""
        if self.choices and answer not in self.choices:
            return f"{answer!r} - {suggestion(answer, self.choices)}"
        return self.check(answer) if self.check else None


Ask = Callable[[Question], str]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the caller knows already; None for what is to be found out. Columns go by either of their names."""

    target: str | None = None
    time: str | None = None
    entity: str | None = None
    id: str | None = None
    label_time: str | None = None
    label_delay: str | None = None
    maturity: str | None = None
    product: str | None = None
    positive: str | None = None
    day_first: bool | None = None


@dataclass(frozen=True, slots=True)
class Guess:
    """One choice of the draft.

    Args:
        role: What was chosen, like ``target``.
        value: What it came to.
        why: The reason.
        sure: False where a person should look at it.
    """

    role: str
    value: str
    why: str
    sure: bool = True


@dataclass(slots=True)
class Interview:
    """Settles choices by what is given, else asks, else guesses, and keeps the record.

    Args:
        wishes: What is given.
        ask: Asks a person; None where nobody is there.
        accept: Whether to take an unsure guess where a wrong one would spoil everything.
    """

    wishes: Wishes
    ask: Ask | None = None
    accept: bool = False
    guesses: list[Guess] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def note(self, role: str, value: str, why: str, *, sure: bool = True) -> None:
        """Put a choice on record."""
        self.guesses.append(Guess(role, value, why, sure))

    def settle(self, role: str, question: Question, *, sure: bool, crucial: bool = False) -> str:
        """Return the guess where it is sure, else the answer of a person, else the guess all the same.

        Raises:
            HomeostatError: There is no guess, or it is crucial and unsure, and nobody to ask.
        """
        if not sure and self.ask is not None:
            answer = self.ask(question)
            self.note(role, answer, question.why if answer == question.guess else "as answered")
            return answer
        if question.guess is None or (crucial and not sure and not self.accept):
            flag = role.replace("_", "-")
            listed = ", ".join(question.choices[:12]) + (", ..." if len(question.choices) > 12 else "")
            likely = f" ({question.guess} is likely: {question.why}; --yes takes it)" if question.guess else ""
            raise HomeostatError(f"{question.text} Name it with --{flag}{likely}. Candidates: {listed or 'none'}")
        self.note(role, question.guess, question.why, sure=sure)
        return question.guess


def column_of(name: str, flag: str, columns: Sequence[Column], left: Sequence[LeftOut]) -> Column:
    """Return the column a flag names, by its name in the file or in the contract.

    Raises:
        HomeostatError: There is none, or it can't be used.
    """
    wanted = slug(name)
    by_source = [column for column in columns if column.source == name]
    for column in by_source or [column for column in columns if column.name == wanted]:
        return column
    for out in left:
        if name == out.source or wanted == slug(out.source):
            raise HomeostatError(f"{flag} {name}: the column {out.why}")
    raise HomeostatError(f"{flag} {name}: no such column - {suggestion(name, [column.source for column in columns])}")
