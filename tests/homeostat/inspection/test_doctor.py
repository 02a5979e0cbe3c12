"""Each thing that may break is broken, and the doctor has to find it and say what to do."""

import fcntl
import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from homeostat.adapters.sqlite_log import SqliteLog
from homeostat.cli.main import app
from homeostat.inspection.doctor import Finding, Level, examine, machine
from homeostat.ports import NewMessage


def found(home: Path, check: str) -> list[Finding]:
    """Everything but `ok` that a check says."""
    return [f for f in examine(home) if f.check == check and f.level is not Level.OK]


def only(home: Path, check: str, level: Level = Level.PROBLEM) -> Finding:
    (finding,) = found(home, check)
    assert finding.level is level
    assert finding.todo
    return finding


def write_instance(home: Path, **said: object) -> None:
    usual = {"host": "127.0.0.1", "port": 0, "mlflow_port": 0, "clock": "system", "started_at": _now().isoformat()}
    (home / "instance.json").write_text(json.dumps({**usual, **said}))


def _now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a lock file as a running supervisor does."""
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture
def instance(home: Path) -> Path:
    return home.parent.parent


def test_a_healthy_home_has_nothing_but_good_lines(home: Path, instance: Path) -> None:
    findings = examine(instance)
    assert [f for f in findings if f.level is not Level.OK] == []
    assert {f.check for f in findings} == {
        "python", "libraries", "disk", "permissions", "processes", "ports", "sqlite", "contract", "parquet",
        "trainings", "ledger", "clock", "models", "limits",
    }  # fmt: skip


def test_a_look_changes_nothing(home: Path, instance: Path) -> None:
    before = {path: path.read_bytes() for path in instance.rglob("*") if path.is_file() and path.suffix != ".db-shm"}
    examine(instance)
    after = {path: path.read_bytes() for path in instance.rglob("*") if path.is_file() and path.suffix != ".db-shm"}
    assert {path for path in after if "-wal" not in path.name} == {path for path in before if "-wal" not in path.name}
    assert all(after[path] == content for path, content in before.items() if path in after and "-wal" not in path.name)


def test_a_folder_that_is_not_there_yet_is_no_problem(tmp_path: Path) -> None:
    findings = examine(tmp_path / "nowhere")
    assert all(f.level is Level.OK for f in findings)
    assert not (tmp_path / "nowhere").exists()


def test_a_product_of_an_instance_is_examined_with_its_instance(home: Path, instance: Path) -> None:
    assert {f.check for f in examine(home)} == {f.check for f in examine(instance)}


@pytest.mark.parametrize(("free_mib", "level"), [(100, Level.PROBLEM), (800, Level.WARNING)])
def test_a_disk_that_is_nearly_full_is_found(
    home: Path, monkeypatch: pytest.MonkeyPatch, free_mib: int, level: Level
) -> None:
    usage = type("Usage", (), {"free": free_mib * 2**20})
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage)
    assert "MiB free" in only(home, "disk", level).what


def test_a_home_that_grows_too_fast_is_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1025 * 2**20}))
    day_ago = _now().timestamp() - 86_400
    os.utime(home / "contract.yaml", (day_ago, day_ago))
    (home / "large").write_bytes(b"")
    os.truncate(home / "large", 200 * 2**20)  # sparse: takes no room
    assert "a day" in only(home, "disk", Level.WARNING).what


def test_a_file_that_can_not_be_written_is_found(home: Path) -> None:
    (home / "homeostat.db").chmod(0o444)
    assert "homeostat.db" in only(home, "permissions").what


def test_a_file_that_everybody_may_write_is_found(home: Path) -> None:
    (home / "log.db").chmod(0o666)
    assert "everybody" in only(home, "permissions", Level.WARNING).what


def test_a_contract_with_a_mistake_is_found_with_its_line(home: Path) -> None:
    path = home / "contract.yaml"
    path.write_text(path.read_text().replace("min_rows: 300", "min_rows: many"))
    assert all("contract.yaml:" in f.what for f in found(home, "contract"))
    assert found(home, "contract")


def test_a_contract_other_than_its_digest_is_found(home: Path) -> None:
    (home / "contract.digest").write_text("0123456789abcdef\n")
    assert "0123456789abcdef" in only(home, "contract").what


def test_a_contract_edited_after_the_start_is_found(home: Path, instance: Path) -> None:
    write_instance(instance, started_at=(_now() - timedelta(hours=1)).isoformat())
    (home / "contract.yaml").touch()
    assert "after the start" in only(home, "contract", Level.WARNING).what


@pytest.mark.parametrize("name", ["log.db", "homeostat.db"])
def test_a_damaged_sqlite_file_is_found(home: Path, name: str) -> None:
    _checkpoint(home / name)
    content = bytearray((home / name).read_bytes())
    content[4096 : 4096 + 20_000] = os.urandom(20_000)
    (home / name).write_bytes(content)
    assert name in only(home, "sqlite").what


def test_a_file_that_is_no_sqlite_file_any_more_is_found(instance: Path) -> None:
    (instance / "mlflow.db").write_text("gone")
    assert "mlflow.db" in only(instance, "sqlite").what


def test_an_edited_ledger_is_found(home: Path) -> None:
    with closing(sqlite3.connect(home / "homeostat.db")) as database, database:
        database.execute("DROP TRIGGER ledger_takes_no_update")
        database.execute("UPDATE ledger SET payload = replace(payload, 'first', 'last') WHERE seq = 2")
    assert "entry 2" in only(home, "ledger").what


def test_a_broken_parquet_part_is_found(home: Path) -> None:
    part = next((home / "feast" / "features").rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-40])
    assert str(part) in only(home, "parquet").what


def test_a_joined_part_may_be_deleted_for_it_is_made_again(home: Path) -> None:
    next((home / "feast" / "joined").iterdir()).write_bytes(b"broken")
    assert "made again" in only(home, "parquet").todo


@pytest.mark.parametrize("content", [b'{"op_code":0}\nbroken\n{"op_code":4}\n', b'{"op_code":0}\n{"op_co'])
def test_a_study_that_can_not_go_on_is_found(home: Path, content: bytes) -> None:
    (home / "work" / "abc.study").write_bytes(content)
    assert "line 2" in only(home, "trainings").what


def test_a_study_that_can_go_on_is_none_of_the_doctors_business(home: Path) -> None:
    (home / "work" / "abc.study").write_bytes(b'{"op_code":0}\n{"op_code":4}\n')
    assert found(home, "trainings") == []


def test_half_a_note_of_a_training_is_found(home: Path) -> None:
    (home / "work" / "abc.run").write_text('{"run_id":')
    assert "abc.run" in only(home, "trainings", Level.WARNING).what


def test_a_lock_that_a_killed_training_left_behind_is_found(home: Path) -> None:
    lock = home / "work" / "abc.study.lock"
    lock.touch()
    os.utime(lock, (0, 0))
    assert "left behind" in only(home, "trainings", Level.WARNING).what


def test_a_clock_that_stepped_back_is_found(home: Path, instance: Path) -> None:
    write_instance(instance)
    SqliteLog(home / "log.db").append([NewMessage("turbines.raw_events.v1", b"{}")], _now() + timedelta(hours=3))
    assert "turbines.raw_events.v1" in only(home, "clock").what


def test_a_stream_clock_behind_its_log_is_found(home: Path, instance: Path) -> None:
    write_instance(instance, clock="stream")
    (instance / "clock.json").write_text('{"now": "2025-06-01T00:00:00+00:00"}')
    assert "2025-06-01" in only(home, "clock").what


def test_an_alias_of_a_version_that_does_not_exist_is_found(instance: Path) -> None:
    with closing(sqlite3.connect(instance / "mlflow.db")) as database, database:
        database.execute("UPDATE registered_model_aliases SET version = 9 WHERE alias = 'previous'")
    assert "previous is version 9" in only(instance, "models").what


def test_a_model_whose_files_are_gone_or_broken_is_found(instance: Path) -> None:
    for path in instance.glob("artifacts/**/model.json"):
        path.write_text("{")
    whats = [f.what for f in found(instance, "models")]
    assert len(whats) == 2
    assert all("can't be loaded" in what for what in whats)


def test_a_champion_of_other_features_is_found(home: Path) -> None:
    path = home / "contract.yaml"
    path.write_text(path.read_text().replace("load * wind", "load + wind").replace("  gust:", "  other:"))
    assert all("other features" in f.what for f in found(home, "models"))
    assert found(home, "models")


def test_a_port_that_another_program_took_is_found_while_nothing_runs(instance: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        write_instance(instance, port=port)
        finding = only(instance, "ports")
    assert str(port) in finding.what
    assert "--port" in finding.todo


def test_a_taken_port_is_found_before_anything_ever_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setattr("homeostat.inspection.doctor.processes._API", port)
        finding = found(tmp_path / "nothing yet", "ports")[0]
    assert (finding.level, str(port) in finding.what) == (Level.PROBLEM, True)


def test_an_api_that_does_not_answer_is_found_while_the_instance_runs(instance: Path) -> None:
    with socket.socket() as free, held(instance / "run" / "up.lock"):
        free.bind(("127.0.0.1", 0))
        write_instance(instance, port=free.getsockname()[1], mlflow_port=free.getsockname()[1])
        levels = [f.level for f in found(instance, "ports")]
    assert levels == [Level.PROBLEM, Level.WARNING]


def beat(instance: Path, pid: int, at: datetime, **more: object) -> None:
    (instance / "run").mkdir(exist_ok=True)
    said = {"pid": pid, "at": at.isoformat(), "passed": None, **more}
    (instance / "run" / "keeper.json").write_text(json.dumps(said))


def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("age_s", "words"), [(0, "is dead"), (100, "last sign of life 100 s ago"), (-3600, "in the future")]
)
def test_a_process_that_is_dead_silent_or_of_another_time_is_found(instance: Path, age_s: int, words: str) -> None:
    beat(instance, os.getpid() if age_s else dead_pid(), _now() - timedelta(seconds=age_s))
    with held(instance / "run" / "up.lock"):
        assert words in only(instance, "processes").what


def test_a_process_that_waits_is_found_with_what_for(instance: Path) -> None:
    beat(instance, os.getpid(), _now(), waits={"turbines": "the database is away"})
    with held(instance / "run" / "up.lock"):
        assert only(instance, "processes").what == "keeper: turbines: the database is away"


def test_processes_that_outlived_their_supervisor_are_found(instance: Path) -> None:
    beat(instance, os.getpid(), _now())
    with held(instance / "run" / "alive.lock"):
        assert str(os.getpid()) in only(instance, "processes").what


def test_a_process_that_lives_is_well(instance: Path) -> None:
    beat(instance, os.getpid(), _now())
    with held(instance / "run" / "up.lock"):
        assert found(instance, "processes") == []


def test_the_command_ends_with_1_on_a_problem_and_with_0_without(home: Path, instance: Path) -> None:
    well = CliRunner().invoke(app, ["doctor", "--home", str(instance), "--json"])
    assert (well.exit_code, json.loads(well.stdout)["ok"]) == (0, True)
    (home / "work" / "abc.study").write_bytes(b"broken\n\n")
    ill = CliRunner().invoke(app, ["doctor", "--home", str(instance)])
    assert ill.exit_code == 1
    assert "delete it: the training begins anew" in ill.stdout


def _checkpoint(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
