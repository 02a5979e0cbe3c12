"""How a process of an instance begins and ends: with its supervisor, or when it is told to."""

import gc
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from homeostat.processes.instance import exclusive, run_folder
from homeostat.processes.signals import on_signals

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_ALIVE = "alive.lock"
_COLLECT_AFTER = (20_000, 10, 10)  # new objects; with Python's 700 a third of a large batch's time is the collector's
ORPHANED_WAIT_S = 60.0  # a server that drains, and a busy machine


class Life:
    """One process's end: at once while it has nothing in hand, else when ``over`` is next looked at."""

    def __init__(self) -> None:
        self.over = Event()
        self._end: Callable[[], object] | None = None

    def work(self, end: Callable[[], object] | None = None) -> None:
        """Ask for a word before the end from now on; ``end`` is called with it, in whatever thread notices."""
        self._end = end or self.over.set

    def rest(self) -> None:
        """Have nothing in hand any more; an end that was asked for just before shows in ``over``."""
        self._end = None

    def finish(self) -> None:
        """End, or begin to."""
        self.over.set()  # first: whoever rests meanwhile looks at it behind that
        if (end := self._end) is None:
            os._exit(0)  # importing, opening or training: all of it may be killed at any moment
        end()


@contextmanager
def life(home: Path | None = None) -> Iterator[Life]:
    """Give the life of this process, which ends on SIGTERM or, where it has one, when the supervisor is gone.

    A supervisor that was killed can't tell anybody. But the pipe that is this process's standard input closes
    with it. Meanwhile a shared lock says that somebody still works on the instance, so that the next
    supervisor waits until all of the last one's processes have ended.

    Args:
        home: Of the instance whose supervisor started this process; None where it has none.
    """
    logging.basicConfig(level=logging.INFO, format=_FORMAT, stream=sys.stderr)
    for chatty in ("alembic", "feast", "kafka"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", category=DeprecationWarning)  # of libraries among themselves
    gc.set_threshold(*_COLLECT_AFTER)
    mine = Life()

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        mine.finish()

    if home is None:
        on_signals(mine.finish, signal.SIGTERM, signal.SIGINT)
        yield mine
        return
    on_signals(mine.finish, signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's to answer, in its order
    with exclusive(run_folder(home) / _ALIVE, ORPHANED_WAIT_S, shared=True):
        Thread(target=watch, name="supervisor-watch", daemon=True).start()
        yield mine


@contextmanager
def after_orphans(home: Path, wait_s: float = ORPHANED_WAIT_S) -> Iterator[bool]:
    """Give whether the processes of an earlier, killed supervisor have ended, after waiting for them."""
    with exclusive(run_folder(home) / _ALIVE, wait_s) as alone:
        yield alone
