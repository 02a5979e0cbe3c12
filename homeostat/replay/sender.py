"""Replays a recording to a running instance over HTTP, on its stream clock or on the machine's."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from homeostat.contract.model import Contract
from homeostat.errors import HomeostatError
from homeostat.replay.client import InstanceClient, Kind
from homeostat.replay.recording import Recording, from_us, to_us
from homeostat.replay.sending import Feed, Progress, Sent, cut, first_events

UNSET: Final = datetime(1970, 1, 1, tzinfo=UTC)  # what a stream clock shows that nobody has set yet
_MICROSECOND: Final = timedelta(microseconds=1)
_REAL_TICK_S: Final = 0.2  # between portions on the machine's clock


@dataclass(frozen=True, slots=True)
class SendOptions:
    """How a recording is sent.

    Args:
        batch: Stream time sent at once on a stream clock.
        speed: At most so many times as fast as recorded; None for no limit, on a stream clock only.
        since: Leave out what was known before; on a stream clock by default what was known before its time.
        until: Leave out what was known from then on.
        limit: Send so many events at most, with their labels.
        predict: Ask for predictions of events instead of sending them.
        to_maturity: On a stream clock, let the time run on until every label is mature.
        settle_s: How long the instance may work on one batch; a training is part of it.
    """

    batch: timedelta
    speed: float | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None
    predict: bool = False
    to_maturity: bool = False
    settle_s: float = 1800.0


class Sender:
    """One replay; ``sent`` says at any time what came of it so far."""

    def __init__(
        self,
        contract: Contract,
        recording: Recording,
        client: InstanceClient,
        options: SendOptions,
        *,
        see: Callable[[Progress], object] = lambda _: None,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """Ask the instance for its clock and cut the recording to what is to be sent.

        Raises:
            HomeostatError: Nothing is left to send, or the speed is wanting.
        """
        self._contract = contract
        self._client = client
        self._options = options
        self._see = see
        self._pause = pause
        clock = client.clock()
        self.mode = clock.mode
        self._now = clock.now
        self.since = options.since
        if self.since is None and self.mode == "stream" and clock.now > UNSET:
            self.since = clock.now
        chosen = cut(recording, self.since, options.until)
        later = cut(recording, self.since, None)
        self.too_early = len(recording.events) + len(recording.labels) - len(later.events) - len(later.labels)
        if options.limit is not None:
            chosen = first_events(chosen, contract, options.limit)
        if not len(chosen.events) and not len(chosen.labels):
            raise HomeostatError(self._nothing(recording))
        if self.mode == "system" and options.speed is None:
            raise HomeostatError(
                "this instance follows the machine's clock: name a speed, like --speed 1000x, or "
                "start it with `homeostat up --clock stream`"
            )
        self._recording = chosen
        self._feed = Feed(contract, chosen, client, predict=options.predict)
        self.sent = self._feed.sent

    def run(self) -> Sent:
        """Send everything and return what came of it."""
        started = time.monotonic()
        try:
            if self.mode == "stream":
                self._stream(started)
            else:
                self._real(self._options.speed or 1.0)
        finally:
            self.sent.wall_s = time.monotonic() - started
        self.sent.clock = self._client.clock().now
        return self.sent

    def _stream(self, started: float) -> None:
        """Set the clock to the end of each batch and send the batch; looks fall between two batches.

        A batch that ends at a look is dealt with a microsecond before it. So each look sees exactly what was known by
        then, however fast the machine is.
        """
        begun = self._recording.first
        while (first := self._feed.next_time()) is not None:
            end = self._end_of(from_us(first))
            self._look(end - _MICROSECOND)
            self._set(end - _MICROSECOND)
            self._feed.deliver(end)
            self._settle(end)
            self._hold_back((end - begun).total_seconds(), started)
        self._look(self._recording.last + _MICROSECOND)
        if self._options.to_maturity:
            self._ripen(self._recording.last + self._contract.label.maturity)

    def _end_of(self, first: datetime) -> datetime:
        """Return the end of the batch of a message: of its span, at the next look, or behind the last message."""
        after = max(first, self._now)
        ends = [_beat_after(after, self._options.batch), _beat_after(after, self._contract.drift.every)]
        return min(*ends, max(self._recording.last, after) + _MICROSECOND)

    def _look(self, until: datetime) -> None:
        """Let the instance look at the world if a look is due by then, before anything newer is sent."""
        beat = _beat_after(until, self._contract.drift.every) - self._contract.drift.every
        if beat > self._now:
            self._set(beat)
            self._settle(beat)

    def _ripen(self, end: datetime) -> None:
        """Let looks pass until every label is mature and the look behind that was taken."""
        now = self._now
        while now < end:
            now = _beat_after(now, self._contract.drift.every)
            self._set(now)
            self._settle(now)

    def _set(self, time_: datetime) -> None:
        if time_ > self._now:
            self._now = self._client.set_clock(time_).now

    def _settle(self, now: datetime) -> None:
        def waiting(waited_s: float) -> None:
            self._see(Progress(now, self.sent.rows, self._feed.total_rows, waited_s))

        self._client.settle(self._options.settle_s, waiting)
        waiting(0.0)

    def _hold_back(self, played_s: float, started: float) -> None:
        """Wait until as much time has passed as the speed allows at most."""
        if self._options.speed is not None:
            self._pause(max(0.0, played_s / self._options.speed - (time.monotonic() - started)))

    def _real(self, speed: float) -> None:
        """Send each message when it is due on the machine's clock, its times moved there."""
        shift = Shift(self._contract, self._recording.first, datetime.now(UTC), speed)
        while (first := self._feed.next_time()) is not None:
            due = shift.back(datetime.now(UTC)) + _MICROSECOND
            if to_us(due) > first:
                self._feed.deliver(due, shift)
                self._see(Progress(due, self.sent.rows, self._feed.total_rows))
            else:
                wait_s = (shift.there(from_us(first)) - datetime.now(UTC)).total_seconds()
                self._pause(max(_REAL_TICK_S, wait_s))

    def _nothing(self, recording: Recording) -> str:
        until = self._options.until or recording.last
        if self._options.since is None and self.since is not None and until <= self.since:
            return (
                f"everything was known before the instance's clock, {self.since.isoformat()}: "
                "it was sent already, or belongs into `homeostat backfill`; --from sends it all the same"
            )
        return f"nothing lies between --from and --until: the recording goes from {recording.first} to {recording.last}"


