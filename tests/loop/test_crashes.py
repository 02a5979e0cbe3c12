"""A crash at every boundary of every step: nothing is lost, nothing is decided twice."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import product

import pytest

from homeostat.bootstrap import Loop, Stack, build_loop
from homeostat.codec import decode
from homeostat.contract.model import Contract
from homeostat.flow import topic_name
from homeostat.ports import NewMessage
from homeostat.records import Outcome
from homeostat.replay.recording import Recording

POINTS = ("read", "handled", "published", "committed")
STREAMING = tuple(product(("ingest", "predict", "join", "detect"), POINTS))
HEALING = tuple(product(("decide", "train", "judge", "promote"), ("handled", "published")))
EVERY = timedelta(days=1)

pytestmark = pytest.mark.timeout(1200)


class Crash(BaseException):
    """Like kill -9: nothing may catch it."""


def ticks(recording: Recording) -> Iterator[tuple[datetime, list[NewMessage]]]:
    """Yield each look's time with what became known since the look before."""
    now = recording.first.replace(hour=0, minute=0, second=0, microsecond=0)
    fed = {"raw_events": 0, "raw_labels": 0}
    while now < recording.last + 3 * EVERY:
        now += EVERY
        messages = []
        for topic, track in (("raw_events", recording.events), ("raw_labels", recording.labels)):
            stop = track.index_at(now)
            messages += [NewMessage(topic_name("turbines", topic), v) for v in track.take(fed[topic], stop)]
            fed[topic] = stop
        yield now, messages


def play(contract: Contract, stack: Stack, recording: Recording, *, crashing: bool) -> None:
    loop = build_loop(contract, stack, seed=1)
    for look, (now, messages) in enumerate(ticks(recording)):
        stack.log.append(messages, now)
        if crashing:
            # the healing steps at every look, for what they do is rare; the others take turns
            turn = [STREAMING[(2 * look + i) % len(STREAMING)] for i in range(2)]
            loop = crash_around(contract, stack, now, [*HEALING, *turn])
        loop.pace(now)


def crash_around(contract: Contract, stack: Stack, now: datetime, boundaries: Sequence[tuple[str, str]]) -> Loop:
    """Run one look into a crash at each of the boundaries in turn and return the loop of the last restart."""
    for boundary in boundaries:

        def hook(step: str, point: str, boundary: tuple[str, str] = boundary) -> None:
            if (step, point) == boundary:
                raise Crash

        doomed = build_loop(contract, stack, 1, hook)
        doomed.restore(now)
        with pytest.raises(Crash):
            doomed.pace(now)
    loop = build_loop(contract, stack, seed=1)
    loop.restore(now)
    return loop


def outcomes(stack: Stack) -> dict[str, Outcome]:
    name = topic_name("turbines", "outcomes")
    records = [decode("outcomes", m.value, m.headers) for m in stack.log.read(name, 0, 10**6)]
    return {record.event_id: record for record in records if isinstance(record, Outcome)}


def decisions(stack: Stack) -> list[tuple[str, object]]:
    """Return what was done and why; a look repeated after a crash may note once more that nothing was."""
    entries = stack.ledger.entries()
    return [(entry.kind, entry.payload.get("reason")) for entry in entries if entry.kind != "left_alone"]


def test_crashes_at_every_boundary_change_nothing(
    contract: Contract, make_stack: Callable[[str], Stack], make_stream: Callable[..., Recording]
) -> None:
    stream = make_stream(days=13, rows_a_day=150, change_day=7)
    calm, shaken = make_stack("calm"), make_stack("shaken")
    play(contract, calm, stream, crashing=False)
    play(contract, shaken, stream, crashing=True)
    assert decisions(shaken) == decisions(calm)
    assert shaken.registry.aliases() == calm.registry.aliases()
    assert {k: (o.label, o.score) for k, o in outcomes(shaken).items()} == {
        k: (o.label, o.score) for k, o in outcomes(calm).items()
    }
    assert shaken.ledger.verify() >= calm.ledger.verify()
    assert len(outcomes(calm)) == len(stream.events)
