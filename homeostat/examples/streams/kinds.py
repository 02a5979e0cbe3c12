"""What may happen to a stream, and when."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What happens to a stream after its history."""

    ABRUPT = "abrupt"  # from one moment to the next
    GRADUAL = "gradual"  # over four weeks
    RECURRING = "recurring"  # A-B-A-B, three weeks each
    LABEL_SHIFT = "label_shift"  # more are late, but late ones look as they always did
    CALM = "calm"  # nothing


@dataclass(frozen=True, slots=True)
class Course:
    """When a kind changes, in days from the start."""

    days: int
    turns: tuple[float, ...] = ()  # from A to B, back to A, and so on
    ramp: float = 0.0  # days that a turn takes
    shift: float | None = None  # begin of the label shift


COURSES: Mapping[Kind, Course] = {
    Kind.ABRUPT: Course(105, (56.0,)),
    Kind.GRADUAL: Course(105, (49.0,), ramp=28.0),
    Kind.RECURRING: Course(112, (49.0, 70.0, 91.0)),
    Kind.LABEL_SHIFT: Course(105, shift=56.0),
    Kind.CALM: Course(105),
}
