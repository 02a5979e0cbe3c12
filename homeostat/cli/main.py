"""Puts the commands together; each imports what it needs when it runs, for Feast and MLflow take seconds."""

import sys

import typer

from homeostat.cli import contracts, demo, doctor, drift, example, init, look, operate, rehearse, replay, up
from homeostat.cli.shared import BROKEN, FAILED, err
from homeostat.errors import HomeostatError, LedgerError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Keeps tabular models healthy on a moving stream.")
for command in (
    demo.demo,
    example.example,
    init.init,
    contracts.check,
    look.status,
    drift.drift,
    look.log,
    doctor.doctor,
    up.up,
    replay.backfill,
    replay.replay,
    rehearse.rehearse,
):
    app.command()(command)
for decision in (operate.approve, operate.reject, operate.hold, operate.rollback, operate.retrain):
    app.command()(decision)


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
