"""One line of the doctor's."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was found, and what to do about it."""

    check: str
    level: Level
    what: str
    todo: str = ""


def ok(check: str, what: str) -> Finding:
    """Return that all is well."""
    return Finding(check, Level.OK, what)


def warning(check: str, what: str, todo: str) -> Finding:
    """Return what works still, but should be looked at."""
    return Finding(check, Level.WARNING, what, todo)


def problem(check: str, what: str, todo: str) -> Finding:
    """Return what does not work, or soon won't."""
    return Finding(check, Level.PROBLEM, what, todo)
