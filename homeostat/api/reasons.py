"""Finds the fields that a parser's reason names, whatever the values it quotes look like."""

import re
from json import JSONDecodeError, JSONDecoder

from homeostat.api.problems import Fault

_FIELD = re.compile(r"field '([a-z][a-z0-9_]*)' ")
_MISSING = "is missing, expected "
_IS = "is "
_EXPECTED = ", expected "
_NEXT = "; "
_LONGEST = 60  # characters of a value that ``homeostat.features.parsing`` shows; a longer one is cut to these
_DECODER = JSONDecoder()


def faults_of(pointer: str, reason: str) -> list[Fault]:
    r"""Return each field that a reason names below a row, with its part of the reason.

    >>> faults_of("/events/3", "field 'load' is \"x\", expected a number; field 'wind' is missing, expected a number")
    [('/events/3/load', 'is "x", expected a number'), ('/events/3/wind', 'is missing, expected a number')]
    >>> faults_of("/events/0", "not readable as JSON: trailing characters")
    [('/events/0', 'not readable as JSON: trailing characters')]
    """
    faults: list[Fault] = []
    at = 0
    while field := _FIELD.match(reason, at):
        end = _end(reason, field.end())
        faults.append((f"{pointer}/{field[1]}", reason[field.end() : end]))
        at = end + len(_NEXT)
    if at < len(reason):
        faults.append((pointer, reason[at:]))
    return faults


def _end(reason: str, at: int) -> int:
    """Return where the part of a reason ends that began with a field's name; what is expected holds no value."""
    if not reason.startswith(_MISSING, at) and reason.startswith(_IS, at):
        at = _after_value(reason, at + len(_IS))
    end = reason.find(_NEXT, at)
    return len(reason) if end < 0 else end


def _after_value(reason: str, at: int) -> int:
    try:
        _, end = _DECODER.raw_decode(reason, at)
    except JSONDecodeError:
        return at + _LONGEST
    return end if end <= at + _LONGEST and reason.startswith(_EXPECTED, end) else at + _LONGEST
