"""Signals, heard by a thread that may wait for locks."""

import os
import signal
from collections.abc import Callable
from threading import Thread


def on_signals(act: Callable[[], object], *signals: signal.Signals) -> None:
    """Call ``act`` for each of these signals that comes, in a thread of its own.

    A handler runs in the main thread, between any two of its steps. Where those hold the lock of an event that the
    handler is to set, it waits for itself for ever: so the handler does nothing but write to a pipe.
    """
    hears, tells = os.pipe()

    def listen() -> None:
        while os.read(hears, 1):
            act()

    Thread(target=listen, name="signals", daemon=True).start()
    for each in signals:
        signal.signal(each, lambda _signal, _frame: os.write(tells, b"."))
