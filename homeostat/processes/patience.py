"""How a process begins while a server is away: it waits as a running one does, and says what for."""

import logging
from collections.abc import Callable, Iterable, Mapping
from threading import Event
from typing import TypeVar

from homeostat.errors import TransientError
from homeostat.metric_names import WAITING
from homeostat.ports import Telemetry

Done = TypeVar("Done")

_log = logging.getLogger("homeostat.patience")


class WaitGauge:
    """Shows on the metrics page whether a process waits for a server or a disk, where alerts see it."""

    def __init__(self, telemetry: Telemetry, product: str, process: str) -> None:
        """Take whose waiting it is; until it is told otherwise it waits for nothing."""
        self._telemetry = telemetry
        self._labels = {"product": product, "process": process}
        self(False)  # noqa: FBT003

    def __call__(self, waits: bool) -> None:  # noqa: FBT001 - all that there is to say
        """Say whether it waits now."""
        self._telemetry.gauge(WAITING, float(waits), **self._labels)


class Waits:
    """What each product of a process waits for: whether it does on the metrics page, and what for in words."""

    def __init__(self, telemetry: Telemetry, products: Iterable[str], process: str) -> None:
        """Take whose waiting it is; until it is told otherwise nobody waits."""
        self.troubles: Mapping[str, str] = {}
        """By product, in words; another mapping each time, so any thread may read it."""
        self._gauges = {product: WaitGauge(telemetry, product, process) for product in products}

    def __call__(self, product: str, trouble: str | None) -> None:
        """Say what a product waits for, None for nothing."""
        self._gauges[product](trouble is not None)
        others = {name: why for name, why in self.troubles.items() if name != product}
        self.troubles = others if trouble is None else {**others, product: trouble}


class Patience:
    """Tries what may pass until it is done; whatever else fails is the caller's, at once.

    >>> Patience().until_done(lambda: "open")
    'open'
    """

    def __init__(self, show: Callable[[bool], object] = lambda _: None) -> None:
        """Take who shows whether it waits."""
        self.show = show
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
                    self.show(True)  # noqa: FBT003 - whether it waits
                self.trouble = f"waiting until this passes: {error}"
                pause.wait(error.retry_after_s)
            else:
                if self.trouble is not None:
                    _log.info("it has passed: going on")
                    self.show(False)  # noqa: FBT003
                self.trouble = None
                return done
