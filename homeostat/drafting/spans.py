"""Spans of time as a contract writes them, rounded to what people use."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

S, M, H, D = (timedelta(seconds=n) for n in (1, 60, 3600, 86400))
LONGEST: Final = 1000 * D
_NICE: Final[Sequence[timedelta]] = (
    *(n * S for n in (1, 2, 5, 10, 15, 30)),
    *(n * M for n in (1, 2, 5, 10, 15, 30)),
    *(n * H for n in (1, 2, 3, 4, 6, 8, 12, 18)),
    *(n * D for n in (1, 2, 3, 4, 5, 7, 10, 14, 21, 28, 42, 56, 84, 112, 182, 364, 728)),
    LONGEST,
)


def at_least(span: timedelta) -> timedelta:
    """Return the next usual span that is not shorter; 1,000 days at most.

    >>> str(at_least(timedelta(hours=13)))
    '18:00:00'
    """
    return next((nice for nice in _NICE if nice >= span), LONGEST)


def at_most(span: timedelta) -> timedelta:
    """Return the next usual span that is not longer; a second at least."""
    return next((nice for nice in reversed(_NICE) if nice <= span), S)
