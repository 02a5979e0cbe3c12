"""``homeostat status`` and ``log``: what is and what was decided."""

from typing import Annotated

import typer
from rich.table import Table

from homeostat.cli.shared import Home, Json, Product, existing, out, print_json


def status(home: Home = None, product: Product = None, as_json: Json = False) -> None:
    """Show who serves, where the healing case stands, and the last drift report."""
    folder = existing(home, product)
    from homeostat.inspection import status_of

    found = status_of(folder)
    if as_json:
        print_json(found)
        return
    table = Table(show_header=False, box=None)
    for name, value in found.items():
        table.add_row(f"[bold]{name}", "-" if value is None else str(value))
    out.print(table)


def log(
    home: Home = None,
    product: Product = None,
    verify: Annotated[bool, typer.Option("--verify", help="Recompute the hash chain.")] = False,
    as_json: Json = False,
) -> None:
    """Show every decision with its reason, or verify that none was edited."""
    folder = existing(home, product)
    from homeostat.inspection import ledger_of

    ledger = ledger_of(folder)
    if verify:
        count = ledger.verify()
        if as_json:
            print_json({"entries": count, "ok": True})
        else:
            out.print(f"{count} entries, the chain is whole")
        return
    for entry in ledger.entries():
        if as_json:
            print_json(
                {"seq": entry.seq, "at": entry.at.isoformat(), "kind": entry.kind, "actor": entry.actor,
                 "payload": dict(entry.payload), "hash": entry.hash}
            )  # fmt: skip
        else:
            reason = entry.payload.get("reason", "")
            line = f"{entry.seq:>4}  {entry.at:%Y-%m-%d %H:%M}  {entry.kind:<16} {entry.actor}: {reason}"
            out.print(line, markup=False, highlight=False, soft_wrap=True)
