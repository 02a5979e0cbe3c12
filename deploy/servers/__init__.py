"""The servers that a company runs, started natively on loopback: for development, tests and drills without Docker."""

from deploy.servers.kafka import Kafka
from deploy.servers.mlflow import Mlflow
from deploy.servers.postgres import Postgres
from deploy.servers.program import MissingProgramError, free_port
from deploy.servers.prometheus import Alertmanager, Prometheus
from deploy.servers.redis import Redis
from deploy.servers.server import Server, ServerError

__all__ = [
    "Alertmanager",
    "Kafka",
    "MissingProgramError",
    "Mlflow",
    "Postgres",
    "Prometheus",
    "Redis",
    "Server",
    "ServerError",
    "free_port",
]
