"""``homeostat status``, ``drift`` and ``log``: what is, what moved, what was decided."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from homeostat.cli.shared import Home, Json, Product, existing, fail, out, print_json
from homeostat.contract.durations import spoken

if TYPE_CHECKING:
    from homeostat.ports import Ledger

REFRESH_S = 1.0
_TIMES = [
    f"%Y-%m-%d{clock}" for clock in ("", "T%H:%M", " %H:%M", "T%H:%M:%S", " %H:%M:%S", "T%H:%M:%S%z", " %H:%M:%S%z")
]


def status(
    home: Home = None,
    product: Product = None,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh every second until Ctrl-C.")] = False,
    as_json: Json = False,
) -> None:
    """Show who serves, where the healing case stands, what it waits for, and the last drift report."""
    folder = existing(home, product)
    from homeostat.inspection import onlooker_of, status_of

    onlooker = onlooker_of(folder)
    if watch:
        _watch(lambda: status_of(folder, onlooker), as_json=as_json)
        return
    found = status_of(folder, onlooker)
    if as_json:
        print_json(found)
        return
    from homeostat.inspection.page import page

    out.print(page(found))


def drift(
    home: Home = None,
    product: Product = None,
    report: Annotated[str | None, typer.Option("--report", help="One report by its id, or how the id begins.")] = None,
    last: Annotated[int, typer.Option("--last", min=1, help="How many reports, newest first.")] = 1,
    as_json: Json = False,
) -> None:
    """Show drift reports: each column against its limit, the worst first."""
    folder = existing(home, product)
    from homeostat.inspection import onlooker_of
    from homeostat.inspection.drift import limits_line, told_limits, told_report

    onlooker = onlooker_of(folder)
    one = onlooker.report(report) if report else None
    if report and one is None:
        fail(f"{folder}: no drift report {report!r} is kept; `homeostat drift --last 20` lists the newest ones")
    found = [one] if one else list(reversed(onlooker.reports(last)))
    if not found and not as_json:
        out.print(
            f"{folder}: no drift report yet; a look is taken every {spoken(onlooker.contract.drift.every)}",
            markup=False,
        )
    for each in found:
        if as_json:
            print_json({**told_report(each), "limits": told_limits(onlooker.contract)})
        else:
            _show_report(told_report(each))
    if not as_json:
        out.print(limits_line(told_limits(onlooker.contract)), markup=False, highlight=False, soft_wrap=True)
    if len(found) == 1 and found[0].status == "unknown" and not (report or as_json):
        telling = onlooker.last_telling()
        if telling is not None:
            out.print("the last report of a window with enough rows:")
            _show_report(told_report(telling))


def log(
    home: Home = None,
    product: Product = None,
    verify: Annotated[bool, typer.Option("--verify", help="Recompute the hash chain.")] = False,
    at: Annotated[
        datetime | None,
        typer.Option("--at", formats=_TIMES, metavar="TIME", help="Who served which share then; UTC without a zone."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show every decision with its reason, who served at a moment, or verify that none was edited."""
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
    if at is not None:
        _show_serving(ledger, at if at.tzinfo else at.replace(tzinfo=UTC), as_json=as_json)
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


def _show_serving(ledger: "Ledger", time: datetime, *, as_json: bool) -> None:
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


def _show_report(told: dict[str, Any]) -> None:
    from homeostat.inspection.drift import label_lines
    from homeostat.inspection.page import scores_table, when

    out.print(
        f"report {told['report_id']}  {when(told['at'])}  {told['status']}  version {told['version'] or 'none'}  "
        f"{told['rows']:,} rows from {when(told['window_start'])} to {when(told['window_end'])}",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
    for reason in told["reasons"]:
        out.print(f"  {reason}", markup=False, highlight=False, soft_wrap=True)
    whole = [score for score in (told["prediction"], told["embedding"]) if score]
    if told["features"] or whole:
        out.print(scores_table([*told["features"], *whole]))
    for line in label_lines(told):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
