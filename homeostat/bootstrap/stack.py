"""Fills the ports of a product: each role with the server that the settings name, else with the embedded store.

Feast and MLflow take seconds to import, so each is imported where it is first needed: who only reads the ledger
need not wait for them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from homeostat.adapters.all_alerts import AllAlerts
from homeostat.adapters.file_alerts import FileAlerts
from homeostat.adapters.memory_alerts import MemoryAlerts
from homeostat.adapters.prometheus_telemetry import PrometheusTelemetry
from homeostat.adapters.sql import SqlCases, SqlLedger
from homeostat.adapters.sqlite_log import SqliteLog
from homeostat.bootstrap.homes import instance_of, ledger_uri, mlflow_uri
from homeostat.contract.model import Contract
from homeostat.errors import HomeostatError
from homeostat.flow import topic_name
from homeostat.ports import (
    AlertSink,
    CaseStore,
    EventLog,
    Ledger,
    ModelRegistry,
    OfflineFeatures,
    OnlineFeatures,
    Telemetry,
)
from homeostat.settings import AlertSettings, Settings

_REDIS_S = "5"  # an answer takes a millisecond; who waits longer had better try again


class Ports(Protocol):
    """Every port of one product."""

    @property
    def log(self) -> EventLog:
        """The topics."""

    @property
    def online(self) -> OnlineFeatures:
        """The last row of each entity."""

    @property
    def offline(self) -> OfflineFeatures:
        """Every row, to train on."""

    @property
    def registry(self) -> ModelRegistry:
        """Versions and who serves."""

    @property
    def cases(self) -> CaseStore:
        """The healing case."""

    @property
    def ledger(self) -> Ledger:
        """What was decided."""

    @property
    def telemetry(self) -> Telemetry:
        """Numbers."""

    @property
    def workdir(self) -> Path:
        """Where an interrupted training finds its study again."""

    @property
    def alerts(self) -> AlertSink:
        """People."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Every port of one product, filled."""

    log: EventLog
    online: OnlineFeatures
    offline: OfflineFeatures
    registry: ModelRegistry
    cases: CaseStore
    ledger: Ledger
    telemetry: Telemetry
    workdir: Path
    alerts: AlertSink = field(default_factory=MemoryAlerts)


class LazyStack:
    """Ports filled when they are first used: a process waits for no server that it has no need of.

    A role goes to the server that the settings name; what has none is embedded below ``home``.
    """

    def __init__(self, contract: Contract, home: Path, settings: Settings, telemetry: Telemetry | None = None) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.telemetry = telemetry or PrometheusTelemetry()
        self._contract = contract
        self._home = home
        self._settings = settings

    @cached_property
    def log(self) -> EventLog:
        """The topics."""
        return open_log(self._contract, self._home, self._settings)

    @cached_property
    def online(self) -> OnlineFeatures:
        """The last row of each entity."""
        from homeostat.adapters.feast_features import FeastOnlineFeatures

        return FeastOnlineFeatures(self._contract, self._home / "feast", _online_store(self._settings))

    @cached_property
    def offline(self) -> OfflineFeatures:
        """Every row, to train on."""
        from homeostat.adapters.feast_features import FeastOfflineFeatures

        def was_archived(topic: str) -> bool:
            """Return whether rows of a topic were stored: their offset is committed behind that."""
            return self.log.committed("archive", topic_name(self._contract.product, topic)) > 0

        return FeastOfflineFeatures(self._contract, self._home / "feast", was_used=was_archived)

    @cached_property
    def registry(self) -> ModelRegistry:
        """Versions and who serves."""
        return open_registry(self._contract, self._home, self._settings)

    @cached_property
    def cases(self) -> CaseStore:
        """The healing case."""
        return SqlCases(sql_url(self._home, self._settings), self._contract.product)

    @cached_property
    def ledger(self) -> Ledger:
        """What was decided."""
        return SqlLedger(sql_url(self._home, self._settings), self._contract.product)

    @cached_property
    def workdir(self) -> Path:
        """Where an interrupted training finds its study again."""
        folder = self._home / "work"
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def alerts(self) -> AlertSink:
        """People; each sink reads anew what was sent, which another process may have done since."""
        return alert_sink(self._settings.alerts, self._home)


def embedded_stack(contract: Contract, home: Path, telemetry: Telemetry | None = None) -> Stack:
    """Return the stack that needs nothing but this machine's disk: everything lives below ``home``."""
    return open_stack(contract, home, Settings().without_servers(), telemetry)


