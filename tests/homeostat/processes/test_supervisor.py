import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import pytest

from homeostat.processes.child import MAX_DEATHS, Child, Plan
from homeostat.processes.supervisor import Interrupts, Supervisor

PATIENT = "import signal, sys; signal.signal(15, lambda *_: sys.exit(0)); print('up', flush=True); sys.stdin.read()"
DEAF = "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True); signal.pause()"
SICK = "print('the disk is full', flush=True); raise SystemExit(3)"
DEADLINE_S = 60


def until(true: Callable[[], object]) -> None:
    deadline = monotonic() + DEADLINE_S
    while not true():
        assert monotonic() < deadline
        sleep(0.02)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Child]:
    def child(name: str, code: str, grace_s: float = 10, without: str | None = None) -> Child:
        log = tmp_path / f"{name}.log"
        return Child(Plan(name, (sys.executable, "-c", code), log, dict(os.environ), grace_s, without))

    return child


def has_begun(child: Child) -> bool:
    return "up" in child.log_tail()


def test_the_first_interrupt_ends_the_children_in_order(make: Callable[..., Child]) -> None:
    children = [make("one", PATIENT), make("two", PATIENT)]
    said: list[str] = []
    interrupts = Interrupts()

    def interrupt() -> None:
        until(lambda: all(map(has_begun, children)))
        interrupts.interrupt()

    supervisor = Supervisor(children, interrupts, said.append)
    assert supervisor.run(lambda: True, threading.Thread(target=interrupt).start) == 0
    assert all(child.has_ended() for child in children)
    assert [line.split(":")[0] for line in said] == ["stopping", "stopped"]


def test_a_child_that_does_not_end_in_time_is_killed(make: Callable[..., Child]) -> None:
    child = make("deaf", DEAF, grace_s=0.2)
    child.start()
    until(lambda: has_begun(child))
    Supervisor([child], Interrupts(), print).stop()
    assert child.has_ended()


def test_a_second_interrupt_ends_all_at_once(make: Callable[..., Child]) -> None:
    child = make("deaf", DEAF, grace_s=60)
    child.start()
    until(lambda: has_begun(child))
    interrupts = Interrupts()
    interrupts.count = 2
    started = monotonic()
    Supervisor([child], interrupts, print).stop()
    assert monotonic() - started < 50


def test_a_child_that_was_killed_is_started_again(make: Callable[..., Child]) -> None:
    child = make("one", PATIENT)
    child.start()
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    happened: list[str] = []
    until(lambda: ((said := child.watch()) and happened.append(said)) or len(happened) == 2)
    assert "one was killed by SIGKILL" in happened[0]
    assert child.pid not in {None, first}
    assert happened[1] == f"one is started again (pid {child.pid})"
    child.kill()


def test_a_child_that_keeps_dying_ends_the_whole_with_the_end_of_its_log(
    make: Callable[..., Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("homeostat.processes.child.WITHIN_S", 600.0)  # five starts on a busy machine take their time
    sick, well = make("sick", SICK), make("well", PATIENT)
    said: list[str] = []
    assert Supervisor([well, sick], Interrupts(), said.append).run(lambda: True, lambda: None) == 1
    assert sick.deaths == MAX_DEATHS
    assert "sick ended with exit code 3" in said[0]
    assert "the disk is full" in said[-1]
    assert well.has_ended()


def test_a_child_that_dies_before_anything_serves_is_given_up_sooner(make: Callable[..., Child]) -> None:
    sick = make("sick", SICK)
    said: list[str] = []
    assert Supervisor([sick], Interrupts(), said.append).run(lambda: False, lambda: None) == 1
    assert sick.deaths == 2
    assert "before it was ready" in said[-1]


def test_children_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    code = f"""
import os, signal, sys
from pathlib import Path
from homeostat.processes.child import Child, Plan
for name in "ab":
    child = Child(Plan(name, (sys.executable, "-c", {PATIENT!r}), Path({str(tmp_path)!r}) / name, dict(os.environ), 1))
    child.start()
    globals()[name] = child
    print(child.pid, flush=True)
signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        pids = [int(supervisor.stdout.readline()) for _ in range(2)]
        until(lambda: all((tmp_path / name).read_text() for name in "ab"))
        supervisor.kill()
        until(lambda: not any(is_running(pid) for pid in pids))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_large_log_is_put_aside(make: Callable[..., Child]) -> None:
    child = make("one", PATIENT)
    child.plan.log.write_bytes(b"x" * 10_000_001)
    child.start()
    until(lambda: has_begun(child))
    child.kill()
    assert child.plan.log.stat().st_size < 100
    assert child.plan.log.with_suffix(".log.1").exists()


def test_a_log_that_grows_too_long_begins_anew_and_one_older_file_is_kept(
    make: Callable[..., Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("homeostat.processes.child._LOG_BYTES", 1000)
    monkeypatch.setattr("homeostat.processes.child._LOG_LOOK_S", 0.0)
    child = make("chatty", "while input(): print('x' * 600, flush=True)")
    child.start()
    process = child._process
    assert process is not None
    assert process.stdin is not None
    log = child.plan.log
    for expected in (601, 1202):
        process.stdin.write(b"more\n")
        process.stdin.flush()
        until(lambda expected=expected: log.stat().st_size == expected)
    assert child.watch() is None
    assert (log.stat().st_size, log.with_suffix(".log.1").stat().st_size) == (0, 1202)
    process.stdin.write(b"more\n")
    process.stdin.flush()
    until(lambda: log.stat().st_size == 601)
    child.kill()
