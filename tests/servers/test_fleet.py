"""`make servers`: all of them together, where they say they are, until they are told to end."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import httpx
import psutil
import psycopg
import pytest
import redis
from kafka.admin import KafkaAdminClient

from deploy.servers import postgres
from deploy.servers.__main__ import _demand_programs
from deploy.servers.fleet import Fleet
from homeostat.settings import Settings

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "deploy.servers"]
DEADLINE_S = 800.0


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="homeostat-fleet-") as made:
        path = Path(made)
        path.chmod(0o755)  # PostgreSQL runs as another user
        yield path


def variables(process: "subprocess.Popen[str]", path: Path) -> dict[str, str]:
    """What the file says once it is there; it is written when all of them answer."""
    deadline = monotonic() + DEADLINE_S
    while not (path.exists() and path.read_text().endswith("\n")):
        if process.poll() is not None:
            said = process.communicate()[1]
            if "is not installed" in said and os.environ.get("HOMEOSTAT_REQUIRE_SERVERS") != "1":
                pytest.skip(said)
            raise AssertionError(said)
        assert monotonic() < deadline
        sleep(0.1)
    return dict(line.split("=", 1) for line in path.read_text().replace("'", "").splitlines())


@pytest.mark.timeout(900)
def test_all_servers_are_where_the_file_says_and_end_together(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [*COMMAND, "--folder", str(folder)]
    path = folder / "servers.env"
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            for name, value in variables(process, path).items():
                monkeypatch.setenv(name, value)
            assert path.stat().st_mode & 0o077 == 0
            settings = Settings()
            KafkaAdminClient(bootstrap_servers=settings.kafka.brokers).close()
            assert redis.Redis.from_url(settings.redis.url.get_secret_value()).ping()
            psycopg.connect(settings.sql.url.get_secret_value().replace("+psycopg", "")).close()
            asked = httpx.get(
                f"{settings.mlflow_url}/api/2.0/mlflow/experiments/search?max_results=1",
                auth=settings.mlflow_login,
                timeout=60,
            )
            assert asked.status_code == 200
            started = psutil.Process(process.pid).children()
            assert len(started) == 6
        finally:
            process.send_signal(signal.SIGINT)
        said, complained = process.communicate(timeout=300)
    assert process.returncode == 0, complained
    assert [line.split()[0] for line in said.splitlines()[:6]] == [
        "kafka",
        "redis",
        "postgres",
        "mlflow",
        "alertmanager",
        "prometheus",
    ]
    assert not [server for server in started if server.is_running()]
    assert not path.exists()


def lines_of(said: str, name: str, package: str) -> list[str]:
    """The lines that say of a server which package it lacks."""
    lines = said.splitlines()
    return [line for line in lines if line.startswith(f"{name}: ") and line.endswith(f"apt-get install {package}")]


def test_every_missing_program_has_a_line_with_its_package(folder: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path)}
    command = [*COMMAND, "--folder", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for name, package in (
        ("every server", "util-linux"),
        ("kafka", "default-jre-headless"),
        ("redis", "redis-server"),
        ("prometheus", "prometheus"),
        ("alertmanager", "prometheus-alertmanager"),
    ):
        assert len(lines_of(done.stderr, name, package)) == 1


def test_postgresql_that_is_nowhere_has_its_line_too(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres, "_FOLDERS", "nowhere")  # where Debian keeps it, off the search path
    with pytest.raises(SystemExit) as ended:
        _demand_programs(Fleet.below(folder, {}, "http://127.0.0.1:9095/").all)
    assert len(lines_of(str(ended.value), "postgres", "postgresql")) == 1


def test_a_machine_that_lacks_setpriv_alone_is_told_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("java", "mvn", "redis-server", "postgres", "initdb", "prometheus", "prometheus-alertmanager"):
        (tmp_path / name).symlink_to(sys.executable)
    servers = Fleet.below(folder, {}, "http://127.0.0.1:9095/").all
    with pytest.raises(SystemExit) as ended:
        _demand_programs(servers)
    assert ended.value.code == (
        "every server: setpriv is not installed; on Debian and Ubuntu: apt-get install util-linux"
    )
    (tmp_path / "setpriv").symlink_to(sys.executable)
    _demand_programs(servers)


@pytest.mark.parametrize("port", ["oracle=1", "kafka=many"])
def test_a_port_of_no_server_is_refused(folder: Path, port: str) -> None:
    command = [*COMMAND, "--folder", str(folder), "--port", port]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
