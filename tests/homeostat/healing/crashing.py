"""Ports whose server goes away, and whose caller dies, at a call that a test chooses."""

from collections import deque
from collections.abc import Callable
from typing import Any

from homeostat.errors import TransientError

ANSWERED, UNHEARD, AWAY = "answered", "carried out, and the answer lost", "away"


class CrashError(Exception):
    """The process died."""


def crash() -> None:
    """Let the process die."""
    raise CrashError


class Crashing:
    """A port that lets something happen right after one of all ports' calls; its server may be away for some."""

    def __init__(
        self,
        port: object,
        calls: list[int],
        last: int | None,
        fates: deque[str] | None = None,
        happen: Callable[[], None] = crash,
    ) -> None:
        self._port, self._calls, self._last, self._fates, self._happen = port, calls, last, fates, happen

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            fate = self._fates.popleft() if self._fates else ANSWERED
            if fate == AWAY:
                raise TransientError("the server is away")
            result = method(*args, **kwargs)
            self._calls[0] += 1
            if self._calls[0] == self._last:
                self._happen()
            if fate == UNHEARD:
                raise TransientError("the server was lost before it had answered")
            return result

        return call
