"""``homeostat status`` and ``log``: what is, what was decided."""

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from homeostat.cli import remote
from homeostat.cli.shared import TIMES, Home, Json, Product, Url, existing, out, print_json

if TYPE_CHECKING:
    from homeostat.ports import Ledger

    History = Ledger | remote.Exported

REFRESH_S = 1.0


def status(
    home: Home = None,
    product: Product = None,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh every second until Ctrl-C.")] = False,
    url: Url = None,
    *,
    as_json: Json = False,
) -> None:
    """Show who serves, where the healing case stands, what it waits for, and the last drift report."""
    look = partial(remote.status, url, product) if url else _looking(existing(home, product))
    if watch:
        _watch(look, as_json=as_json)
        return
    found = look()
    if as_json:
        print_json(found)
        return
    from homeostat.inspection.page import page

    out.print(page(found))


def _looking(folder: Path) -> Callable[[], dict[str, Any]]:
    from homeostat.inspection import onlooker_of, status_of

    return partial(status_of, folder, onlooker_of(folder))


def log(
    home: Home = None,
    product: Product = None,
    *,
    verify: Annotated[bool, typer.Option("--verify", help="Recompute the hash chain.")] = False,
    export: Annotated[
        Path | None,
        typer.Option(
            "--file",
            exists=True,
            dir_okay=False,
            help="Verify what --json wrote; with --home, also that the ledger there still begins with it.",
        ),
    ] = None,
    at: Annotated[
        datetime | None,
        typer.Option("--at", formats=TIMES, metavar="TIME", help="Who served which share then; UTC without a zone."),
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show every decision with its reason, who served at a moment, or verify that none was edited."""
    from homeostat.healing.chain import as_line

    ledger = remote.ledger(url, product) if url else _ledger(home, product) if home or export is None else None
    if verify or export is not None or ledger is None:
        count = _verified(ledger, export)
        if as_json:
            print_json({"entries": count, "ok": True})
        else:
            out.print(f"{count} entries, the chain is whole")
        return
    if at is not None:
        _show_serving(ledger, at if at.tzinfo else at.replace(tzinfo=UTC), as_json=as_json)
        return
    for entry in ledger.entries():
        if as_json:
            sys.stdout.write(f"{as_line(entry)}\n")
        else:
            reason = entry.payload.get("reason", "")
            line = f"{entry.seq:>4}  {entry.at:%Y-%m-%d %H:%M}  {entry.kind:<16} {entry.actor}: {reason}"
            out.print(line, markup=False, highlight=False, soft_wrap=True)


def _ledger(home: Path | None, product: str | None) -> "Ledger":
    from homeostat.inspection import ledger_of

    return ledger_of(existing(home, product))


def _verified(ledger: "History | None", export: Path | None) -> int:
    """Return how many entries were verified: of the export where there is one, else of the ledger."""
    from homeostat.healing.chain import in_lines, verify_export

    count = ledger.verify() if ledger else 0
    if export is None:
        return count
    with export.open(encoding="utf-8") as lines:
        return verify_export(in_lines(lines), ledger.entries() if ledger else None)


def _show_serving(ledger: "History", time: datetime, *, as_json: bool) -> None:
    from homeostat.healing.serving import serving_at

    found = serving_at(ledger.entries(), time)
    entry = found.since
    if as_json:
        print_json({
            "at": time.isoformat(), "champion": found.champion, "challenger": found.challenger,
            "shares": found.shares, "entry": entry.seq if entry else None,
        })  # fmt: skip
        return
    if entry is None:
        out.print(f"{time:%Y-%m-%d %H:%M} UTC: no version served yet")
        return
    told = ", ".join(f"version {version} answered {share:.0%}" for version, share in found.shares.items())
    told = told or f"versions {found.champion} and {found.challenger} answered, in shares that the ledger does not hold"
    why = f"since entry {entry.seq}, {entry.kind} of {entry.at:%Y-%m-%d %H:%M} by {entry.actor}"
    out.print(f"{time:%Y-%m-%d %H:%M} UTC: {told}; {why}", markup=False, highlight=False, soft_wrap=True)


def _watch(look: Callable[[], dict[str, Any]], *, as_json: bool) -> None:
    """Show each second what is: a page on a terminal, else a line whenever something changed."""
    try:
        if out.is_terminal and not as_json:
            _watch_page(look)
        else:
            _watch_lines(look, as_json=as_json)
    except KeyboardInterrupt:
        return


def _watch_page(look: Callable[[], dict[str, Any]]) -> None:
    from rich.live import Live

    from homeostat.inspection.page import page

    with Live(page(look()), console=out, auto_refresh=False, screen=True) as live:
        while True:
            time.sleep(REFRESH_S)
            live.update(page(_patiently(look)), refresh=True)


def _watch_lines(look: Callable[[], dict[str, Any]], *, as_json: bool) -> None:
    from homeostat.inspection.page import line, when

    last = None
    while True:
        found = _patiently(look)
        told = line(found)
        if told != last:
            if as_json:
                print_json(found)
            else:
                out.print(f"{when(found['at'])}  {told}", markup=False, highlight=False, soft_wrap=True)
            out.file.flush()
            last = told
        time.sleep(REFRESH_S)


def _patiently(look: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Look, and again while a store is in use by another process."""
    from homeostat.errors import TransientError

    while True:
        try:
            return look()
        except TransientError as error:
            time.sleep(error.retry_after_s)
