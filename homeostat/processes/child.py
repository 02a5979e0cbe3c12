"""One process of an instance as its supervisor sees it: started, watched, stopped."""

import os
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

MAX_DEATHS = 5
WITHIN_S = 60.0
_FIRST_DELAY_S = 0.25
_LONGEST_DELAY_S = 10.0
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
    """

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str]
    grace_s: float


class Child:
    """A process that is started again when it dies, a little later each time."""

    def __init__(self, plan: Plan) -> None:
        """Take what to run; nothing is started yet."""
        self.plan = plan
        self.deaths = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._died_at: deque[float] = deque(maxlen=MAX_DEATHS)
        self._start_at = 0.0
        self._looked_at = 0.0

    @property
    def pid(self) -> int | None:
        """The id of the process, None while there is none."""
        return self._process.pid if self._process else None

    @property
    def is_hopeless(self) -> bool:
        """Whether it died too often within a minute."""
        return len(self._died_at) == MAX_DEATHS and self._died_at[-1] - self._died_at[0] < WITHIN_S

    def start(self) -> None:
        """Start the process, its standard input a pipe that closes when this process is no more."""
        log = self.plan.log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._bound_log()
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
            if monotonic() >= self._start_at:
                self.start()
                return f"{self.plan.name} is started again (pid {self.pid})"
            return None
        code = self._process.poll()
        if code is None:
            if monotonic() - self._looked_at >= _LOG_LOOK_S:
                self._bound_log()
            return None
        self._forget()
        now = monotonic()
        self.deaths += 1
        self._died_at.append(now)
        recent = sum(now - at < WITHIN_S for at in self._died_at)
        self._start_at = now + min(_FIRST_DELAY_S * 2 ** (recent - 1), _LONGEST_DELAY_S)
        return f"{self.plan.name} {said(code)}; its log: {self.plan.log}"

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

    def _bound_log(self) -> None:
        """Put a long log aside. The process goes on in the same file: it writes at its end, wherever that is now."""
        self._looked_at = monotonic()
        log = self.plan.log
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
