"""How a process begins while a server is away: it waits as a running one does, and says what for."""

import logging
from collections.abc import Callable
from threading import Event
from typing import TypeVar

from homeostat.errors import TransientError

Done = TypeVar("Done")

_log = logging.getLogger("homeostat.patience")


class Patience:
    """Tries what may pass until it is done; whatever else fails is the caller's, at once.

    >>> Patience().until_done(lambda: "open")
    'open'
    """

    def __init__(self) -> None:
        self.trouble: str | None = None
        """What it waits for, None while all goes through."""

    @property
    def missing(self) -> str:
        """What a process that starts waits for, in words."""
        return self.trouble or "starting: folding the log's tail into memory"

    def until_done(self, act: Callable[[], Done]) -> Done:
        """Return what ``act`` returns once it goes through; the log says once that this takes time, and why.

        Args:
            act: Leaves nothing behind where it raises a TransientError: it is then called again.
        """
        pause = Event()  # never set
        while True:
            try:
                done = act()
            except TransientError as error:
                if self.trouble is None:
                    _log.warning("waiting until this passes: %s", error)
                self.trouble = f"waiting until this passes: {error}"
                pause.wait(error.retry_after_s)
            else:
                if self.trouble is not None:
                    _log.info("it has passed: going on")
                self.trouble = None
                return done
