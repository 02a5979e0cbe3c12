"""What was refused and why: reasons that differ in their values alone count as one."""

import re
from dataclasses import dataclass
from typing import Final

_VALUE: Final = re.compile(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"|[-+]?[0-9](?:[-0-9:.,+TZ]*[0-9Z])?(?:e[-+]?[0-9]+)?")
_FIELD: Final = re.compile(r"field '[^']*'")
_MOST_KINDS: Final = 200


@dataclass(slots=True)
class Refusal:
    """One kind of reason: how many rows it concerns, and the first of them in words."""

    rows: int
    first: str


class Refusals:
    """Reasons by kind, the first kinds in the order in which they came."""

    def __init__(self) -> None:
        self.rows = 0
        self._kinds: dict[str, Refusal] = {}

    def add(self, reason: str, where: str = "") -> None:
        """Count a refused row.

        Args:
            reason: Why.
            where: What it is or where it stands, put before the reason where this is the first of its kind.
        """
        self.rows += 1
        kind = kind_of(reason)
        if kind in self._kinds:
            self._kinds[kind].rows += 1
        elif len(self._kinds) < _MOST_KINDS:
            self._kinds[kind] = Refusal(1, f"{where}: {reason}" if where else reason)

    @property
    def kinds(self) -> list[Refusal]:
        """The kinds, the most frequent first."""
        return sorted(self._kinds.values(), key=lambda kind: -kind.rows)


def kind_of(reason: str) -> str:
    r"""Return a reason without its values.

    >>> kind_of("field 'load' is \"x\", expected a number") == kind_of("field 'load' is 7.5, expected a number")
    True
    >>> kind_of("field 'load' is missing") == kind_of("field 'wind' is missing")
    False
    """
    fields = " ".join(_FIELD.findall(reason))
    return f"{fields}|{_VALUE.sub('#', reason)}"
