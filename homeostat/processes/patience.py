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
        self.missing = "starting: folding the log's tail into memory"
        """What it waits for, in words."""

    def until_done(self, act: Callable[[], Done]) -> Done:
        """Return what ``act`` returns once it goes through; the log says once that this takes time, and why.

        Args:
            act: Leaves nothing behind where it raises a TransientError: it is then called again.
        """
        starting, pause, waits = self.missing, Event(), False  # the event is never set
        while True:
            try:
                done = act()
            except TransientError as error:
                if not waits:
                    _log.warning("waiting until this passes: %s", error)
                self.missing, waits = f"waiting until this passes: {error}", True
                pause.wait(error.retry_after_s)
            else:
                if waits:
                    _log.info("it has passed: going on")
                self.missing = starting
                return done
