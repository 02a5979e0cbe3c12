"""Poll, decode, handle, publish, commit: the main loop of every step."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from time import monotonic, perf_counter, thread_time
from typing import Protocol, runtime_checkable

from homeostat.codec import TOPIC_OF, decode_whole, encode
from homeostat.errors import InvalidRecordError
from homeostat.flow import Row, dead_letters, topic_name
from homeostat.metric_names import CONSUMER_LAG, STEP_CPU
from homeostat.ports import PAGE_BYTES, EventLog, Message, NewMessage, Telemetry
from homeostat.records import DeadLetter, Record, derived_id

BATCH_ROWS = 5_000  # messages of a topic in one poll: some 5 MB in memory
MOST_BATCHES = 100  # in one call: a producer that is faster than the step must not keep the tick away for ever
_LAG_S = 5.0  # between looks at the ends of topics, which ask a server
_KEEP_S = 3600.0  # between commits of what has not moved: Kafka forgets what is a week old
Hook = Callable[[str, str], None]
Positions = dict[str, int]  # by topic


class Step(Protocol):
    """What the worker drives: records in, records out."""

    def handle(self, records: Sequence[Record], now: datetime) -> list[Record]:
        """Carry out the effects of the records and return what follows from them."""

    def restore(self, records: Sequence[Record], now: datetime) -> None:
        """Fold records handled before a restart into memory, without effects."""

    def tick(self, now: datetime) -> list[Record]:
        """Act on the passing of time."""


@runtime_checkable
class Leaving(Protocol):
    """A step that shows what is another process's to show once that one goes on with it."""

    def leave(self) -> None:
        """Show it no more."""


class Runner(Protocol):
    """What a loop drives: a worker, or one that stands for a worker elsewhere."""

    @property
    def row(self) -> Row:
        """The row of the map."""

    @property
    def wall_s(self) -> float:
        """Wall seconds spent so far."""

    @property
    def cpu_s(self) -> float:
        """CPU seconds spent so far."""

    @property
    def published(self) -> int:
        """Messages published so far."""

    def restore(self, now: datetime) -> None:
        """Give the step its memory back."""

    def run_once(self, now: datetime) -> int:
        """Handle what has come and return how many messages that was."""


def no_hook(step: str, point: str) -> None:
    """Do nothing; tests put a crash here."""


