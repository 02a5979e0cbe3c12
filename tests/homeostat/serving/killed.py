"""A process that sends events through a front and prints the id of each one acknowledged, until it is killed."""

import sys
from itertools import count
from pathlib import Path

from homeostat.adapters.manual_clock import ManualClock
from homeostat.adapters.sqlite_log import SqliteLog
from homeostat.serving import build_front
from tests.homeostat.serving.conftest import CONTRACT, T0, event
from tests.stacks import memory_stack


def main() -> None:
    """Send for ever."""
    path = Path(sys.argv[1])
    stack = memory_stack(CONTRACT, path.parent, SqliteLog(path))
    front = build_front(CONTRACT, stack, ManualClock(T0))
    front.start()
    for number in count():
        front.send([event(number, entity=f"k{number % 7}")], []).result()
        sys.stdout.write(f"e{number}\n")
        sys.stdout.flush()
