"""The keeper: joins, archives, watches, decides, judges and promotes for all products of an instance.

``python -m homeostat.processes.keeper HOME``
"""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from homeostat.bootstrap import build_workers, instance_clock, process_telemetry
from homeostat.errors import TransientError
from homeostat.ports import Clock
from homeostat.processes.crash import crash_hook
from homeostat.processes.instance import CLOCK, Heartbeat, Instance
from homeostat.processes.life import Life, life
from homeostat.processes.patience import WaitGauge
from homeostat.processes.rounds import KEPT, Rounds
from homeostat.processes.stores import open_products
from homeostat.settings import Settings

PASS_S = 0.2
_STREAM_PASS_S = 0.02  # a replay waits for every pass
_BEAT_S = 0.5  # between heartbeats that say nothing new
_MOST_BACK_OFF_S = 30.0
_MOST_DOUBLINGS = 10  # by then it is the longest; after a night's failures their power of 2 is no float any more

_log = logging.getLogger("homeostat.keeper")


class BackOff:
    """Leaves a product alone for a while after something that may heal by itself."""

    def __init__(
        self,
        rounds: Rounds,
        show: Callable[[bool], object] = lambda _: None,
        look: Callable[[], object] = lambda: None,
    ) -> None:
        """Take the rounds, who shows whether they wait, and what is called before each pass, also while they do."""
        self.rounds = rounds
        self._show = show
        self._look = look
        self.trouble: str | None = None
        self._failures = 0
        self._until = 0.0

    def run(self, now: datetime) -> bool:
        """Run a round and return whether nothing is left to do at ``now``."""
        self._look()
        if monotonic() < self._until:
            return False
        try:
            moved = self.rounds.run(now)
        except TransientError as error:
            wait_s = min(error.retry_after_s * 2 ** min(self._failures, _MOST_DOUBLINGS), _MOST_BACK_OFF_S)
            _log.warning("%s: trying again in %.0f s: %s", self.rounds.product, wait_s, error)
            self.trouble = str(error)
            self._show(True)  # noqa: FBT003 - whether it waits
            self._failures += 1
            self._until = monotonic() + wait_s
            return False
        self._failures = 0
        self.trouble = None
        self._show(False)  # noqa: FBT003
        return not moved


def keep(products: Sequence[BackOff], clock: Clock, heartbeat: Heartbeat, mine: Life, *, promptly: bool) -> None:
    """Run rounds until the process shall end; what a round has begun is finished first."""
    passed: datetime | None = None
    beaten_at = -_BEAT_S
    while not mine.over.is_set():
        now = clock.now()
        quiet = not sum(not product.run(now) for product in products)  # all of them, whatever the first one says
        news = promptly and quiet and passed != now
        if quiet:
            passed = now
        if news or monotonic() - beaten_at >= _BEAT_S:
            waits = {product.rounds.product: product.trouble for product in products if product.trouble}
            heartbeat.beat(datetime.now(UTC), passed, waits=waits)
            beaten_at = monotonic()
        if quiet or not promptly:
            mine.over.wait(_STREAM_PASS_S if promptly else PASS_S)


def main(home: Path) -> None:
    """Run the keeper of an instance until it shall end."""
    with life(home) as mine:
        instance = Instance.load(home)
        stream = instance.clock == "stream"
        clock = instance_clock(home / CLOCK if stream else None)
        telemetry = process_telemetry()
        products = open_products(home, instance, telemetry).values()
        hook = crash_hook(Settings().crash_at)
        workers = [build_workers(one.contract, one.stack, instance.seed, KEPT, hook) for one in products]
        rounds = [
            Rounds(one, telemetry, its_own, promptly=stream) for one, its_own in zip(products, workers, strict=True)
        ]
        now = clock.now()
        for one in rounds:
            one.restore(now)
        mine.work()
        _log.info("keeping %s", ", ".join(instance.products))
        heartbeat = Heartbeat(home, "keeper", os.getpid())
        keep(
            [BackOff(one, WaitGauge(telemetry, one.product, "keeper")) for one in rounds],
            clock,
            heartbeat,
            mine,
            promptly=stream,
        )
    _log.info("ended")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
