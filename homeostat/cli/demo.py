"""``homeostat demo``: a real stream through the whole loop."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from homeostat.cli.shared import FAILED, Home, err, out
from homeostat.contract.load import load_contract
from homeostat.settings import Settings

FLIGHTS = Path(__file__).parents[1] / "examples" / "flights" / "contract.yaml"


def demo(
    seed: Annotated[int, typer.Option(help="Of everything random; the same seed gives the same decisions.")] = 7,
    home: Home = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Serve /metrics on loopback meanwhile; 0: a free port.")
    ] = None,
) -> None:
    """Replay a real year of flights through the whole loop and write a report."""
    folder = home or Settings().home / "demo"
    if folder.exists() and any(folder.iterdir()) and not (folder / "contract.yaml").exists():
        err.print(f"{folder} holds something else than a demo: name another folder with --home")
        raise typer.Exit(FAILED)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(FLIGHTS, folder / "contract.yaml")
    out.print("loading a year of flights, Feast and MLflow ...")
    from homeostat.replay.ahead import IngestAhead

    with IngestAhead(folder / "contract.yaml", folder) as ingestor:
        from homeostat.examples.flights.stream import load
        from homeostat.replay.demo import mlflow_command, run_demo

        contract = load_contract(folder / "contract.yaml")
        port = Settings().metrics_port if metrics_port is None else metrics_port
        run_demo(contract, load(), folder, ingestor, seed=seed, metrics_port=port)
    for name, value in (
        ("report", folder / "report.html"),
        ("figures", folder / "report.json"),
        ("decisions", f"homeostat log --home {folder}"),
        ("MLflow", mlflow_command(folder)),
    ):
        out.print(f"{name + ':':<10} {value}", markup=False, highlight=False, soft_wrap=True)
