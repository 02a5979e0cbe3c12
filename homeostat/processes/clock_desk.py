"""The clock of an instance as its API shows and sets it."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from homeostat.bootstrap import instance_clock
from homeostat.errors import HomeostatError, TransientError
from homeostat.flow import FLOW, topic_name
from homeostat.inspection.instance import moment, read_json
from homeostat.ports import EventLog
from homeostat.processes.instance import CLOCK, ClockMode, run_folder
from homeostat.serving import Front

_LOOKS = ("detect",)
"""Steps that read only when they look; the keeper says itself whether a look is due."""


class ClockDesk:
    """Shows the time, sets it for a replay, and knows whether all there is to do by now is done."""

    def __init__(self, home: Path, mode: ClockMode, fronts: Sequence[Front], logs: Sequence[EventLog]) -> None:
        """Take the instance's folder and clock, and its products' fronts and logs in the same order."""
        self.mode = mode
        self._clock = instance_clock(home / CLOCK if mode == "stream" else None)
        self._keeper = run_folder(home) / "keeper.json"
        self._fronts = tuple(zip(fronts, logs, strict=True))
        self.now = self._clock.now

    def advance_to(self, time: datetime) -> None:
        """Set the time, and let the fronts see it at once.

        Raises:
            HomeostatError: The instance follows the machine's clock, or the time is in the past.
        """
        set_clock = getattr(self._clock, "advance_to", None)
        if set_clock is None:
            raise HomeostatError("this instance follows the machine's clock: start one with `up --clock stream`")
        try:
            set_clock(time)
        except ValueError as error:
            raise HomeostatError(str(error)) from error
        for front, _ in self._fronts:
            front.wake()

    def settled(self) -> bool:
        """Return whether server, keeper and trainer have nothing left to do now.

        By the machine's clock there is always something soon; there it says that no step has unread input.
        """
        now = self.now()
        try:
            done = all(
                front.waiting_rows == 0 and not has_unread(log, front.contract.product) for front, log in self._fronts
            )
        except TransientError:
            return False
        return done and (self.mode == "system" or self._have_passed(now))

    def _have_passed(self, now: datetime) -> bool:
        passed = [*(front.passed for front, _ in self._fronts), moment(read_json(self._keeper).get("passed"))]
        return all(time is not None and time >= now for time in passed)


def has_unread(log: EventLog, product: str) -> bool:
    """Return whether some step, of those that read at once, has not read all of its input."""
    names = [(row.step, topic_name(product, t)) for row in FLOW if row.step not in _LOOKS for t in row.consumes]
    return any(log.end(name) != log.committed(step, name) for step, name in names)
