"""Spans of time in texts: as a contract writes them, and as people say them."""

from datetime import timedelta
from typing import Final

_S: Final = timedelta(seconds=1)
_LONG: Final = ((timedelta(days=1), "days"), (timedelta(hours=1), "hours"), (timedelta(minutes=1), "minutes"))


def written(span: timedelta) -> str:
    """Return a span as a contract has it, in whole seconds or a larger unit.

    >>> written(timedelta(hours=36)), written(timedelta(days=7))
    ('36h', '7d')
    """
    seconds = max(1, round(span / _S))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def spoken(span: timedelta) -> str:
    """Return a span in words with two digits.

    >>> spoken(timedelta(hours=31))
    '31 hours'
    """
    for size, unit in _LONG:
        if span >= 2 * size:
            return (
                f"{span / size:,.0f} {unit}" if span >= 10 * size else f"{span / size:.1f} {unit}".replace(".0 ", " ")
            )
    return f"{span / _S:.0f} seconds"
