import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from homeostat.errors import HomeostatError
from homeostat.processes.instance import Heartbeat, Instance, exclusive, run_folder

INSTANCE = Instance("127.0.0.1", 8000, 5000, "stream", 7, ("parcels", "turbines"), 42, "2030-01-01T00:00:00+00:00")
HOLD = """
import signal, sys
from pathlib import Path
from homeostat.processes.instance import exclusive
with exclusive(Path(sys.argv[1])) as held:
    print(held, flush=True)
    signal.pause()
"""


def test_an_instance_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    INSTANCE.save(tmp_path)
    assert Instance.load(tmp_path) == INSTANCE


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"products": ["a"], "more": 1}'])
def test_a_folder_without_an_instance_says_how_to_start_one(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "instance.json").write_text(text)
    with pytest.raises(HomeostatError, match="homeostat up --contract"):
        Instance.load(tmp_path)


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:8000"), ("::", "http://127.0.0.1:8000"), ("::1", "http://[::1]:8000")],  # noqa: S104
)
def test_an_address_for_all_is_reached_on_loopback(host: str, url: str) -> None:
    assert replace(INSTANCE, host=host).url == url


def test_a_heartbeat_says_who_when_and_how_far(tmp_path: Path) -> None:
    at = datetime(2030, 1, 1, tzinfo=UTC)
    Heartbeat(tmp_path, "keeper", 42).beat(at, None)
    Heartbeat(tmp_path, "keeper", 42).beat(at, at, rows=3)
    said = json.loads((tmp_path / "run" / "keeper.json").read_text())
    assert said == {"pid": 42, "at": at.isoformat(), "passed": at.isoformat(), "rows": 3}


def test_a_heartbeat_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    heartbeat = Heartbeat(tmp_path, "keeper", 42)
    run_folder(tmp_path).rmdir()
    heartbeat.beat(datetime(2030, 1, 1, tzinfo=UTC), None)
    assert "no sign of life can be given" in caplog.text


def test_a_lock_is_had_by_one_process_until_it_is_killed(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, lock], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        with exclusive(lock) as held:
            assert not held
        holder.kill()
        with exclusive(lock, wait_s=60) as held:
            assert held


def test_shared_holders_keep_out_who_wants_it_alone(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    with exclusive(lock, shared=True) as one, exclusive(lock, shared=True) as two, exclusive(lock) as alone:
        assert (one, two, alone) == (True, True, False)
