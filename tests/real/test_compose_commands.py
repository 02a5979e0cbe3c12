"""What the containers of docker-compose.yml are started with, run here: a word that a server does not know shows up."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

import httpx
import psutil
import psycopg
import pytest
import redis
import yaml
from confluent_kafka.admin import AdminClient, ConfigResource
from psycopg import sql

from deploy.servers import Kafka, Postgres, free_port
from homeostat.adapters.mlflow_registry.subscription import subscribe

from .running import until

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
START_S = 240
Program = Callable[[str, str], str]

pytestmark = pytest.mark.timeout(900)


@contextmanager
def running(command: list[str], folder: Path, more: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Run what a container runs, with what it prints in a file, and end it and its children."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **more}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        for child in family:
            if child.is_running():
                child.kill()


def rebuilt(words: list[str], **instead: str) -> list[str]:
    """A command of the file, as compose passes it on, at addresses and paths of this test."""
    words = [word.replace("$$", "$") for word in words]
    for old, new in instead.items():
        words = [word.replace(old, new) for word in words]
    return words


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).is_success
    except httpx.HTTPError:
        return False


@pytest.fixture
def redis_at(tmp_path: Path, program: Program) -> Iterator[redis.Redis]:
    port, password = free_port(), token_hex(24)
    here = f"{program('redis-server', 'redis-server')} - --bind 127.0.0.1 --port {port}"
    command = rebuilt(SERVICES["redis"]["command"], **{"redis-server -": here})
    with running(command, tmp_path, {"REDISCLI_AUTH": password}) as process:
        client = redis.Redis(port=port, password=password, retry=None)

        def is_up() -> bool:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

        until(is_up, START_S, why=(tmp_path / "log").read_text)
        assert password not in " ".join(psutil.Process(process.pid).cmdline())
        yield client


def test_redis_has_a_password_keeps_what_it_takes_and_refuses_what_it_has_no_room_for(
    redis_at: redis.Redis, tmp_path: Path
) -> None:
    port = redis_at.connection_pool.connection_kwargs["port"]
    with redis.Redis(port=port, retry=None) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    told = redis_at.config_get("*")
    assert (told["appendonly"], told["appendfsync"], told["maxmemory-policy"]) == ("yes", "everysec", "noeviction")
    limits = SERVICES["redis"]["deploy"]["resources"]["limits"]
    assert limits["memory"] == "1g"
    assert (
        0.5 * 2**30 < int(told["maxmemory"]) < 0.7 * 2**30
    )  # what is written while the file is rewritten counts twice
    redis_at.set("route", "1")
    assert list((tmp_path / "appendonlydir").iterdir())


class KafkaInCompose(Kafka):
    """A broker with the properties that the image makes of its variables, at addresses of this test."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.loopback_port = free_port()

    def told(self, data: Path) -> dict[str, str]:
        """What compose says, by the names of Kafka's own properties."""
        ports = {"9092": self.port, "9093": self._controller_port, "9094": self.loopback_port}
        variables = {n: str(v) for n, v in SERVICES["kafka"]["environment"].items() if n != "KAFKA_HEAP_OPTS"}
        found = {name.removeprefix("KAFKA_").lower().replace("_", "."): value for name, value in variables.items()}
        for name, value in found.items():
            here = value.replace("kafka:", "127.0.0.1:").replace("://:", "://127.0.0.1:")
            found[name] = re.sub("909[234]", lambda port: str(ports[port[0]]), here)
        return {**found, "log.dirs": str(data)}

    def _properties(self, data: Path) -> dict[str, object]:
        return dict(self.told(data))


