"""Disks of a test's own, which can be filled."""

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest


@pytest.fixture
def make_disk() -> Iterator[Callable[[int], Path]]:
    """Make a disk of so many MiB, which any user may enter."""
    with ExitStack() as ending:

        def make(mib: int) -> Path:
            folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="disk", ignore_cleanup_errors=True)))
            folder.chmod(0o755)
            options = ["-t", "tmpfs", "-o", f"size={mib}m,mode=755", "tmpfs", str(folder)]
            mounted = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
            if mounted.returncode:
                pytest.skip(f"no tmpfs can be mounted here, so no disk can be filled: {mounted.stderr.strip()}")
            ending.callback(subprocess.run, ["umount", "-l", str(folder)], check=True)
            return folder

        yield make
