"""The servers themselves: killed or not, they keep what they were given, and they never outlive who started them."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import httpx
import psutil
import psycopg
import pytest
import redis
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from deploy.servers import Kafka, MissingProgramError, Mlflow, Postgres, Prometheus, Redis, ServerError
from deploy.servers.program import find_program

ROOT = Path(__file__).parents[2]
DEADLINE_S = 120.0


def until(happened: Callable[[], bool]) -> None:
    deadline = monotonic() + DEADLINE_S
    while not happened():
        assert monotonic() < deadline
        sleep(0.05)


def test_a_missing_program_is_named_with_the_package_that_brings_it() -> None:
    with pytest.raises(MissingProgramError) as missing:
        find_program("nosuchd", "nosuch-server", folders="usr/lib/nosuch/*/bin")
    assert str(missing.value) == "nosuchd is not installed; on Debian and Ubuntu: apt-get install nosuch-server"


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_broker_started_again_has_its_address_and_messages(own_server: Callable[[str], Kafka], end: str) -> None:
    broker = own_server("kafka")
    admin = KafkaAdminClient(bootstrap_servers=broker.brokers)
    admin.create_topics([NewTopic("parcels", 1, 1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=broker.brokers, acks="all")
    producer.send("parcels", b"first").get(60)
    producer.close()
    getattr(broker, end)()
    broker.start()
    reader = KafkaConsumer("parcels", bootstrap_servers=broker.brokers, auto_offset_reset="earliest")
    assert next(reader).value == b"first"
    reader.close()


def test_a_broker_takes_users_by_password_and_clients_by_certificate(kafka: Kafka) -> None:
    by_password = {
        "bootstrap_servers": kafka.secured_brokers,
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": kafka.username,
        "sasl_plain_password": kafka.password,
        "ssl_cafile": str(kafka.certificate),
    }
    by_certificate = {
        "bootstrap_servers": kafka.mutual_brokers,
        "security_protocol": "SSL",
        "ssl_cafile": str(kafka.certificate),
        "ssl_certfile": str(kafka.certificate),
        "ssl_keyfile": str(kafka.key),
    }
    for way in (by_password, by_certificate):
        client = KafkaAdminClient(**way)
        assert isinstance(client.list_topics(), list)
        client.close()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_redis_started_again_has_its_address_and_keys(own_server: Callable[[str], Redis], end: str) -> None:
    server = own_server("redis")
    with redis.Redis.from_url(server.url) as client:
        client.set("route", "1")
        getattr(server, end)()
        server.start()
        assert client.get("route") == b"1"
    with redis.Redis(port=server.port, retry=None) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_postgres_started_again_has_its_address_and_rows(own_server: Callable[[str], Postgres], end: str) -> None:
    server = own_server("postgres")
    url = server.make_database("parcels").replace("+psycopg", "")
    assert server.make_database("parcels") == server.url("parcels")
    held = psycopg.connect(url, autocommit=True)  # a client that never leaves does not keep it from stopping
    held.execute("CREATE TABLE routes AS SELECT 1 AS id")
    getattr(server, end)()
    server.start()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT id FROM routes").fetchall() == [(1,)]
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(url.replace(server.password, "guessed"))


def test_mlflow_asks_who_is_there(mlflow_server: Mlflow) -> None:
    experiments = f"{mlflow_server.url}/api/2.0/mlflow/experiments/search?max_results=1"
    assert httpx.get(experiments, timeout=60).status_code == 401
    login = (mlflow_server.username, mlflow_server.password)
    assert httpx.get(experiments, auth=login, timeout=60).status_code == 200


def test_prometheus_scrapes_who_it_is_told_to(prometheus: Prometheus) -> None:
    def value() -> str:
        answer = httpx.get(f"{prometheus.url}/api/v1/query", params={"query": 'up{process="itself"}'}, timeout=60)
        return str([series["value"][1] for series in answer.json()["data"]["result"]])

    prometheus.scrape({"itself": f"127.0.0.1:{prometheus.port}"})
    until(lambda: value() == "['1']")
    prometheus.scrape({})


def test_a_server_that_can_not_start_says_what_it_said_last(tmp_path: Path, redis_server: Redis) -> None:
    with pytest.raises(ServerError, match="Address already in use"):
        Redis(tmp_path, redis_server.port).start()


def test_a_server_ends_with_the_process_that_started_it(redis_server: Redis, tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from deploy.servers import Redis
print(Redis(Path(sys.argv[1])).start().port, flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as starter:
        port = starter.stdout.readline().strip()
        assert port
        (server,) = psutil.Process(starter.pid).children()
        assert server.is_running()
        starter.send_signal(signal.SIGKILL)
    until(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE)
