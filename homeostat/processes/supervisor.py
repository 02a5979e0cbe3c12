"""Starts and watches the processes of an instance, and ends them in order."""

import signal
from collections.abc import Callable, Sequence
from threading import Event
from time import monotonic

from homeostat.processes.child import MAX_DEATHS, WITHIN_S, Child
from homeostat.processes.signals import on_signals

DONE, FAILED = 0, 1
_LOOK_S = 0.1
_DEATHS_BEFORE_READY = 2  # nothing serves yet: whoever waits should hear of it soon


class Interrupts:
    """Counts Ctrl-C and SIGTERM: the first asks for an orderly end, the second for one at once."""

    def __init__(self) -> None:
        self.count = 0
        self._event = Event()

    def install(self) -> None:
        """Take the signals of this process from now on."""
        on_signals(self.interrupt, signal.SIGINT, signal.SIGTERM)

    def wait(self, seconds: float) -> None:
        """Wait, or until the next signal."""
        self._event.wait(seconds)
        self._event.clear()

    def interrupt(self) -> None:
        """Count one more; called by any thread."""
        self.count += 1
        self._event.set()


class Supervisor:
    """Runs children until it is interrupted or one of them is hopeless."""

    def __init__(self, children: Sequence[Child], interrupts: Interrupts, say: Callable[[str], object]) -> None:
        """Take the children in the order in which they shall end."""
        self._children = children
        self._interrupts = interrupts
        self._say = say

    def run(self, is_ready: Callable[[], bool], on_ready: Callable[[], object]) -> int:
        """Start all, watch them until the end, and return the exit code.

        Args:
            is_ready: Asked until it says yes.
            on_ready: Called once, then.
        """
        for child in self._children:
            child.start()
        ready = False
        while not self._interrupts.count:
            for child in self._children:
                if happened := child.watch():
                    self._say(happened)
            if hopeless := next((c for c in self._children if self._is_hopeless(c, ready=ready)), None):
                return self._give_up(hopeless, ready=ready)
            if not ready and is_ready():
                ready = True
                on_ready()
            self._interrupts.wait(_LOOK_S)
        self._say("stopping: finishing what is in hand (Ctrl-C again ends it at once)")
        self.stop()
        self._say("stopped")
        return DONE

    def stop(self) -> None:
        """End all children, one after the other, each as it may take its time."""
        for child in self._children:
            child.ask_to_end()
            deadline = monotonic() + child.plan.grace_s
            while not child.has_ended():
                if self._interrupts.count > 1 or monotonic() > deadline:
                    child.kill()
                self._interrupts.wait(_LOOK_S / 2)

    def _is_hopeless(self, child: Child, *, ready: bool) -> bool:
        return child.is_hopeless or (not ready and child.deaths >= _DEATHS_BEFORE_READY)

    def _give_up(self, child: Child, *, ready: bool) -> int:
        often = f"{MAX_DEATHS} times within {WITHIN_S:.0f} s" if ready else f"{child.deaths} times before it was ready"
        self._say(f"{child.plan.name} died {often}. The end of {child.plan.log}:\n{child.log_tail()}")
        self.stop()
        return FAILED
