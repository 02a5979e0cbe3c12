"""All servers of a deployment, as they belong together."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from deploy.servers.kafka import Kafka
from deploy.servers.mlflow import Mlflow
from deploy.servers.postgres import Postgres
from deploy.servers.prometheus import Alertmanager, Prometheus
from deploy.servers.redis import Redis
from deploy.servers.server import Server

_DEPLOYED = Path(__file__).parents[1]


@dataclass(frozen=True)
class Fleet:
    """One server of each kind, in the order in which they start; being here starts none."""

    kafka: Kafka
    redis: Redis
    postgres: Postgres
    mlflow: Mlflow
    alertmanager: Alertmanager
    prometheus: Prometheus

    @classmethod
    def below(cls, folder: Path, ports: Mapping[str, int], webhook: str) -> Self:
        """Return servers with a folder each below one.

        Args:
            folder: Made where it is missing.
            ports: By name of the server; free ones where none is given.
            webhook: Where alerts are posted.
        """
        postgres = Postgres(folder / "postgres", ports.get("postgres"))
        alertmanager = Alertmanager(
            folder / "alertmanager",
            ports.get("alertmanager"),
            config=_DEPLOYED / "alertmanager" / "alertmanager.yml",
            webhook=webhook,
        )
        return cls(
            kafka=Kafka(folder / "kafka", ports.get("kafka")),
            redis=Redis(folder / "redis", ports.get("redis")),
            postgres=postgres,
            mlflow=Mlflow(folder / "mlflow", postgres, ports.get("mlflow")),
            alertmanager=alertmanager,
            prometheus=Prometheus(
                folder / "prometheus",
                ports.get("prometheus"),
                rules=[_DEPLOYED / "prometheus" / "rules" / "*.yml"],
                alertmanager=alertmanager.address,
            ),
        )

    @property
    def all(self) -> tuple[Server, ...]:
        """Every server, in the order in which they start."""
        return (self.kafka, self.redis, self.postgres, self.mlflow, self.alertmanager, self.prometheus)

    def environment(self) -> dict[str, str]:
        """Return what Homeostat's processes need to know of them, with passwords."""
        return {
            "HOMEOSTAT_KAFKA__BROKERS": self.kafka.brokers,
            "HOMEOSTAT_REDIS__URL": self.redis.url,
            "HOMEOSTAT_SQL__URL": self.postgres.url(),
            "HOMEOSTAT_MLFLOW__URL": self.mlflow.url,
            "MLFLOW_TRACKING_USERNAME": self.mlflow.username,
            "MLFLOW_TRACKING_PASSWORD": self.mlflow.password,
        }