def scratch_stack(contract: Contract, home: Path) -> Stack:
    """Return an embedded stack whose alerts reach nobody: they stay in a file below ``home``."""
    quiet = Settings().without_servers().model_copy(update={"alerts": AlertSettings()})
    return open_stack(contract, home, quiet)


def open_stack(contract: Contract, home: Path, settings: Settings, telemetry: Telemetry | None = None) -> Stack:
    """Return the stack that the settings name, every port of it open."""
    lazy = LazyStack(contract, home, settings, telemetry)
    return Stack(**{port.name: getattr(lazy, port.name) for port in fields(Stack)})


def open_log(contract: Contract, home: Path, settings: Settings, *, read_only: bool = False) -> EventLog:
    """Return the event log that the settings name; ``read_only`` keeps an embedded one from any change."""
    if settings.kafka is None:
        return SqliteLog(home / "log.db", power_safe=settings.power_safe, read_only=read_only)
    from homeostat.adapters.kafka_log import KafkaLog

    return KafkaLog(settings.kafka, contract.product, entity=contract.event.entity)


def sql_url(home: Path, settings: Settings) -> str:
    """Return where cases and ledger are."""
    return settings.sql.url.get_secret_value() if settings.sql else ledger_uri(home)


def open_registry(contract: Contract, home: Path, settings: Settings) -> ModelRegistry:
    """Return the model registry alone, made where it is missing; importing MLflow takes 3 s."""
    from homeostat.adapters.mlflow_registry import MlflowRegistry

    uri = settings.mlflow_url or mlflow_uri(home)
    return MlflowRegistry(uri, instance_of(home) / "artifacts" / contract.product, contract.product)


def follow_registry(contract: Contract, settings: Settings, process: str, path: str) -> None:
    """Ask MLflow's server to knock at a path of this process at each edit, where the settings say how it gets here."""
    if settings.mlflow is None or settings.mlflow.webhook_url is None or settings.mlflow.webhook_secret is None:
        return
    from homeostat.adapters.mlflow_registry.subscription import subscribe

    url = f"{str(settings.mlflow.webhook_url).rstrip('/')}{path}"
    secret = settings.mlflow.webhook_secret.get_secret_value()
    subscribe(str(settings.mlflow_url), f"homeostat-{process}-{contract.product}", url, secret)


def _online_store(settings: Settings) -> Mapping[str, object] | None:
    """Return Feast's section of the online store, None for the embedded one."""
    if settings.redis is None:
        return None
    return {"type": "redis", "connection_string": feast_address(settings.redis.url.get_secret_value())}


def feast_address(url: str) -> str:
    """Return a Redis URL as Feast wants it: options behind commas, each value JSON.

    >>> feast_address("rediss://:secret@redis.example:6380/2")
    'redis.example:6380,password="secret",db=2,ssl=true,socket_timeout=5,socket_connect_timeout=5'
    """
    parts = urlsplit(url)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if "," in user + password:
        raise HomeostatError("HOMEOSTAT_REDIS__URL: Feast takes no comma in a user or password; choose another one")
    options = {
        "username": json.dumps(user) if user else "",
        "password": json.dumps(password) if password else "",
        "db": parts.path.strip("/"),
        "ssl": "true" if parts.scheme == "rediss" else "",
        "socket_timeout": _REDIS_S,
        "socket_connect_timeout": _REDIS_S,
    }
    address = f"{parts.hostname}:{parts.port or 6379}"
    return ",".join([address, *(f"{name}={value}" for name, value in options.items() if value)])


def alert_sink(settings: AlertSettings, home: Path) -> AlertSink:
    """Return where the alerts of a product go: a file, by default below its home, and a webhook if one is set."""
    sinks: list[AlertSink] = [FileAlerts(settings.file or home / "alerts.jsonl")]
    if settings.webhook is not None:
        from homeostat.adapters.webhook_alerts import WebhookAlerts

        secret = settings.secret.get_secret_value() if settings.secret else None
        sinks.append(WebhookAlerts(str(settings.webhook), secret, home / "work" / "alerts.sent"))
    return AllAlerts(sinks)


def registry_of(contract: Contract, home: Path) -> ModelRegistry:
    """Return the model registry of a product alone."""
    return open_registry(contract, home, Settings())


def ledger_of(contract: Contract, home: Path) -> Ledger:
    """Return the ledger alone, which survives the loss of everything else."""
    return SqlLedger(sql_url(home, Settings()), contract.product)
