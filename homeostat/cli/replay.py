"""``homeostat backfill`` and ``homeostat replay``: past rows into a product, at rest or running."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from homeostat.cli.progress import Meter
from homeostat.cli.shared import Home, Json, Product, err, existing, fail, live_home, out, print_json
from homeostat.contract.load import load_contract
from homeostat.contract.model import Contract
from homeostat.contract.policies import parse_duration
from homeostat.settings import Settings

if TYPE_CHECKING:
    from homeostat.replay.files import Loaded, Reading
    from homeostat.replay.history import Backfilled
    from homeostat.replay.moments import TimeReading
    from homeostat.replay.sender import Sender, SendOptions
    from homeostat.replay.sending import Sent

EXAMPLE: Final = "flights"
EXAMPLE_CONTRACT = Path(__file__).parents[1] / "examples" / EXAMPLE / "contract.yaml"
_WORTH_TELLING_S: Final = 2.0  # of work on one batch
_SPEED: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)x?")
_NO_LIMIT: Final = "max"

Source = Annotated[str, typer.Argument(metavar="FILE", help="CSV or Parquet, or `flights` for the example's year.")]
Positive = Annotated[str | None, typer.Option(help="The answer that counts as 1 where the target is a text.")]
Timezone = Annotated[str, typer.Option(help="Of times that name none, like Europe/Berlin.")]
DayFirst = Annotated[
    bool | None, typer.Option("--day-first/--month-first", help="What 03/04/2024 means; default: find out.")
]
Until = Annotated[str | None, typer.Option(help="Leave out what became known from this time on.")]


def backfill(  # noqa: PLR0913 - one parameter an option
    source: Source,
    *,
    contract: Annotated[Path | None, typer.Option(help="The product's contract; default: the one --home has.")] = None,
    home: Home = None,
    product: Product = None,
    positive: Positive = None,
    until: Until = None,
    timezone: Timezone = "UTC",
    day_first: DayFirst = None,
    clock: Annotated[
        Literal["system", "stream"], typer.Option(help="Of the instance: by `system` no row may lie in the future.")
    ] = "system",
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 7,
    as_json: Json = False,
) -> None:
    """Load history into a product that does not run, and train its first champion on it."""
    from homeostat.cli.played import show_backfill, told_backfill
    from homeostat.replay.files import Reading
    from homeostat.replay.moments import TimeReading

    folder = live_home(home)
    file = contract or _contract_for(source, folder, product)
    reading = Reading(positive, TimeReading(timezone, day_first), is_past=True)
    with _at_rest(folder):
        from homeostat.processes.prerequisites import read_contracts

        found = load_contract(next(iter(read_contracts([file], folder).values())))
        if not as_json:
            _say(f"reading {source}; Feast and MLflow take some seconds to load ...")
        loaded = load_recorded(source, found, reading)
        done = _backfilled(found, file, folder, loaded, _limit(until, reading.times, clock), seed=seed, quiet=as_json)
    if as_json:
        print_json(told_backfill(loaded, done))
    else:
        show_backfill(loaded, done, folder)


def replay(  # noqa: PLR0913 - one parameter an option
    source: Source,
    *,
    speed: Annotated[
        str, typer.Option(help="So many times as fast as recorded, like 1000x; `max`: as a stream clock can go.")
    ] = _NO_LIMIT,
    home: Home = None,
    product: Product = None,
    url: Annotated[str | None, typer.Option(help="Of the instance; default: where the one in --home listens.")] = None,
    contract: Annotated[Path | None, typer.Option(help="To read FILE by; default: the product's in --home.")] = None,
    batch: Annotated[str | None, typer.Option(help="Stream time sent at once on a stream clock, like 15m.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="Leave out what became known before.")] = None,
    until: Until = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Send so many events, with their labels.")] = None,
    positive: Positive = None,
    timezone: Timezone = "UTC",
    day_first: DayFirst = None,
    predict: Annotated[bool, typer.Option("--predict", help="Ask for a prediction of each event.")] = False,
    to_maturity: Annotated[
        bool, typer.Option("--to-maturity", help="On a stream clock, go on until the last label is mature.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Send recorded events and labels to a running instance, each when it became known.

    On a stream clock (`homeostat up --clock stream`) the instance's time follows the recording. On the machine's clock
    the recording is moved to now and the gaps between its rows shrink by the speed, while spans in the contract
    (windows, label delay, maturity, looks) stay as long as they are.
    """
    from homeostat.cli.played import show_replay, told_replay
    from homeostat.replay.files import Reading
    from homeostat.replay.moments import TimeReading
    from homeostat.replay.sender import SendOptions
    from homeostat.replay.sending import usual_batch

    times = TimeReading(timezone, day_first)
    example = EXAMPLE if source == EXAMPLE and not Path(source).exists() else None
    found = load_contract(contract or _stored(home, product or example))
    options = SendOptions(
        batch=_span(batch) if batch else usual_batch(found),
        speed=_speed(speed),
        since=times.moment(since, "--from") if since else None,
        until=times.moment(until, "--until") if until else None,
        limit=limit,
        predict=predict,
        to_maturity=to_maturity,
    )
    address = url or _address(home, found.product)
    loaded = load_recorded(source, found, Reading(positive, times))
    sent, sender = _sent(found, loaded, address, options, quiet=as_json)
    if as_json:
        print_json(told_replay(loaded, sent, sender))
    else:
        show_replay(loaded, sent)