class Worker:
    """Drives one step over the event log.

    Offsets are committed after the effects, so a crash anywhere repeats the batch and loses nothing;
    every effect is idempotent by record id, so the repeat changes nothing.
    """

    def __init__(
        self,
        row: Row,
        step: Step,
        log: EventLog,
        telemetry: Telemetry,
        *,
        product: str,
        memory: timedelta,
        hook: Hook = no_hook,
        lane: int = 0,
    ) -> None:
        """Take the row of the map, its step, and how far back its memory reaches; ``lane`` is the log's, of several."""
        self.row = row
        self.cpu_s = 0.0
        self.wall_s = 0.0
        self.published = 0
        self._step = step
        self._telemetry = telemetry
        self._product = product
        self._memory = memory
        self._hook = hook
        self._labels = {"product": product, "step": row.step, "lane": str(lane)}
        self._log = log
        self._unsaid: list[Record] = []  # what the last tick came to, until it is published: a step says it once
        self._positions: Positions = {topic: log.committed(row.step, self._name(topic)) for topic in row.consumes}
        self._lag_at = -_LAG_S
        self._kept_at = monotonic()

    def restore(self, now: datetime) -> None:
        """Fold the tail of the input that was committed before a restart."""
        for topic, end in self._positions.items():
            name = self._name(topic)
            offset = self._log.offset_at(name, now - self._memory)
            while offset < end and (messages := self._log.read(name, offset, min(BATCH_ROWS, end - offset))):
                records, _ = self._decode(topic, [message for message in messages if message.offset < end], now)
                self._step.restore(records, now)
                offset = messages[-1].offset + 1

    def leave(self) -> None:
        """Show no lag any more, nor what the step shows: what comes is another process's to handle."""
        for topic in self._positions:
            self._telemetry.gauge(CONSUMER_LAG, None, topic=topic, **self._labels)
        if isinstance(self._step, Leaving):
            self._step.leave()

    def run_once(self, now: datetime) -> int:
        """Handle what has come since the last call, tick, and return how many messages that was."""
        started, cpu_started = perf_counter(), thread_time()
        before = sum(self._positions.values())
        if lag_is_due := monotonic() - self._lag_at >= _LAG_S:
            self._show_lag()  # before as well: work that fails over and over would never be seen to pile up
        for left in reversed(range(MOST_BATCHES)):
            if not self._run_batch(now, last=left == 0):
                break
        self.wall_s += perf_counter() - started
        cpu_s = thread_time() - cpu_started
        self.cpu_s += cpu_s
        handled = sum(self._positions.values()) - before
        if not (self.row.job and handled):
            self._telemetry.count(STEP_CPU, cpu_s, product=self._product, step=self.row.step)
        if lag_is_due:
            self._show_lag()
            self._lag_at = monotonic()
        return handled

    def _run_batch(self, now: datetime, *, last: bool) -> bool:
        """Handle one batch and return whether there may be more; the step ticks behind the last one alone.

        What a step says of the world has to rest on all that has come.
        """
        records, out, positions, full = self._take(now)
        more = full and not last
        self._hook(self.row.step, "read")
        if records:
            out += self._step.handle(records, now)
        if not more and not self._unsaid:
            self._unsaid = self._step.tick(now)
        self._hook(self.row.step, "handled")
        self._publish([*out, *self._unsaid], now)
        self._unsaid = []
        self._hook(self.row.step, "published")
        self._commit(positions)
        self._hook(self.row.step, "committed")
        return more

    def _take(self, now: datetime) -> tuple[list[Record], list[Record], Positions, bool]:
        """Return the next batch's records, dead letters, the positions behind it, and whether there may be more."""
        records: list[Record] = []
        bad: list[Record] = []
        positions = dict(self._positions)
        full = False
        for topic, position in self._positions.items():
            come = self._log.read(self._name(topic), position, BATCH_ROWS)
            messages = list(takewhile(lambda message: message.time <= now, come))  # others' clocks may be ahead
            if messages:
                positions[topic] = messages[-1].offset + 1
            good, letters = self._decode(topic, messages, now)
            records += good
            bad += letters
            full |= len(messages) == BATCH_ROWS or sum(len(message.value) for message in messages) >= PAGE_BYTES
        return records, bad, positions, full

    def _commit(self, positions: Positions) -> None:
        """Store how far the topics were handled, and now and then what has not moved."""
        is_due = monotonic() - self._kept_at >= _KEEP_S
        if is_due or positions != self._positions:
            self._log.commit(self.row.step, {self._name(topic): offset for topic, offset in positions.items()})
        self._positions = positions
        if is_due:
            self._kept_at = monotonic()

    def _publish(self, out: Sequence[Record], now: datetime) -> None:
        messages = []
        for record in out:
            letter = isinstance(record, DeadLetter)
            topic = dead_letters(self.row.step) if letter else TOPIC_OF[type(record)]
            value, headers = encode(record)
            messages.append(NewMessage(self._name(topic), value, headers))
        if messages:
            self._log.append(messages, now)
            self.published += len(messages)

    def _decode(self, topic: str, messages: Sequence[Message], now: datetime) -> tuple[list[Record], list[Record]]:
        good: list[Record] = []
        bad: list[Record] = []
        for message in messages:
            try:
                good.append(decode_whole(topic, message.value, message.headers))
            except InvalidRecordError as error:
                place = f"{message.lane}/{message.offset}" if message.lane else str(message.offset)
                letter_id = derived_id(topic, place)
                bad.append(DeadLetter(letter_id, topic, str(error), message.value, now))
        return good, bad

    def _show_lag(self) -> None:
        for topic, position in self._positions.items():
            lag = self._log.end(self._name(topic)) - position
            self._telemetry.gauge(CONSUMER_LAG, lag, topic=topic, **self._labels)

    def _name(self, topic: str) -> str:
        return topic_name(self._product, topic)
