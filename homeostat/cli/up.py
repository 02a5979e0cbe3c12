"""``homeostat up``: everything a product needs, always on, in one command."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from homeostat.cli.shared import REFUSED, err, live_home, out
from homeostat.errors import ContractError


def up(
    *,
    contract: Annotated[
        list[Path] | None,
        typer.Option(help="A contract; several times for several products. Default: those the folder has."),
    ] = None,
    home: Annotated[Path | None, typer.Option(help="Folder of the instance.", show_default=".homeostat/live")] = None,
    host: Annotated[
        str, typer.Option(help="Where the API listens; beyond loopback it takes HOMEOSTAT_TOKENS.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the API; 0 takes a free one.")] = 8000,
    mlflow_port: Annotated[int, typer.Option(min=0, max=65535, help="Of the MLflow UI; 0 takes a free one.")] = 5000,
    clock: Annotated[
        Literal["system", "stream"], typer.Option(help="stream: the time is what a replay says it is.")
    ] = "system",
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 7,
) -> None:
    """Start API, ingestion, drift watch, healer, trainer and MLflow UI, and run until Ctrl-C."""
    from homeostat.processes.instance import Instance
    from homeostat.processes.launch import Wanted
    from homeostat.processes.launch import up as run

    folder = live_home(home)

    def say(text: str) -> None:
        out.print(text, markup=False, highlight=False, soft_wrap=True)

    def on_ready(instance: Instance) -> None:
        places = [
            *((f"API {product}", f"{instance.url}/v1/{product}") for product in instance.products),
            ("docs", f"{instance.url}/docs"),
            ("metrics", f"{instance.url}/metrics"),
            ("MLflow UI", instance.mlflow_url),
            ("logs", str(folder / "logs")),
            ("status", f"homeostat status --home {folder}"),
            ("stop", f"Ctrl-C, or kill {instance.pid}"),
        ]
        width = max(len(name) for name, _ in places) + 2
        say("\n".join(f"{name:<{width}}{place}" for name, place in places))

    wanted = Wanted(contract or (), host, port, mlflow_port, clock, seed)
    say(f"starting on {folder}; Feast and MLflow take some seconds to load ...")
    try:
        code = run(wanted, folder, say, on_ready)
    except ContractError as error:
        for problem in error.problems:
            err.print(problem, markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(REFUSED) from error
    raise typer.Exit(code)