def test_kafka_knows_each_property_and_listens_inside_and_on_loopback(tmp_path: Path, program: Program) -> None:
    program("java", "default-jre-headless")
    with KafkaInCompose(tmp_path / "kafka") as server:
        inside, admin = (
            AdminClient({"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 0})
            for port in (server.port, server.loopback_port)
        )
        assert inside.list_topics(timeout=60).brokers.keys() == {1}
        (asked,) = admin.describe_configs([ConfigResource(ConfigResource.Type.BROKER, "1")]).values()
        known = {name: entry.value for name, entry in asked.result(60).items()}
        told = server.told(tmp_path / "kafka" / "data")
        assert {name: known.get(name) for name in told} == told


def test_the_broker_s_health_check_has_a_bound_of_its_own_beside_the_broker() -> None:
    service = SERVICES["kafka"]
    heap = re.compile(r"-Xmx(\d+)m")
    mib = [
        int(heap.findall(text)[0]) for text in (service["environment"]["KAFKA_HEAP_OPTS"], str(service["healthcheck"]))
    ]
    assert service["deploy"]["resources"]["limits"]["memory"] == "1g"
    assert sum(mib) < 640  # what a JVM takes beside its heap is as much again for the small one


@pytest.fixture(scope="module")
def roles(module_server: Callable[..., Postgres], program: Program) -> dict[str, str]:
    """The passwords of the roles that the container's script has made; the server is as the image has it before."""
    server = module_server("postgres")
    made = {name: token_hex(24) for name in ("POSTGRES_PASSWORD", "HOMEOSTAT_DB_PASSWORD", "MLFLOW_DB_PASSWORD")}
    with psycopg.connect(server.url("postgres").replace("+psycopg", ""), autocommit=True) as owner:
        secret = sql.Literal(made["POSTGRES_PASSWORD"])
        owner.execute(sql.SQL("CREATE ROLE postgres SUPERUSER LOGIN PASSWORD {}").format(secret))
    at = {"host": "127.0.0.1", "port": str(server.port), "user": "postgres", "password": made["POSTGRES_PASSWORD"]}
    with psycopg.connect(dbname="postgres", autocommit=True, **at) as owner:  # type: ignore[arg-type]
        owner.execute("DROP DATABASE homeostat")
        owner.execute("ALTER ROLE homeostat RENAME TO installer")
    program("psql", "postgresql-client")
    told = {"PGHOST": at["host"], "PGPORT": at["port"], "PGPASSWORD": at["password"], **made}
    done = subprocess.run(
        ["sh", DEPLOY / "postgres" / "roles.sh"],
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {**made, "POSTGRES_HOST": f"{at['host']}:{at['port']}"}


def test_each_role_has_its_own_databases_and_enters_no_other(roles: dict[str, str]) -> None:
    where = roles["POSTGRES_HOST"]
    for name, own in (("homeostat", ["homeostat"]), ("mlflow", ["mlflow", "mlflow_auth"])):
        login = f"postgresql://{name}:{roles[f'{name.upper()}_DB_PASSWORD']}@{where}"
        for database in ("homeostat", "mlflow", "mlflow_auth"):
            if database in own:
                with psycopg.connect(f"{login}/{database}") as connection:
                    connection.execute("CREATE TABLE probe (id int)")
                    connection.rollback()  # MLflow finds its databases as they were
            else:
                with pytest.raises(psycopg.OperationalError, match="permission denied"):
                    psycopg.connect(f"{login}/{database}")


def test_mlflow_s_script_serves_with_passwords_artifacts_and_webhooks(
    roles: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, service = str(free_port()), SERVICES["mlflow"]
    fixed = {name: str(value) for name, value in service["environment"].items() if "${" not in str(value)}
    drawn = {
        name: token_hex(24) for name in ("MLFLOW_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY", "MLFLOW_WEBHOOK_KEY")
    }
    told = {name: value.replace("5000", port) for name, value in fixed.items()} | drawn | roles
    here = {"MLFLOW_HOST": "127.0.0.1", "MLFLOW_PORT": port, "MLFLOW_ARTIFACTS": str(tmp_path / "artifacts")}
    here |= {"TMPDIR": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    assert set(service["environment"]) - told.keys() == set()
    url, login = f"http://127.0.0.1:{port}", ("homeostat", drawn["MLFLOW_PASSWORD"])
    with running(rebuilt(service["command"], **{"/etc/mlflow": str(DEPLOY / "mlflow")}), tmp_path, told | here):
        until(lambda: answers(f"{url}/health"), START_S, why=(tmp_path / "log").read_text)
        check = rebuilt(service["healthcheck"]["test"][1:], **{"5000": port})
        assert subprocess.run([sys.executable, *check[1:]], check=False).returncode == 0
        asked = f"{url}/api/2.0/mlflow/experiments/search?max_results=1"
        assert httpx.get(asked, timeout=60).status_code == 401
        assert httpx.get(asked, auth=login, timeout=60).status_code == 200
        assert httpx.get(asked, auth=login, timeout=60, headers={"host": "elsewhere"}).status_code == 403
        artifact = f"{url}/api/2.0/mlflow-artifacts/artifacts/probe/model.txt"
        assert httpx.put(artifact, content=b"tree", auth=login, timeout=60).is_success
        assert httpx.get(artifact, auth=login, timeout=60).content == b"tree"
        for name, value in zip(("USERNAME", "PASSWORD"), login, strict=True):
            monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", value)
        subscribe(url, "homeostat-healer-parcels", "http://127.0.0.1:8080/webhooks", token_hex(24))
    assert (tmp_path / "basic_auth.ini").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("name", "package"), [("prometheus", "prometheus"), ("alertmanager", "prometheus-alertmanager")]
)
def test_what_watches_takes_the_options_it_is_given(tmp_path: Path, program: Program, name: str, package: str) -> None:
    url = f"127.0.0.1:{free_port()}"
    found = program("prometheus" if name == "prometheus" else "prometheus-alertmanager", package)
    paths = {f"/etc/{name}": str(DEPLOY / name), f"=/{name}": f"={tmp_path}"}
    command = [found, *rebuilt(SERVICES[name]["command"], **paths), f"--web.listen-address={url}"]
    with running(command, tmp_path, {}):
        until(lambda: answers(f"http://{url}/-/ready"), START_S, why=(tmp_path / "log").read_text)
