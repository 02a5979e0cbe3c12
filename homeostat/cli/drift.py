"""``homeostat drift``: what moved, on the screen and as a page."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from homeostat.cli.shared import TIMES, Home, Json, Product, existing, fail, out, print_json
from homeostat.contract.durations import spoken
from homeostat.records import DriftReport, Span

if TYPE_CHECKING:
    from homeostat.inspection import Onlooker


def drift(  # noqa: PLR0913 - one parameter an option
    *,
    home: Home = None,
    product: Product = None,
    report: Annotated[str | None, typer.Option("--report", help="One report by its id, or how the id begins.")] = None,
    last: Annotated[int, typer.Option("--last", min=1, help="How many reports, newest first.")] = 1,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page by Evidently: of a look, or of any window.")
    ] = None,
    window: Annotated[
        datetime | None,
        typer.Option(formats=TIMES, metavar="TIME", help="Of --html: a window as long as a look's ends."),
    ] = None,
    since: Annotated[
        datetime | None, typer.Option("--from", formats=TIMES, metavar="TIME", help="Of --html: any window begins.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", formats=TIMES, metavar="TIME", help="Of --html: any window ends.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show drift reports: each column against its limit, the worst first."""
    folder = existing(home, product)
    from homeostat.inspection import onlooker_of

    onlooker = onlooker_of(folder)
    one = onlooker.report(report) if report else None
    if report and one is None:
        fail(f"{folder}: no drift report {report!r} is kept; `homeostat drift --last 20` lists the newest ones")
    span = _span(since, until, window, onlooker)
    if html is None and span is not None:
        fail("--window, --from and --to are of the page: name its file with --html FILE")
    if html is not None:
        _write_page(folder, html, one or onlooker.last_telling(), span)
    elif as_json:
        _print_reports(onlooker, one, last)
    else:
        _show_reports(folder, onlooker, one, last)


def _reports(onlooker: "Onlooker", one: DriftReport | None, last: int) -> list[DriftReport]:
    return [one] if one else list(reversed(onlooker.reports(last)))


def _print_reports(onlooker: "Onlooker", one: DriftReport | None, last: int) -> None:
    from homeostat.inspection.drift import told_limits, told_report

    for each in _reports(onlooker, one, last):
        print_json({**told_report(each), "limits": told_limits(onlooker.contract)})


def _show_reports(folder: Path, onlooker: "Onlooker", one: DriftReport | None, last: int) -> None:
    from homeostat.inspection.drift import limits_line, told_limits, told_report

    found = _reports(onlooker, one, last)
    if not found:
        out.print(
            f"{folder}: no drift report yet; a look is taken every {spoken(onlooker.contract.drift.every)}",
            markup=False,
        )
    limits = told_limits(onlooker.contract)
    for each in found:
        _show_report(told_report(each), limits)
    out.print(limits_line(limits), markup=False, highlight=False, soft_wrap=True)
    if len(found) == 1 and found[0].status == "unknown" and one is None:
        telling = onlooker.last_telling()
        if telling is not None:
            out.print("the last report of a window with enough rows:")
            _show_report(told_report(telling), limits)


def _show_report(told: dict[str, Any], limits: dict[str, Any]) -> None:
    from homeostat.inspection.blindness import blind_lines
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
    for line in (*label_lines(told), *blind_lines(told, limits)):
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _write_page(folder: Path, file: Path, report: DriftReport | None, span: Span | None) -> None:
    """Write the page of a window, or else of a look, to a file."""
    if file.is_dir() or not file.parent.is_dir():
        fail(f"--html {file}: expected a file in a folder that is there")
    out.print("loading Feast, MLflow and Evidently ...")
    from homeostat.inspection.drift_page import page_of_look, page_of_span
    from homeostat.inspection.open import ports_of

    contract, ports = ports_of(folder)
    if span is not None:
        page = page_of_span(contract, ports, span)
    elif report is not None:
        page = page_of_look(contract, ports, report)
    else:
        fail(f"{folder}: no look had rows enough yet; name a window with --from and --to")
    file.write_text(page, encoding="utf-8")
    size = f"{len(page) / 2**20:.1f} MiB"
    out.print(f"{file}: {size}; any browser shows it, without a network", markup=False, highlight=False, soft_wrap=True)


def _span(
    since: datetime | None, until: datetime | None, window_end: datetime | None, onlooker: "Onlooker"
) -> Span | None:
    """Return the window that the options name, None for none."""
    if window_end is not None:
        if since or until:
            fail("--window names a window by its end, --from and --to by both ends: take one of the two")
        since, until = window_end - onlooker.contract.drift.window, window_end
    if since is None and until is None:
        return None
    if since is None or until is None:
        fail("--from and --to: expected both")
    span = Span(*(time if time.tzinfo else time.replace(tzinfo=UTC) for time in (since, until)))
    if span.since >= span.until:
        fail(f"--from {span.since.isoformat()}: expected a time before --to {span.until.isoformat()}")
    return span
