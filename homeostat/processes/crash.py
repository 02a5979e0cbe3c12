"""A test hook: a process that kills itself where it hurts most."""

import os
import signal

from homeostat.worker import Hook, no_hook


def crash_hook(crash_at: str | None) -> Hook:
    """Return a worker's hook that ends this process by kill -9 at a boundary, or one that does nothing.

    Args:
        crash_at: ``step:point[:nth]``, the nth time (the first one by default) that the step comes to the point.
    """
    if crash_at is None:
        return no_hook
    step, point, *nth = crash_at.split(":")
    left = int(nth[0]) if nth else 1

    def hook(at_step: str, at_point: str) -> None:
        nonlocal left
        if (at_step, at_point) == (step, point):
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    return hook
