"""How much memory a process held."""

import re
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

_STATUS = Path("/proc/self/status")


def peak_rss_mib() -> float:
    """Return the most resident memory this process held, in MiB.

    Where there is /proc it is asked first: ``ru_maxrss`` of a child process starts at its parent's size.
    """
    if _STATUS.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())):
        return int(found[1]) / 1024
    return getrusage(RUSAGE_SELF).ru_maxrss / 1024
