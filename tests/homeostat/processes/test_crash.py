import subprocess
import sys

import pytest

from homeostat.processes.crash import crash_hook
from homeostat.settings import Settings
from homeostat.worker import no_hook

CODE = """
import sys
from homeostat.processes.crash import crash_hook
hook = crash_hook(sys.argv[1])
for turn in range(5):
    for step, point in (("ingest", "read"), ("ingest", "handled"), ("join", "read")):
        print(turn, step, point, flush=True)
        hook(step, point)
"""


@pytest.mark.parametrize(("at", "last"), [("ingest:handled", "0 ingest handled"), ("join:read:3", "2 join read")])
def test_the_process_is_gone_at_the_nth_time_it_comes_to_the_point(at: str, last: str) -> None:
    done = subprocess.run([sys.executable, "-c", CODE, at], capture_output=True, text=True, check=False)
    assert done.returncode == -9
    assert done.stdout.splitlines()[-1] == last


def test_without_the_setting_there_is_no_hook() -> None:
    assert crash_hook(None) is no_hook
    assert Settings().crash_at is None


@pytest.mark.parametrize("wrong", ["ingest", "ingest:later", "ingest:read:0", "ingest:read:x"])
def test_a_boundary_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="crash_at"):
        Settings(crash_at=wrong)
