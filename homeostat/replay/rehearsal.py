"""A rehearsal: recorded events and labels through the whole loop before a contract is switched on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from homeostat.bootstrap import Ports
from homeostat.contract.durations import spoken
from homeostat.contract.model import Contract
from homeostat.errors import HomeostatError
from homeostat.records import TrainingRun
from homeostat.replay.driver import Played, Replay, ReplayOptions
from homeostat.replay.history import Backfill, Progress
from homeostat.replay.live import LiveView
from homeostat.replay.logged import check_fields
from homeostat.replay.recording import Recording
from homeostat.replay.sending import cut, usual_batch


@dataclass(frozen=True, slots=True)
class Span:
    """Which part of a recording is rehearsed.

    Args:
        since: The first model is trained on what was known before, as a backfill does; None lets the loop make its
            first model out of the stream itself.
        until: What became known from here on is left out.
    """

    since: datetime | None = None
    until: datetime | None = None


def rehearse(
    contract: Contract,
    recording: Recording,
    stack: Ports,
    view: LiveView,
    *,
    span: Span | None = None,
    seed: int = 7,
    see: Callable[[Progress], object] = lambda _: None,
) -> Played:
    """Play a recording through the loop on a virtual clock and return what it leaves behind.

    Args:
        contract: By which; it need not be the one that the messages were sent by.
        recording: What was sent.
        stack: A scratch one that nobody else uses and nothing was written to.
        view: Shows the loop at work.
        span: Which part; None for all of it.
        seed: Of everything random; a rehearsal with the seed and the contract of a run makes that run's decisions.
        see: Called as the history before ``span.since`` is learnt from.

    Raises:
        HomeostatError: The recording lacks labels, fields of the contract, or rows enough for a first model.
    """
    span = span or Span()
    played = cut(recording, span.since, span.until)
    _check(contract, recording, played, span)
    batch = usual_batch(contract)
    options = ReplayOptions(seed, batch, monthly=False, skip_silence=True)
    if span.since is not None:
        made = Backfill(contract, recording, stack, until=span.since, seed=seed, see=see).run().made
        if made.champion is None:
            raise HomeostatError(
                f"no first model from what was known before {span.since:%Y-%m-%d %H:%M}: {made.reason}"
            )
        options = replace(options, history_batch=batch, start=span.since)
    done = Replay(contract, played, stack, options).run(view)
    if not any(outcome.score is not None and outcome.label is not None for outcome in done.tail.outcomes()):
        raise HomeostatError(_unserved(contract, done))
    return done


def _check(contract: Contract, recording: Recording, played: Recording, span: Span) -> None:
    """Refuse what can't show anything before minutes are spent on it."""
    if not len(played.events):
        first, last = (f"{time:%Y-%m-%d %H:%M}" for time in (recording.first, recording.last))
        raise HomeostatError(f"no event lies between --from and --until: the recording goes from {first} to {last} UTC")
    if not len(played.labels):
        raise HomeostatError(
            f"no label became known in the span: the recording has {len(played.events):,} events and 0 labels of "
            f"'{contract.label.field}'. Without labels nothing is trained or compared"
        )
    check_fields(recording, contract)
    wanted, least = contract.training.min_rows, len(recording.labels if span.since else played.labels)
    if least < wanted:
        raise HomeostatError(
            f"{least:,} labels were recorded, training.min_rows of '{contract.product}' is {wanted:,}: take a longer "
            "span, or a contract that learns from fewer rows"
        )
    asked = contract.training.cold_start_after + contract.label.maturity
    if span.since is None and (there := played.last - played.first) < asked:
        raise HomeostatError(
            f"the recording spans {spoken(there)}; a first model comes after training.cold_start_after and "
            f"label.maturity, {spoken(asked)}: take a longer span or a smaller training.cold_start_after"
        )


def _unserved(contract: Contract, done: Played) -> str:
    runs = [record for record in done.tail.story if isinstance(record, TrainingRun)]
    why = f"its last training ended with {runs[-1].status}: {runs[-1].reason}" if runs else "no training was begun"
    refused = done.tail.quarantined()
    set_aside = f"; {refused:,} records were set aside as broken" if refused else ""
    return f"no row was scored by a model of '{contract.product}' and labelled: {why}{set_aside}"
