"""``homeostat rehearse``: what the loop would have done with a past stream, before it is switched on."""

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from homeostat.cli.progress import Meter
from homeostat.cli.replay import EXAMPLE, EXAMPLE_CONTRACT, DayFirst, Positive, Timezone, Until, load_recorded
from homeostat.cli.shared import Home, Json, Product, err, existing, fail, out, print_json
from homeostat.contract.load import load_contract
from homeostat.contract.model import Contract

if TYPE_CHECKING:
    from rich.table import Table

    from homeostat.replay.recording import Recording
    from homeostat.replay.rehearsal import Span


def rehearse(  # noqa: PLR0913 - one parameter an option
    source: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help=f"CSV or Parquet, or `{EXAMPLE}`; default: the log of the one in --home."),
    ] = None,
    *,
    contract: Annotated[Path | None, typer.Option(help="To rehearse; default: the product's in --home.")] = None,
    home: Home = None,
    product: Product = None,
    since: Annotated[
        str | None, typer.Option("--from", help="Learn the first model from what was known before, as a backfill does.")
    ] = None,
    until: Until = None,
    output: Annotated[Path | None, typer.Option(help="Keep the rehearsal's home in this new folder.")] = None,
    positive: Positive = None,
    timezone: Timezone = "UTC",
    day_first: DayFirst = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 7,
    as_json: Json = False,
) -> None:
    """Show when the loop would have alarmed, retrained and promoted on a past stream, and at what cost.

    Nothing of a running instance is changed: its log is only read, and the rehearsal has a home of its own.
    """
    from homeostat.replay.files import Reading
    from homeostat.replay.moments import TimeReading
    from homeostat.replay.rehearsal import Span

    times = TimeReading(timezone, day_first)
    span = Span(times.moment(since, "--from") if since else None, times.moment(until, "--until") if until else None)
    with _scratch(output) as scratch:
        is_example = source == EXAMPLE and not Path(EXAMPLE).exists()
        file = contract or (EXAMPLE_CONTRACT if is_example else existing(home, product) / "contract.yaml")
        found = load_contract(file)
        shutil.copy(file, scratch / "contract.yaml")
        if source is None:
            recording = _from_log(existing(home, product))
        else:
            recording = load_recorded(source, found, Reading(positive, times)).recording
        told = _rehearsed(found, recording, span, scratch, seed=seed, quiet=as_json)
    if as_json:
        print_json(told)
        return
    _show(told)
    if output is not None:
        _say(f"kept: homeostat log --home {output}, and status and drift likewise")


@contextmanager
def _scratch(output: Path | None) -> Iterator[Path]:
    """Give an empty folder: the named one, which stays, or one that goes."""
    if output is None:
        with TemporaryDirectory(prefix="homeostat-rehearsal-") as folder:
            yield Path(folder)
        return
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        fail(f"--output {output}: expected a new or an empty folder")
    output.mkdir(parents=True, exist_ok=True)
    yield output


def _from_log(folder: Path) -> "Recording":
    from homeostat.bootstrap import past_of
    from homeostat.replay.logged import load_log

    sent_by = load_contract(folder / "contract.yaml")
    return load_log(past_of(sent_by, folder), sent_by.product)


def _rehearsed(
    contract: Contract, recording: "Recording", span: "Span", scratch: Path, *, seed: int, quiet: bool
) -> dict[str, Any]:
    from homeostat.bootstrap import scratch_stack
    from homeostat.replay.history import Progress
    from homeostat.replay.live import LiveView
    from homeostat.replay.rehearsal import rehearse as play
    from homeostat.replay.rehearsed import tell_rehearsal

    warnings.filterwarnings("ignore", category=DeprecationWarning)  # of libraries among themselves
    screen = err if quiet else out
    meter = Meter(screen, "history")

    def see(at: Progress) -> None:
        meter.show(at.rows, at.total_rows, "training" if at.training else f"{at.clock:%Y-%m-%d}")

    view = LiveView(f"rehearsal of {contract.product}", screen)
    with view:
        played = play(contract, recording, scratch_stack(contract, scratch), view, span=span, seed=seed, see=see)
    return tell_rehearsal(contract, played, seed=seed)


def _show(told: dict[str, Any]) -> None:
    first, looks, gap = told["first_champion"], told["looks"], told["healed_minus_do_nothing"]
    _say(
        f"{told['events']:,} events until {_day(told['ended_at'])}, {told['scored_rows']:,} scored and labelled, "
        f"{told['quarantined_rows']:,} set aside; first champion: version {first['version']} on {_day(first['at'])}"
    )
    _say(f"looks: {looks['healthy']:,} healthy, {looks['drifted']:,} drifted, {looks['unknown']:,} unknown")
    _say(f"alarms: {len(told['alarms'])}")
    for alarm in told["alarms"]:
        _say(f"  {_day(alarm['since'])} to {_day(alarm['until'])}, looks {alarm['looks']}: {alarm['reasons'][0]}")
    _say(f"data incidents: {len(told['incidents'])}")
    for one in told["incidents"]:
        name = f"{one['diagnosis'].replace('_', ' ')} in {', '.join(one['columns'])}"
        _say(f"  {_day(one['since'])} to {_day(one['until'])}  {name}: {one['what']}")
    _say(f"retrainings: {len(told['retrainings'])}")
    for case in told["retrainings"]:
        _say(
            f"  {_day(case['at'])}  {_ended(case)}; {case['cpu_h']:.4f} CPU hours, {case['usd']:.4f} USD: {case['why']}"
        )
    out.print(_sides(told))
    interval = f"{gap['mean']:+.4f} (95 % interval {gap['low']:+.4f} to {gap['high']:+.4f})"
    certain = "" if gap["excludes_zero"] else "; chance may explain its sign"
    _say(f"healed minus doing nothing: log loss {interval}{certain}")


def _ended(case: dict[str, Any]) -> str:
    training = str(case["training"]).replace("_", " ")
    return f"{training}, {case['decision']} {_day(case['decided_at'])}" if case["decision"] else training


def _sides(told: dict[str, Any]) -> "Table":
    from rich.table import Table

    sides = (told["healed"], told["do_nothing"])
    lines = (("log loss", "log_loss", ".4f"), ("AUC", "auc", ".4f"), ("retrainings", "retrainings", ","),
             ("promotions", "promotions", ","), ("CPU hours", "cpu_h", ".4f"), ("cost, USD", "usd", ".4f"))  # fmt: skip
    rows = [(name, *("-" if s[key] is None else format(s[key], form) for s in sides)) for name, key, form in lines]
    table = Table(box=None, pad_edge=False)
    for head in ("", "healed", "do nothing"):
        table.add_column(head)
    for row in rows:
        table.add_row(*row)
    return table


def _day(time: str | None) -> str:
    return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M}" if time else "-"


def _say(text: str) -> None:
    out.print(text, markup=False, highlight=False, soft_wrap=True)
