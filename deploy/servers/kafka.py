"""Apache Kafka as one KRaft node, its jars from Maven Central."""

import base64
import secrets
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from kafka.admin import KafkaAdminClient  # type: ignore[import-untyped]
from kafka.errors import KafkaError  # type: ignore[import-untyped]

from deploy.servers.program import find_program, free_port
from deploy.servers.server import Server, run

_POM = Path(__file__).with_name("kafka-pom.xml")
_CACHE = Path.home() / ".cache" / "homeostat"
_RETRY = "-Dmaven.wagon.http.retryHandler.count=5"
_MINUTES_OF_A_YEAR = 365 * 24 * 60
MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")


class Kafka(Server):
    """A broker that is its own controller; topics are made by whoever needs them.

    Args:
        folder: Of its data.
        port: Of the listener without encryption and names.
        secured: Open two more listeners: ``secured_brokers`` by TLS for users with a password (SASL_SSL,
            any of ``MECHANISMS``), ``mutual_brokers`` by TLS for clients with a certificate (SSL).
    """

    name = "kafka"

    def __init__(self, folder: Path, port: int | None = None, *, secured: bool = False) -> None:
        super().__init__(folder, port)
        self._controller_port = free_port()
        self._secured_port = free_port() if secured else None
        self._mutual_port = free_port() if secured else None
        self.username = "homeostat"
        self.password = secrets.token_urlsafe(24)
        self.certificate = self.folder / "certificate.pem"  # the server's own, its CA's, and a client's
        self.key = self.folder / "key.pem"
        self._keystore = self.folder / "keystore.pem"
        self._file = self.folder / "server.properties"

    @property
    def brokers(self) -> str:
        """Where clients begin, without encryption and names."""
        return f"127.0.0.1:{self.port}"

    @property
    def secured_brokers(self) -> str:
        """Where clients with a password begin: SASL_SSL, any of ``MECHANISMS``, ``certificate`` is the CA."""
        return f"127.0.0.1:{self._secured_port}"

    @property
    def mutual_brokers(self) -> str:
        """Where clients with a certificate begin: SSL, ``certificate`` and ``key``."""
        return f"127.0.0.1:{self._mutual_port}"

    def find(self) -> None:
        """Look for Java, and for Maven where the jars are not there yet."""
        find_program("java", "default-jre-headless")
        if not _jars().exists():
            find_program("mvn", "maven")

    def prepare(self) -> None:
        """Fetch the jars once, write the properties, format the data folder once."""
        fetch_jars()
        data = self.folder / "data"
        self.configure(data)
        if not (data / "meta.properties").exists():
            shutil.rmtree(data, ignore_errors=True)  # what a start left that was interrupted here
            java = _java("-Xmx128m", "-XX:TieredStopAtLevel=1")
            run([*java, "kafka.tools.StorageTool", *self.format_arguments()])

    def configure(self, data: Path) -> None:
        """Write the properties of a broker with its data there, and a certificate once."""
        if self._secured_port and not self._keystore.exists():
            self._make_certificate()
        self._file.write_text("".join(f"{name}={value}\n" for name, value in self._properties(data).items()))

    def format_arguments(self) -> list[str]:
        """Return what Kafka's storage tool has to be told to make the data folder, users and all."""
        cluster = "h" + base64.urlsafe_b64encode(uuid4().bytes).decode()[1:22]
        told = ["format", "--cluster-id", cluster, "--config", str(self._file)]
        if self._secured_port:  # a mechanism knows only the users that were given to it
            for mechanism in MECHANISMS:
                told += ["--add-scram", f"{mechanism}=[name={self.username},password={self.password}]"]
        return told

    def command(self) -> list[str]:
        """Return the command line of the broker."""
        return [*_java("-Xms128m", "-Xmx512m", "-XX:+UseG1GC"), "kafka.Kafka", str(self._file)]

    def is_ready(self) -> bool:
        """Return whether the broker answers a question about its topics."""
        try:
            client = KafkaAdminClient(bootstrap_servers=self.brokers, bootstrap_timeout_ms=2_000)
        except KafkaError:
            return False
        try:
            client.list_topics()
        except KafkaError:
            return False
        finally:
            client.close()
        return True

    def _properties(self, data: Path) -> dict[str, object]:
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": data,
            "auto.create.topics.enable": "false",
            "num.partitions": 1,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,  # 50 by default: on one node they only slow a restart down
            "offsets.retention.minutes": _MINUTES_OF_A_YEAR,  # a reader on holiday keeps its place
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "broker.session.timeout.ms": 4_000,  # 9 s by default: so long a restart waits after a kill -9
            "broker.heartbeat.interval.ms": 500,
            **self._listeners(),
        }

    def _listeners(self) -> dict[str, object]:
        ports = {"PLAINTEXT": self.port, "SASL_SSL": self._secured_port, "SSL": self._mutual_port}
        open_to_clients = {name: port for name, port in ports.items() if port}
        properties: dict[str, object] = {
            "listeners": _addresses({**open_to_clients, "CONTROLLER": self._controller_port}),
            "advertised.listeners": _addresses(open_to_clients),
            "listener.security.protocol.map": ",".join(
                ["CONTROLLER:PLAINTEXT", *(f"{name}:{name}" for name in open_to_clients)]
            ),
        }
        if not self._secured_port:
            return properties
        module = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        logins = {f"listener.name.sasl_ssl.{name.lower()}.sasl.jaas.config": module for name in MECHANISMS}
        return properties | {
            "sasl.enabled.mechanisms": ",".join(MECHANISMS),
            **logins,
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self._keystore,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.certificate,
            "listener.name.ssl.ssl.client.auth": "required",
        }

    def _make_certificate(self) -> None:
        """Write one self-signed certificate: trusting it is trusting its CA, and the broker trusts it as a client's."""
        # fmt: off
        run([
            find_program("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "30", "-subj", "/CN=homeostat", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
            "-keyout", str(self.key), "-out", str(self.certificate),
        ])
        # fmt: on
        self._keystore.touch(mode=0o600)
        self._keystore.write_text(self.key.read_text() + self.certificate.read_text())


def fetch_jars() -> None:
    """Bring the broker's jars from Maven Central, once for all checkouts of this user."""
    if _jars().exists():
        return
    _CACHE.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=_CACHE) as folder:
        fetched = Path(folder) / "jars"
        maven = [find_program("mvn", "maven"), "--quiet", "--batch-mode", _RETRY, "--file", str(_POM)]
        run([*maven, "dependency:copy-dependencies", f"-DoutputDirectory={fetched}"])
        try:
            fetched.rename(_jars())
        except OSError:
            if not _jars().exists():  # else another process was faster
                raise


def _jars() -> Path:
    version = _POM.read_text().partition("kafka_2.13</artifactId>")[2].partition("<version>")[2].partition("<")[0]
    return _CACHE / f"kafka-{version}"


def _java(*options: str) -> list[str]:
    java = find_program("java", "default-jre-headless")
    level = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return [java, *options, level, "-cp", f"{_jars()}/*"]


def _addresses(ports: dict[str, int]) -> str:
    return ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items())
