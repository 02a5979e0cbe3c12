"""What an error text says about a name that isn't known: the nearest one that is."""

from collections.abc import Iterable
from difflib import get_close_matches

MAX_LISTED = 25  # names in one line of an error text


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """Return the valid name most like ``name``, or None where nothing is like it.

    >>> nearest("flase_discovery_rate", ["false_discovery_rate", "min_rows"])
    'false_discovery_rate'
    """
    names = {valid_name.casefold(): valid_name for valid_name in sorted(valid)}
    matches = get_close_matches(name.casefold(), names, n=1)
    return names[matches[0]] if matches else None


def suggestion(name: str, valid: Iterable[str]) -> str:
    """Return ``did you mean '...'?``, or what was expected where nothing is near.

    >>> suggestion("origen", ["origin", "dest"])
    "did you mean 'origin'?"
    >>> suggestion("x", ["origin", "dest"])
    'expected one of dest, origin'
    """
    names = sorted(set(valid))
    if (near := nearest(name, names)) is not None:
        return f"did you mean '{near}'?"
    listed = ", ".join(names[:MAX_LISTED]) + (", ..." if len(names) > MAX_LISTED else "")
    return f"expected one of {listed}" if names else "there are none"
