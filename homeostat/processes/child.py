"""One process of an instance as its supervisor sees it: started, watched, stopped."""

import os
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

MAX_DEATHS = 5
WITHIN_S = 60.0
LONGEST_DELAY_S = 60.0  # a start takes some seconds of CPU
_FIRST_DELAY_S = 0.25
_MOST_DOUBLINGS = 10  # by then it is the longest; a power of the deaths of a day is no float any more
_WELL_S = 600.0  # who has run for so long is well again: Kubernetes counts so too
_LOG_BYTES = 10_000_000  # a longer log begins anew; one older file is kept
_LOG_LOOK_S = 60.0
_TAIL_LINES = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """How a process is run.

    Args:
        name: What it is called.
        command: What is started.
        log: Where its output goes.
        environment: All of it.
        grace_s: How long it may take to end when asked to.
        without: What serving goes on without while it is down; None for what an instance is nothing without.
    """

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str]
    grace_s: float
    without: str | None = None


class Child:
    """A process that is started again when it dies, a little later each time."""

    def __init__(self, plan: Plan) -> None:
        """Take what to run; nothing is started yet."""
        self.plan = plan
        self.deaths = 0
        self._in_a_row = 0  # deaths since it was well
        self._last_end = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._died_at: deque[float] = deque(maxlen=MAX_DEATHS)
        self._start_at = 0.0
        self._started_at = 0.0
        self._looked_at = 0.0

    @property
    def pid(self) -> int | None:
        """The id of the process, None while there is none."""
        return self._process.pid if self._process else None

    @property
    def keeps_dying(self) -> bool:
        """Whether it has died more than once since it was well."""
        return self._in_a_row > 1

    @property
    def trouble(self) -> str | None:
        """What is the matter with it in words, None while it runs and does not keep dying."""
        if not self.keeps_dying and (self._process is not None or not self.deaths):
            return None
        often = f"{self._last_end}, {self._in_a_row} times in a row" if self.keeps_dying else self._last_end
        wait_s = max(0.0, self._start_at - monotonic())
        now = f"it is started again in {wait_s:.0f} s" if self._process is None else "it runs again"
        return "; ".join([often, now, *([f"serving goes on without {self.plan.without}"] if self.plan.without else ())])

    @property
    def is_hopeless(self) -> bool:
        """Whether it died too often within a minute."""
        return len(self._died_at) == MAX_DEATHS and self._died_at[-1] - self._died_at[0] < WITHIN_S

    def start(self) -> None:
        """Start the process, its standard input a pipe that closes when this process is no more."""
        log = self.plan.log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._bound_log()
        self._started_at = monotonic()
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own modules
                self.plan.command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(self.plan.environment),
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which ends the others in order
            )

    def watch(self) -> str | None:
        """Start the process again when it is time, and return what happened, if anything did."""
        if self._process is None:
            return self._start_again() if monotonic() >= self._start_at else None
        code = self._process.poll()
        if code is None:
            return self._look_after()
        self._forget()
        return self._note_end(said(code))

    def _start_again(self) -> str:
        try:
            self.start()
        except OSError as error:  # no memory, no room: that passes, and the others have what they need
            return self._note_end(f"can't be started ({error})")
        return f"{self.plan.name} is started again (pid {self.pid})"

    def _note_end(self, how: str) -> str:
        """Note that it is not there, and return how that came and when it is tried again."""
        now = monotonic()
        wait_s = min(_FIRST_DELAY_S * 2 ** min(self._in_a_row, _MOST_DOUBLINGS), LONGEST_DELAY_S)
        self._start_at = now + wait_s
        self._died_at.append(now)
        self.deaths += 1
        self._in_a_row += 1
        self._last_end = how
        return f"{self.plan.name} {how} and is started again in {wait_s:g} s; its log: {self.plan.log}"

    def ask_to_end(self) -> None:
        """Send SIGTERM."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def has_ended(self) -> bool:
        """Return whether there is no process any more."""
        if self._process is not None and self._process.poll() is not None:
            self._forget()
        return self._process is None

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._forget()

    def log_tail(self) -> str:
        """Return the last lines of its log."""
        try:
            text = self.plan.log.read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-_TAIL_LINES:])

    def _look_after(self) -> str | None:
        """Keep the log of a process that runs short, and return that it is well again, when it has just become so."""
        now = monotonic()
        if now - self._looked_at >= _LOG_LOOK_S:
            self._bound_log()
        if now - self._started_at < _WELL_S:
            return None
        kept_dying, self._in_a_row = self.keeps_dying, 0
        return f"{self.plan.name} has run for {_WELL_S / 60:.0f} minutes: it is well again" if kept_dying else None

    def _bound_log(self) -> None:
        """Put a long log aside. The process goes on in the same file: it writes at its end, wherever that is now."""
        self._looked_at = monotonic()
        log = self.plan.log
        with suppress(OSError):  # a disk without room for both: it is tried again at the next look
            if log.exists() and log.stat().st_size > _LOG_BYTES:
                shutil.copyfile(log, log.with_suffix(".log.1"))
                os.truncate(log, 0)

    def _forget(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None


def said(code: int) -> str:
    """Return an exit code in words.

    >>> said(1), said(-9)
    ('ended with exit code 1', 'was killed by SIGKILL')
    """
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
