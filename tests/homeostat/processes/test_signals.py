"""A signal that comes while the main thread holds the lock of the event it is to set."""

import subprocess
import sys

import pytest

CHILD = """
import signal
from homeostat.processes.life import life

with life() as mine:
    mine.work()
    with mine.over._cond:  # as each wait holds it for a moment
        signal.raise_signal(signal.{name})
    print("over" if mine.over.wait(30) else "deaf")
"""
SUPERVISOR = """
import signal
from homeostat.processes.supervisor import Interrupts

interrupts = Interrupts()
interrupts.install()
with interrupts._event._cond:
    signal.raise_signal(signal.{name})
interrupts.wait(30)
print("over" if interrupts.count == 1 else "deaf")
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("code", [CHILD, SUPERVISOR])
def test_a_signal_is_heard_whatever_lock_the_main_thread_holds(code: str, name: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", code.format(name=name)], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout == "over\n", ended.stderr
