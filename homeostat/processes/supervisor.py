"""Starts and watches the processes of an instance, and ends them in order."""

import signal
from collections.abc import Callable, Mapping, Sequence
from threading import Event
from time import monotonic

from homeostat.processes.child import LONGEST_DELAY_S, MAX_DEATHS, WITHIN_S, Child
from homeostat.processes.signals import on_signals

DONE, FAILED = 0, 1
_LOOK_S = 0.1
_SHOW_S = 0.5
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


Show = Callable[[Mapping[str, str | None]], object]


class Supervisor:
    """Runs children until it is interrupted, or one that all depends on is hopeless.

    Any other one is started again for ever, after pauses that grow: a keeper that trips over what it reads must not
    take the champion down with it.
    """

    def __init__(
        self,
        children: Sequence[Child],
        interrupts: Interrupts,
        say: Callable[[str], object],
        show: Show = lambda _: None,
    ) -> None:
        """Take the children in the order in which they shall end.

        Args:
            children: Of which those without a ``Plan.without`` are what all depends on.
            interrupts: When to end.
            say: Takes what happens, in words.
            show: Given now and then what is the matter with each child, None where nothing is.
        """
        self._children = children
        self._interrupts = interrupts
        self._say = say
        self._show = show
        self._shown_at = -_SHOW_S

    def run(self, is_ready: Callable[[], bool], on_ready: Callable[[], object]) -> int:
        """Start all, watch them until the end, and return the exit code.

        Args:
            is_ready: Asked until it says yes.
            on_ready: Called once, then.
        """
        self._show_troubles()  # first: those of an earlier run may still be shown
        for child in self._children:
            child.start()
        ready = False
        while not self._interrupts.count:
            for child in self._children:
                self._watch(child)
            self._show_troubles()
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

    def _watch(self, child: Child) -> None:
        kept_dying = child.keeps_dying
        if happened := child.watch():
            self._say(happened)
        if child.keeps_dying and not kept_dying and (lost := child.plan.without):
            pauses = f"It is started again, after pauses that grow to {LONGEST_DELAY_S:.0f} s."
            tail = f"The end of {child.plan.log}:\n{child.log_tail()}"
            self._say(f"{child.plan.name} keeps dying: serving goes on without {lost}. {pauses} {tail}")

    def _show_troubles(self) -> None:
        if monotonic() - self._shown_at >= _SHOW_S:
            self._shown_at = monotonic()
            self._show({child.plan.name: child.trouble for child in self._children})

    def _is_hopeless(self, child: Child, *, ready: bool) -> bool:
        if child.plan.without is not None:
            return False
        return child.is_hopeless or (not ready and child.deaths >= _DEATHS_BEFORE_READY)

    def _give_up(self, child: Child, *, ready: bool) -> int:
        often = f"{MAX_DEATHS} times within {WITHIN_S:.0f} s" if ready else f"{child.deaths} times before it was ready"
        self._say(f"{child.plan.name} died {often}. The end of {child.plan.log}:\n{child.log_tail()}")
        self.stop()
        return FAILED
