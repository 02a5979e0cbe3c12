"""Plays recorded history into a product on a virtual clock and trains its first champion on it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from homeostat.bootstrap import Ports, build_workers
from homeostat.contract.model import Contract
from homeostat.errors import HomeostatError
from homeostat.flow import EXTERNAL, FLOW, dead_letters, topic_name
from homeostat.ports import NewMessage
from homeostat.records import DeadLetter
from homeostat.replay.first_model import FirstModel, Made
from homeostat.replay.recording import Recording, from_us
from homeostat.replay.refusals import Refusals
from homeostat.tail import BEGINNING, Tail
from homeostat.worker import Worker

DAY: Final = timedelta(days=1)
PLAYED: Final = ("ingest", "predict", "join")
"""Steps that run for every batch; nothing is watched or healed, for nobody was served."""

_ARCHIVED_EVERY: Final = timedelta(days=7)  # the store likes few large writes
MARK: Final = "backfill.json"
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a backfill is."""

    clock: datetime
    rows: int
    total_rows: int
    training: bool = False


@dataclass(frozen=True, slots=True)
class Backfilled:
    """What came of a backfill.

    Args:
        began: The virtual clock's start.
        ended: Its end, from which a live instance goes on.
        events: Sent.
        labels: Sent.
        unknown: Events and labels of the recording that became known only later, and were not sent.
        refused: Dead letters with their reasons.
        made: Who serves now, or why nobody does.
        wall_s: How long it took.
    """

    began: datetime
    ended: datetime
    events: int
    labels: int
    unknown: int
    refused: Refusals
    made: Made
    wall_s: float