class Shift:
    """Moves recorded times to the machine's clock: the first one to now, the gaps shrunk by the speed.

    What the contract measures by the clock (windows, delays, maturity) doesn't shrink with them. Ids get the start of
    the replay as a suffix: at other times it is another event.
    """

    def __init__(self, contract: Contract, begun: datetime, start: datetime, speed: float) -> None:
        """Take what becomes ``start``, and how much faster time shall pass."""
        self._names = {
            "events": (contract.event.id, contract.event.time),
            "labels": (contract.label.id, contract.label.time),
        }
        self._begun = begun
        self._start = start
        self._speed = speed
        self.suffix = f"~{start:%Y%m%dT%H%M%S.%f}"

    def there(self, recorded: datetime) -> datetime:
        """Return when a recorded time is now."""
        return self._start + (recorded - self._begun) / self._speed

    def back(self, now: datetime) -> datetime:
        """Return the recorded time that is now."""
        return self._begun + (now - self._start) * self._speed

    def __call__(self, kind: Kind, row: bytes) -> bytes:
        """Return a row with its id and its time moved; what is no id or no time stays as it stands."""
        id_name, time_name = self._names[kind]
        said = msgspec.json.decode(row)
        if isinstance(said.get(id_name), str):
            said[id_name] += self.suffix
        try:
            said[time_name] = self.there(datetime.fromisoformat(said[time_name])).isoformat()
        except (TypeError, ValueError, KeyError):
            return msgspec.json.encode(said)
        return msgspec.json.encode(said)


def _beat_after(time_: datetime, every: timedelta) -> datetime:
    return UNSET + ((time_ - UNSET) // every + 1) * every
