"""Puts adapters under the steps: the only importer of adapters."""

from homeostat.bootstrap.homes import instance_of, ledger_uri, mlflow_uri, product_home
from homeostat.bootstrap.loop import Loop, build_loop
from homeostat.bootstrap.sharing import share
from homeostat.bootstrap.sight import (
    Sight,
    fetch_metrics,
    followed_registry,
    instance_clock,
    metric_samples,
    mlflow_file,
    mlflow_page,
    process_telemetry,
    replay_pace,
    serve_metrics,
    sight_of,
    sqlite_damage,
)
from homeostat.bootstrap.stack import (
    LazyStack,
    Ports,
    Stack,
    alert_sink,
    embedded_stack,
    follow_registry,
    ledger_of,
    open_stack,
    registry_of,
)
from homeostat.bootstrap.workers import build_worker, build_workers, embedded_ingestor

__all__ = [
    "LazyStack",
    "Loop",
    "Ports",
    "Sight",
    "Stack",
    "alert_sink",
    "build_loop",
    "build_worker",
    "build_workers",
    "embedded_ingestor",
    "embedded_stack",
    "fetch_metrics",
    "follow_registry",
    "followed_registry",
    "instance_clock",
    "instance_of",
    "ledger_of",
    "ledger_uri",
    "metric_samples",
    "mlflow_file",
    "mlflow_page",
    "mlflow_uri",
    "open_stack",
    "process_telemetry",
    "product_home",
    "registry_of",
    "replay_pace",
    "serve_metrics",
    "share",
    "sight_of",
    "sqlite_damage",
]
