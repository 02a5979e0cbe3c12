"""`make servers`: every server natively on loopback, until Ctrl-C."""

import signal
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from shlex import quote
from time import sleep
from typing import Annotated

import typer

from deploy.servers import MissingProgramError, Server, ServerError
from deploy.servers.fleet import Fleet

_Pairs = list[str] | None


def main(
    folder: Annotated[Path, typer.Option(help="Where they keep their data.")] = Path(".homeostat/servers"),
    port: Annotated[_Pairs, typer.Option(help="Of a server: kafka=9092. Free ones if not given.")] = None,
    scrape: Annotated[_Pairs, typer.Option(help="Whom Prometheus looks at: predictor=127.0.0.1:8080.")] = None,
    webhook: Annotated[str, typer.Option(help="Where Alertmanager posts alerts.")] = "http://127.0.0.1:9095/",
) -> None:
    """Start Kafka, Redis, PostgreSQL, MLflow, Alertmanager and Prometheus on loopback, and end them together."""
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, lambda *_: sys.exit(0))
    fleet = Fleet.below(folder, _ports(port), webhook)
    _demand_programs(fleet.all)
    fleet.prometheus.scrape(_pairs(scrape))
    try:
        with ExitStack() as running:
            for server in fleet.all:
                running.enter_context(server)
                typer.echo(f"{server.name:<13} 127.0.0.1:{server.port}")
            env_file = _write(fleet, folder)
            running.callback(env_file.unlink, missing_ok=True)
            typer.echo(f"\nIn another shell: set -a; . {env_file}; set +a\nCtrl-C ends them all.")
            _wait(fleet.all)
    except ServerError as error:
        sys.exit(str(error))


def _ports(given: _Pairs) -> dict[str, int]:
    names = {field.name for field in fields(Fleet)}
    for name, number in _pairs(given).items():
        if name not in names or not number.isdecimal():
            raise typer.BadParameter(f"{name}={number} is not one of {', '.join(sorted(names))}, = and a number")
    return {name: int(number) for name, number in _pairs(given).items()}


def _pairs(given: _Pairs) -> dict[str, str]:
    return {name: value for name, _, value in (pair.partition("=") for pair in given or ())}


def _demand_programs(servers: Iterable[Server]) -> None:
    missing = []
    looked_for = {"every server": Server.find_guard, **{server.name: server.find for server in servers}}
    for name, find in looked_for.items():
        try:
            find()
        except MissingProgramError as error:
            missing.append(f"{name}: {error}")
    if missing:
        sys.exit("\n".join(missing))


def _write(fleet: Fleet, folder: Path) -> Path:
    """Write down where they are, for nobody else to read."""
    path = folder / "servers.env"
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={quote(value)}\n" for name, value in fleet.environment().items()))
    return path


def _wait(servers: Iterable[Server]) -> None:
    """Return never: until a signal comes, or one of them ends by itself."""
    while True:
        for server in servers:
            if not server.is_running():
                raise ServerError(f"{server.name} ended by itself; it said last:\n{server.last_lines()}")
        sleep(1)


if __name__ == "__main__":
    typer.run(main)
