"""A home on disk looked at through the command line."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from select import select
from time import monotonic

import pytest
from typer.testing import CliRunner

from homeostat.adapters.mlflow_file import MlflowFile
from homeostat.adapters.prometheus_telemetry import PrometheusTelemetry
from homeostat.adapters.sql import SqlCases
from homeostat.bootstrap import ledger_uri, sight_of
from homeostat.cli.main import app
from homeostat.codec import encode
from homeostat.contract.load import load_contract
from homeostat.errors import HomeostatError
from homeostat.flow import topic_name
from homeostat.inspection import onlooker_of, status_of
from homeostat.inspection.instance import base_url, heartbeats
from homeostat.metric_names import LABEL_MATURITY
from homeostat.ports import Aliases, NewMessage
from homeostat.records import CaseState, DriftReport, DriftStatus

HEAVY = ("feast", "mlflow", "optuna", "lightgbm", "scipy", "sklearn", "pandas")
QUICK = """
import sys
sys.argv = ["homeostat", *{words!r}]
from homeostat.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print([name for name in {heavy!r} if name in sys.modules])
"""


def homeostat(*words: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(map(str, words)))
    return done.exit_code, done.stdout


@pytest.mark.parametrize("command", [("status", "--json"), ("status",), ("log",), ("log", "--verify"), ("drift",)])
def test_looking_waits_for_none_of_the_heavy_libraries(home: Path, command: tuple[str, ...]) -> None:
    script = QUICK.format(words=[*command, "--home", str(home)], heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_registry_file_is_read_as_mlflow_reads_it(home: Path) -> None:
    from homeostat.adapters.mlflow_registry import MlflowRegistry  # noqa: PLC0415 - seconds, for this test alone

    instance = home.parent.parent
    registry = MlflowRegistry(f"sqlite:///{instance / 'mlflow.db'}", instance / "artifacts" / "turbines", "turbines")
    file = MlflowFile(instance / "mlflow.db", "turbines")
    assert file.aliases() == registry.aliases() == Aliases(champion="2", previous="1")
    registry.set_alias("challenger", "1")
    registry.set_alias("previous", None)
    assert file.aliases() == registry.aliases() == Aliases(champion="2", challenger="1")
    folder = file.folder_of("2")
    assert folder is not None
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == registry.load("2").files
    assert file.folder_of("3") is None
    assert MlflowFile(instance / "mlflow.db", "others").aliases() == Aliases()


def test_a_registry_that_is_not_there_yet_has_no_alias_and_is_not_made(tmp_path: Path) -> None:
    assert MlflowFile(tmp_path / "mlflow.db", "turbines").aliases() == Aliases()
    assert not (tmp_path / "mlflow.db").exists()
    (tmp_path / "mlflow.db").touch()  # MLflow has just begun
    assert MlflowFile(tmp_path / "mlflow.db", "turbines").aliases() == Aliases()


def test_a_damaged_registry_is_named(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("not a database, but long enough to be read as one")
    with pytest.raises(HomeostatError, match=r"mlflow\.db"):
        MlflowFile(tmp_path / "mlflow.db", "turbines").aliases()


def test_status_as_json_and_as_a_page(home: Path) -> None:
    code, text = homeostat("status", "--home", home, "--json")
    said = json.loads(text)
    assert (code, said["champion"], said["drift"]["status"]) == (0, "2", "healthy")
    assert said["at"] == "2026-01-01T00:00:00+00:00"  # never run as an instance: where its stream ended
    code, text = homeostat("status", "--home", home)
    assert code == 0
    assert "version 2" in text
    assert "not running" in text


def test_drift_reports_as_a_table_and_as_json(home: Path) -> None:
    code, text = homeostat("drift", "--home", home)
    assert code == 0
    assert "report rep0" in text
    assert "load" in text
    code, text = homeostat("drift", "--home", home, "--report", "rep", "--json")
    assert json.loads(text)["features"][0] == {
        "name": "load", "index": "psi", "value": 0.1, "limit": 0.2, "ratio": 0.5, "p_value": 0.01, "drifted": False,
        "reachable": True, "visible": 0.2**0.5, "psi": 0.1, "psi_limit": 0.2, "ks": None, "ks_limit": None,
        "distances": {}, "share": None, "damage": None, "embedding": None, "embedding_limit": None,
        "floor_rate": None, "floor_training": None,
    }  # fmt: skip


def test_behind_a_report_that_says_nothing_the_last_one_that_does_is_shown(home: Path) -> None:
    contract = load_contract(home / "contract.yaml")
    at = datetime(2026, 1, 8, tzinfo=UTC)
    value, headers = encode(DriftReport("silent", at, at - timedelta(days=1), at, 0, DriftStatus.UNKNOWN, "2", ()))
    name = topic_name("turbines", "drift_reports")
    sight_of(contract, home).log.append([NewMessage(name, value, headers)], at)
    code, text = homeostat("drift", "--home", home)
    assert code == 0
    assert text.index("report silent") < text.index("the last report of a window with enough rows") < text.index("rep0")
    assert "rep0" not in homeostat("drift", "--home", home, "--report", "silent")[1]


def test_a_report_that_is_not_kept_is_told(home: Path) -> None:
    code, _ = homeostat("drift", "--home", home, "--report", "nope")
    assert code == 1


def test_the_log_lists_decisions(home: Path) -> None:
    code, text = homeostat("log", "--home", home)
    assert code == 0
    assert "first champion" in text


def test_the_log_is_exported_and_the_export_verified_alone_and_beside_the_ledger(home: Path, tmp_path: Path) -> None:
    export = tmp_path / "ledger.jsonl"
    export.write_text(homeostat("log", "--home", home, "--json")[1])
    count = len(export.read_text().splitlines())
    for words in (["--file", export], ["--verify", "--file", export, "--home", home]):
        assert homeostat("log", *words) == (0, f"{count} entries, the chain is whole\n")
    export.write_text(export.read_text().replace("first champion", "best champion", 1))
    assert homeostat("log", "--file", export)[0] != 0
    assert homeostat("log", "--file", tmp_path / "none.jsonl")[0] == 2


def test_the_log_says_who_served_at_a_moment(home: Path) -> None:
    assert "no version served yet" in homeostat("log", "--home", home, "--at", "1999-12-31")[1]
    assert "version 1 answered 100%; since entry" in homeostat("log", "--home", home, "--at", "2100-01-01 12:00")[1]
    said = json.loads(homeostat("log", "--home", home, "--at", "2100-01-01T12:00:00+0100", "--json")[1])
    assert (said["at"], said["shares"]) == ("2100-01-01T12:00:00+01:00", {"1": 1.0})
    assert homeostat("log", "--home", home, "--at", "yesterday")[0] == 2


@contextmanager
def serving(home: Path) -> Iterator[PrometheusTelemetry]:
    """A metrics page where the instance of a home says that it listens."""
    telemetry = PrometheusTelemetry()
    close, port = telemetry.serve(0)
    said = {"host": "0.0.0.0", "port": port, "mlflow_port": 1, "clock": "stream"}  # noqa: S104 - only written down
    (home.parent.parent / "instance.json").write_text(json.dumps(said))
    try:
        yield telemetry
    finally:
        close()


def test_numbers_of_a_running_instance_come_from_its_metrics(home: Path) -> None:
    with serving(home) as telemetry:
        telemetry.gauge(LABEL_MATURITY, 0.75, product="turbines")
        assert status_of(home)["label_maturity_ratio"] == 0.75
    assert status_of(home)["label_maturity_ratio"] is None


def test_the_time_of_a_stream_is_its_clocks(home: Path) -> None:
    instance = home.parent.parent
    (instance / "instance.json").write_text('{"host": "127.0.0.1", "port": 1, "clock": "stream"}')
    (instance / "clock.json").write_text('{"now": "2026-05-01T00:00:00+00:00"}')
    assert status_of(home)["at"] == "2026-05-01T00:00:00+00:00"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x", "at": 3}', '{"at": "2026-01-01"}'])
def test_half_written_files_of_others_break_nothing(home: Path, content: str) -> None:
    instance = home.parent.parent
    (instance / "run").mkdir()
    (instance / "run" / "keeper.json").write_text(content)
    (instance / "instance.json").write_text(content)
    assert [beat.process for beat in heartbeats(home)] == ["keeper"]
    assert base_url(home) is None
    assert status_of(home)["processes"][0]["alive"] is False


def test_a_heartbeat_tells_its_age_and_whether_its_process_lives(home: Path) -> None:
    run = home.parent.parent / "run"
    run.mkdir()
    at = (datetime.now(UTC) - timedelta(seconds=10)).isoformat()
    (run / "keeper.json").write_text(json.dumps({"pid": os.getpid(), "at": at, "passed": at}))
    (beat,) = heartbeats(home)
    assert beat.alive
    assert beat.age_s is not None
    assert 9 < beat.age_s < 30
    assert beat.passed == datetime.fromisoformat(at)


def read_until(descriptor: int, words: str, seconds: float = 120) -> str:
    """Read what a process writes until it has said something."""
    text, deadline = "", monotonic() + seconds
    while words not in text:
        ready, _, _ = select([descriptor], [], [], max(0.0, deadline - monotonic()))
        assert ready, f"{words!r} did not come; so far: {text!r}"
        text += os.read(descriptor, 65_536).decode(errors="replace")
    return text


def change(home: Path) -> None:
    cases = SqlCases(ledger_uri(home), "turbines")
    cases.save(replace(cases.load(), state=CaseState.TRAINING, since=datetime(2026, 1, 2, tzinfo=UTC)))


COMMAND = (sys.executable, "-c", "from homeostat.cli.main import main; main()")


def test_watching_without_a_terminal_writes_a_line_for_each_change(home: Path) -> None:
    words = [*COMMAND, "status", "--watch", "--home", str(home)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = read_until(process.stdout.fileno(), "\n")
        change(home)
        second = read_until(process.stdout.fileno(), "\n")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert "case stable" in first
    assert "case training" in second


def test_watching_on_a_terminal_draws_a_page_until_interrupted(home: Path) -> None:
    ours, theirs = pty.openpty()
    words = [*COMMAND, "status", "--watch", "--home", str(home)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "50"}
    with subprocess.Popen(words, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        read_until(ours, "waits for")
        change(home)
        read_until(ours, "training, asked for")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    os.close(ours)


def test_looks_of_one_onlooker_see_what_others_write(home: Path) -> None:
    onlooker = onlooker_of(home)
    assert status_of(home, onlooker)["case"]["state"] == "stable"
    change(home)
    assert status_of(home, onlooker)["case"]["state"] == "training"
