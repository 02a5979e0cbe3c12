"""What an onlooker needs of a product: none of it takes seconds to open."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from homeostat.adapters import metrics_page, sqlite_files
from homeostat.adapters.apscheduler_pace import ReplayPace
from homeostat.adapters.followed_registry import FollowedRegistry, Registry
from homeostat.adapters.mlflow_file import MlflowFile
from homeostat.adapters.mlflow_page import MlflowPage
from homeostat.adapters.oidc_tokens import Issuer, OidcTokens
from homeostat.adapters.prometheus_telemetry import PrometheusTelemetry
from homeostat.adapters.sql import SqlCases, SqlLedger
from homeostat.adapters.stream_clock import StreamClock
from homeostat.adapters.system_clock import SystemClock
from homeostat.bootstrap.homes import instance_of
from homeostat.bootstrap.stack import Ports, open_log, sql_url
from homeostat.contract.model import Contract
from homeostat.errors import HomeostatError
from homeostat.ports import AliasReader, CaseStore, Clock, EventLog, Ledger
from homeostat.settings import Settings

# what an onlooker reads: a running instance's metrics, and stored files
fetch_metrics = metrics_page.fetch
metric_samples = metrics_page.samples
sqlite_damage = sqlite_files.damage
process_telemetry = PrometheusTelemetry  # one for all products of a process


@dataclass(frozen=True, slots=True)
class Sight:
    """The ports of one product that an onlooker needs: none of them takes seconds to open."""

    log: EventLog
    cases: CaseStore
    ledger: Ledger
    registry: AliasReader


def sight_of(contract: Contract, home: Path) -> Sight:
    """Return what an onlooker needs of a product, from the servers in the settings or below ``home``."""
    settings = Settings()
    url = sql_url(home, settings)
    return Sight(
        log=open_log(contract, home, settings),
        cases=SqlCases(url, contract.product),
        ledger=SqlLedger(url, contract.product),
        registry=mlflow_page(contract, settings.mlflow_url) if settings.mlflow_url else mlflow_file(contract, home),
    )


def past_of(contract: Contract, home: Path) -> EventLog:
    """Return the event log of a product to read and no more, also while its instance runs."""
    return open_log(contract, home, Settings(), read_only=True)


def mlflow_page(contract: Contract, url: str) -> MlflowPage:
    """Return where decisions are handed in while MLflow's server runs: it needs no import of MLflow."""
    settings = Settings()
    return MlflowPage(url, contract.product, settings.mlflow_login)


def oidc_tokens(settings: Settings) -> OidcTokens | None:
    """Return who vouches for callers, None where only the instance's own tokens count."""
    said = settings.oidc
    if said is None:
        return None
    return OidcTokens(Issuer(said.issuer, said.audience, str(said.jwks_url), said.role_claim, said.name_claim))


def mlflow_file(contract: Contract, home: Path) -> MlflowFile:
    """Return the registry of the embedded stack as an onlooker sees it."""
    return MlflowFile(instance_of(home) / "mlflow.db", contract.product)


@contextmanager
def serve_metrics(stack: Ports, port: int) -> Iterator[int]:
    """Serve ``/metrics`` on loopback for the length of a ``with`` block and give the port.

    Raises:
        HomeostatError: The port is taken, or the stack's telemetry can't be served.
    """
    if not isinstance(stack.telemetry, PrometheusTelemetry):
        raise HomeostatError(f"{type(stack.telemetry).__name__} has no /metrics: use the Prometheus telemetry")
    close, bound = stack.telemetry.serve(port)
    try:
        yield bound
    finally:
        close()


def followed_registry(open_registry: Callable[[], Registry], folder: Path) -> FollowedRegistry:
    """Return who serves as last known, kept below a folder; the registry is opened and asked by a thread."""
    return FollowedRegistry(open_registry, folder)


def replay_pace(every: timedelta, start: datetime) -> ReplayPace:
    """Return the pace of periodic work in event time."""
    return ReplayPace(every, start)


def instance_clock(stream: Path | None) -> Clock:
    """Return the machine's clock, or the one that a replay sets through a file."""
    return StreamClock(stream) if stream else SystemClock()