class Backfill:
    """One backfill of a product whose instance does not run; one that was killed goes on where it was."""

    def __init__(
        self,
        contract: Contract,
        recording: Recording,
        stack: Ports,
        *,
        until: datetime | None = None,
        seed: int = 7,
        see: Callable[[Progress], object] = lambda _: None,
    ) -> None:
        """Take what to play into which product.

        Args:
            contract: The product.
            recording: Its history.
            stack: Its stores; nobody else may write to them meanwhile.
            until: Play only what was known before this time.
            seed: Of everything random.
            see: Called at every batch.

        Raises:
            HomeostatError: The recording holds nothing before ``until``, or the product has newer rows already.
        """
        self._contract = contract
        self._recording = recording
        self._stack = stack
        self._seed = seed
        self._see = see
        self._began = recording.first
        self._end = recording.last + _MICROSECOND if until is None else min(until, recording.last + _MICROSECOND)
        if not recording.events.index_at(self._end):
            raise HomeostatError(f"no event lies before {self._end:%Y-%m-%d %H:%M} UTC: the first is at {self._began}")
        self._mark = stack.workdir / MARK
        self._raw = {topic: topic_name(contract.product, topic) for topic in EXTERNAL}
        self._bases = self._open()

    def run(self) -> Backfilled:
        """Play, train, and return what came of it."""
        started = perf_counter()
        letters = self._ends_of_letters()
        self._play()
        now = self._clock()
        self._see(Progress(now, self._fed()[0], len(self._recording.events), training=True))
        made = FirstModel(self._contract, self._stack, self._seed).train(self._began, now)
        self._mark.unlink(missing_ok=True)
        events, labels = self._fed()
        return Backfilled(
            began=self._began,
            ended=now,
            events=events,
            labels=labels,
            unknown=len(self._recording.events) + len(self._recording.labels) - events - labels,
            refused=self._refused(letters),
            made=made,
            wall_s=perf_counter() - started,
        )

    def _open(self) -> dict[str, int]:
        """Return where this recording begins in the raw topics, of an earlier start where there was one."""
        digest = _digest(self._recording)
        mark = _read(self._mark)
        if mark.get("recording") == digest:
            return {topic: int(mark[topic]) for topic in EXTERNAL}
        newest = max(self._newest(topic) for topic in EXTERNAL)
        if newest > self._began:
            what = "an earlier backfill of another file was cut off" if mark else "the product's log"
            raise HomeostatError(
                f"{what}: it holds rows up to {newest:%Y-%m-%d %H:%M} UTC and this history begins at "
                f"{self._began:%Y-%m-%d %H:%M}. A backfill comes before all other rows: take another folder with "
                "--home, or send newer rows to the running instance with `homeostat replay`"
            )
        bases = {topic: self._stack.log.end(self._raw[topic]) for topic in EXTERNAL}
        self._mark.write_text(json.dumps({"recording": digest, **bases}))
        return bases

    def _fed(self) -> tuple[int, int]:
        """Return how many events and labels are in the log; a batch goes in as a whole."""
        events, labels = (self._stack.log.end(self._raw[topic]) - self._bases[topic] for topic in EXTERNAL)
        return events, labels

    def _play(self) -> None:
        """Move the clock through the history, a day at a time."""
        workers = build_workers(self._contract, self._stack, self._seed, (*PLAYED, "archive", "detect"))
        resumed = max(self._began, *(self._newest(topic) for topic in EXTERNAL)) if any(self._fed()) else None
        for worker in workers.values():
            worker.restore(resumed or self._began)
        if not self._stack.log.end(topic_name(self._contract.product, "drift_reports")):
            workers["detect"].run_once(self._began)  # its first report says since when this product is watched
        archived = now = resumed or self._began
        if resumed:
            _flow(workers, now)
        while (then := self._next(now)) is not None:
            now = then
            self._feed(now)
            _flow(workers, now)
            if now - archived >= _ARCHIVED_EVERY:
                workers["archive"].run_once(now)
                archived = now
            self._see(Progress(now, self._fed()[0], len(self._recording.events)))
        workers["archive"].run_once(self._end)

    def _feed(self, now: datetime) -> None:
        """Append what became known before ``now``, events and labels in one transaction."""
        messages = []
        tracks = (self._recording.events, self._recording.labels)
        for topic, track, fed in zip(EXTERNAL, tracks, self._fed(), strict=True):
            messages += [NewMessage(self._raw[topic], value) for value in track.take(fed, track.index_at(now))]
        if messages:
            self._stack.log.append(messages, now)

    def _next(self, now: datetime) -> datetime | None:
        """Return the end of the next day in which something became known, None at the end."""
        tracks = (self._recording.events, self._recording.labels)
        fed = zip(tracks, self._fed(), strict=True)
        left = [int(track.times[done]) for track, done in fed if done < track.index_at(self._end)]
        if not left:
            return self._end if now < self._end else None
        midnight = from_us(min(left)).replace(hour=0, minute=0, second=0, microsecond=0)
        return min(midnight + DAY, self._end)

    def _newest(self, topic: str) -> datetime:
        """Return when the newest message of a topic was appended."""
        name = topic_name(self._contract.product, topic)
        last = self._stack.log.read(name, max(0, self._stack.log.end(name) - 1), 1)
        return last[0].time if last else BEGINNING

    def _clock(self) -> datetime:
        """Return the end of the history, or of what an earlier instance has written: time never goes back."""
        return max(self._end, *(self._newest(topic) for row in FLOW for topic in (*row.consumes, *row.produces)))

    def _ends_of_letters(self) -> dict[str, int]:
        topics = [dead_letters(step) for step in (*PLAYED, "archive")]
        return {topic: self._stack.log.end(topic_name(self._contract.product, topic)) for topic in topics}

    def _refused(self, since: Mapping[str, int]) -> Refusals:
        refused = Refusals()
        tail = Tail(self._stack.log, self._contract.product)
        for topic, offset in since.items():
            for _, letter in tail.after(topic, offset):
                if isinstance(letter, DeadLetter):
                    refused.add(letter.reason, letter.topic)
        return refused


def _flow(workers: Mapping[str, Worker], now: datetime) -> None:
    for step in PLAYED:
        workers[step].run_once(now)


def _read(mark: Path) -> dict[str, Any]:
    try:
        found = json.loads(mark.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _digest(recording: Recording) -> str:
    """Return what tells one recording from another."""
    digest = blake2b(digest_size=16)
    for track in (recording.events, recording.labels):
        digest.update(track.times.tobytes())
        for value in track.values:
            digest.update(value)
    return digest.hexdigest()
