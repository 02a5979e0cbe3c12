"""The command line. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 contract refused, 4 ledger broken.

Feast and MLflow take seconds to import, so each command imports what it needs.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from homeostat.contract.load import contract_digest, load_contract
from homeostat.errors import ContractError, HomeostatError, LedgerError
from homeostat.settings import Settings

FAILED, REFUSED, BROKEN = 1, 3, 4
FLIGHTS = Path(__file__).parent / "examples" / "flights" / "contract.yaml"

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Keeps tabular models healthy on a moving stream.")
out = Console()
err = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Write JSON for a script.")]
Home = Annotated[Path | None, typer.Option(help="Folder of the embedded stores.", show_default=".homeostat/demo")]


@app.command()
def demo(
    seed: Annotated[int, typer.Option(help="Of everything random; the same seed gives the same decisions.")] = 7,
    home: Home = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Serve /metrics on loopback meanwhile; 0: a free port.")
    ] = None,
) -> None:
    """Replay a real year of flights through the whole loop and write a report."""
    folder = _home(home)
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


@app.command()
def check(file: Annotated[Path, typer.Argument(help="A contract.")], as_json: Json = False) -> None:
    """Say whether a contract is sound, and name everything that is not."""
    try:
        contract = load_contract(file)
    except ContractError as error:
        if as_json:
            _print_json({"file": str(file), "ok": False, "problems": error.problems})
        else:
            for problem in error.problems:
                err.print(problem, markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(REFUSED) from error
    if as_json:
        _print_json({"file": str(file), "ok": True, "product": contract.product, "digest": contract_digest(contract)})
    else:
        features = len(contract.features)
        out.print(
            f"{file}: {contract.product}, {features} features, sound (digest {contract_digest(contract)})",
            soft_wrap=True,
        )


@app.command()
def status(home: Home = None, as_json: Json = False) -> None:
    """Show who serves, where the healing case stands, and the last drift report."""
    folder = _existing(home)
    from homeostat.inspection import status_of

    found = status_of(folder)
    if as_json:
        _print_json(found)
        return
    table = Table(show_header=False, box=None)
    for name, value in found.items():
        table.add_row(f"[bold]{name}", "-" if value is None else str(value))
    out.print(table)


@app.command()
def log(
    home: Home = None,
    verify: Annotated[bool, typer.Option("--verify", help="Recompute the hash chain.")] = False,
    as_json: Json = False,
) -> None:
    """Show every decision with its reason, or verify that none was edited."""
    folder = _existing(home)
    from homeostat.inspection import ledger_of

    ledger = ledger_of(folder)
    if verify:
        count = ledger.verify()
        if as_json:
            _print_json({"entries": count, "ok": True})
        else:
            out.print(f"{count} entries, the chain is whole")
        return
    for entry in ledger.entries():
        if as_json:
            _print_json(
                {"seq": entry.seq, "at": entry.at.isoformat(), "kind": entry.kind, "actor": entry.actor,
                 "payload": dict(entry.payload), "hash": entry.hash}
            )  # fmt: skip
        else:
            reason = entry.payload.get("reason", "")
            line = f"{entry.seq:>4}  {entry.at:%Y-%m-%d %H:%M}  {entry.kind:<16} {entry.actor}: {reason}"
            out.print(line, markup=False, highlight=False, soft_wrap=True)


def main() -> None:
    """Run the command line; errors made on purpose end it with one clear line instead of a traceback."""
    try:
        app()
    except LedgerError as error:
        err.print(str(error), markup=False, highlight=False, soft_wrap=True)
        sys.exit(BROKEN)
    except HomeostatError as error:
        err.print(str(error), markup=False, highlight=False, soft_wrap=True)
        sys.exit(FAILED)


def _home(home: Path | None) -> Path:
    return home or Settings().home / "demo"


def _existing(home: Path | None) -> Path:
    folder = _home(home)
    if not (folder / "contract.yaml").exists():
        err.print(f"{folder} holds no product (no contract.yaml): run `homeostat demo`, or name a folder with --home")
        raise typer.Exit(FAILED)
    return folder


def _print_json(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