def load_recorded(source: str, contract: Contract, reading: "Reading") -> "Loaded":
    """Return the stream behind a file, or the example's."""
    from homeostat.replay.files import Loaded, load_file

    if source != EXAMPLE or Path(source).exists():
        return load_file(Path(source), contract, reading)
    from homeostat.examples.flights.stream import load

    recording = load()
    return Loaded(recording, len(recording.events))


def _contract_for(source: str, folder: Path, product: str | None) -> Path:
    """Return the contract file when none was named: the example's own, or the one that the folder has."""
    if source == EXAMPLE and not Path(source).exists():
        return EXAMPLE_CONTRACT
    if not folder.exists():
        fail(f"{folder} holds no product yet: name a contract with --contract FILE (`homeostat init` drafts one)")
    return _stored(folder, product)


def _stored(home: Path | None, product: str | None) -> Path:
    return existing(home, product) / "contract.yaml"


@contextmanager
def _at_rest(folder: Path) -> Iterator[None]:
    """Hold the instance's folder, as `homeostat up` does, so that nobody else writes to its stores."""
    from homeostat.processes.instance import exclusive, run_folder
    from homeostat.processes.life import after_orphans

    with exclusive(run_folder(folder) / "up.lock") as alone, after_orphans(folder, 0.0) as ended:
        if not (alone and ended):
            fail(
                f"an instance runs on {folder}: a backfill needs it at rest. Stop it first (Ctrl-C), or send the rows "
                "to it with `homeostat replay`"
            )
        yield


def _backfilled(
    contract: Contract, file: Path, folder: Path, loaded: "Loaded", until: datetime | None, *, seed: int, quiet: bool
) -> "Backfilled":
    from homeostat.bootstrap import open_stack, product_home
    from homeostat.processes.clock_desk import ClockDesk
    from homeostat.processes.prerequisites import store_contracts
    from homeostat.replay.history import Backfill, Progress

    warnings.filterwarnings("ignore", category=DeprecationWarning)  # of libraries among themselves
    store_contracts({contract.product: file}, folder)
    stack = open_stack(contract, product_home(folder, contract.product), Settings())
    with Meter(err if quiet else out, "backfill") as meter:

        def see(at: Progress) -> None:
            meter.show(at.rows, at.total_rows, "training" if at.training else f"{at.clock:%Y-%m-%d}")

        done = Backfill(contract, loaded.recording, stack, until=until, seed=seed, see=see).run()
    desk = ClockDesk(folder, "stream", (), ())
    if done.ended > desk.now():  # an instance on a stream clock goes on from here
        desk.advance_to(done.ended)
    return done


def _sent(
    contract: Contract, loaded: "Loaded", address: str, options: "SendOptions", *, quiet: bool
) -> tuple["Sent", "Sender"]:
    import httpx

    from homeostat.replay.client import TIMEOUT_S, InstanceClient
    from homeostat.replay.sender import Sender
    from homeostat.replay.sending import Progress

    token = Settings().token
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
    with (
        httpx.Client(base_url=address, headers=headers, timeout=TIMEOUT_S) as client,
        Meter(err if quiet else out, "replay") as meter,
    ):

        def see(at: Progress) -> None:
            busy = f" (at work for {at.waited_s:.0f} s)" if at.waited_s > _WORTH_TELLING_S else ""
            meter.show(at.rows, at.total_rows, f"{at.clock:%Y-%m-%d %H:%M}{busy}")

        sender = Sender(contract, loaded.recording, InstanceClient(client, contract.product), options, see=see)
        if sender.too_early and sender.since and not quiet:
            _say(
                f"{sender.too_early:,} events and labels known before {sender.since:%Y-%m-%d %H:%M} UTC are left out"
                + ("" if options.since else ": the instance's clock shows that time; --from sends them all the same")
            )
        try:
            return sender.run(), sender
        except KeyboardInterrupt:
            return sender.sent, sender


def _address(home: Path | None, product: str) -> str:
    from homeostat.bootstrap import instance_of
    from homeostat.processes.instance import Instance

    return Instance.load(instance_of(existing(home, product))).url


def _limit(until: str | None, times: "TimeReading", clock: str) -> datetime | None:
    """Return the time from which on nothing is played: by the machine's clock, now at the latest."""
    named = times.moment(until, "--until") if until else None
    if clock == "stream":
        return named
    now = datetime.now(UTC)
    return now if named is None else min(named, now)


def _speed(text: str) -> float | None:
    """Return how many times as fast, None for no limit."""
    if text == _NO_LIMIT:
        return None
    found = _SPEED.fullmatch(text.strip())
    if found is None or not float(found[1]):
        fail(f"--speed {text}: expected a number like 1000x, or max")
    return float(found[1])


def _span(text: str) -> timedelta:
    try:
        span = parse_duration(text)
    except ValueError as error:
        fail(f"--batch {text}: {error}")
    if not span:
        fail(f"--batch {text}: expected more than 0s")
    return span


def _say(text: str) -> None:
    out.print(text, markup=False, highlight=False, soft_wrap=True)
