"""Plays a recording through the whole loop on a virtual clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter

from homeostat.bootstrap import Loop, Ports, build_loop, replay_pace
from homeostat.contract.model import Contract
from homeostat.flow import topic_name
from homeostat.ports import Aliases, NewMessage
from homeostat.records import DriftScore
from homeostat.replay.ahead import IngestAhead
from homeostat.replay.baselines import Baselines
from homeostat.replay.live import LiveView, Snapshot
from homeostat.replay.recording import Recording
from homeostat.tail import Tail

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How a recording is played.

    Args:
        seed: Of everything random; the same seed gives the same decisions and figures.
        batch: Virtual span of a micro-batch once a model serves; an event is answered at most this much
            after its time, so it must not be longer than the time between an event and its outcome.
        history_batch: The same before there is a champion, when nobody waits for an answer.
        start: Where the clock starts, on a stack with a history behind it; None: at the recording's first midnight.
        monthly: Whether a monthly refit runs beside as a second baseline.
        skip_silence: Whether the clock stands still until something comes or a look is due, as that of the run did
            which wrote a log: a label that came with a later tick must not count as one that never came.
    """

    seed: int = 7
    batch: timedelta = timedelta(hours=2)
    history_batch: timedelta = DAY
    start: datetime | None = None
    monthly: bool = True
    skip_silence: bool = False


@dataclass(frozen=True, slots=True)
class Played:
    """What a replay leaves behind for its report."""

    stack: Ports
    loop: Loop
    tail: Tail
    baselines: Baselines
    rows: int
    ended_at: datetime
    wall_s: float
    feed_s: float  # of it, putting the recording into the log
    ingestor_rss_mib: float  # the most memory the ingestor's process held, 0 without one
    baseline_s: float  # of it, preparing the baselines' training rows


class Replay:
    """One run of a recording: feeds the log, moves the clock, lets the steps work."""

    def __init__(
        self,
        contract: Contract,
        recording: Recording,
        stack: Ports,
        options: ReplayOptions,
        ingestor: IngestAhead | None = None,
    ) -> None:
        """Build the loop on a stack that has seen nothing newer yet; ``ingestor`` works ahead in another process."""
        self._contract = contract
        self._recording = recording
        self._options = options
        self.stack = stack
        self.loop = build_loop(contract, stack, options.seed, ingestor=ingestor)
        self._ingestor = ingestor
        self._baselines = Baselines(contract, self.stack.offline, options.seed, monthly=options.monthly)
        self.tail = Tail(self.stack.log, contract.product)
        self._served_from: datetime | None = None
        self._fed = (0, 0)
        self._began = self._fed_until = options.start or recording.first.replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        self._feed_s = 0.0
        self._baseline_s = 0.0

    def run(self, view: LiveView) -> Played:
        """Play the whole recording, then wait in virtual time until every label is mature."""
        started = perf_counter()
        every = self._contract.drift.every
        pace = replay_pace(every, self._fed_until)
        end = self._recording.last + self._contract.label.maturity
        self.loop.restore(self._fed_until)
        if self._ingestor:
            self._ingestor.ahead = self._feed
        now = self._feed()
        while now < end:
            if pace.due(now):
                self.loop.pace(now)
                self._look(now, view, perf_counter() - started)
            else:
                self.loop.flow(now)
            now = self._fed_until if self._fed_until > now else self._feed()
        return Played(
            self.stack,
            self.loop,
            self.tail,
            self._baselines,
            rows=self._fed[0],
            ended_at=now,
            wall_s=perf_counter() - started,
            feed_s=self._feed_s,
            ingestor_rss_mib=self._ingestor.peak_rss_mib if self._ingestor else 0.0,
            baseline_s=self._baseline_s,
        )

    def _feed(self) -> datetime:
        """Append to the log what became known in the next batch and return its end."""
        started = perf_counter()
        now = self._next()
        messages = []
        fed = []
        tracks = (("raw_events", self._recording.events), ("raw_labels", self._recording.labels))
        for (topic, track), start in zip(tracks, self._fed, strict=True):
            stop = track.index_at(now)
            name = topic_name(self._contract.product, topic)
            messages += [NewMessage(name, value) for value in track.take(start, stop)]
            fed.append(stop)
        self._fed = (fed[0], fed[1])
        if messages:
            self.stack.log.append(messages, now)
        self._fed_until = now
        self._feed_s += perf_counter() - started
        if self._ingestor:
            self._ingestor.begin(now)
        return now

    def _next(self) -> datetime:
        """Return the end of the next batch."""
        batch = self._options.batch if self._served_from else self._options.history_batch
        now = self._fed_until + batch
        while self._options.skip_silence and self._is_silent(now):
            now += batch
        return now

    def _is_silent(self, now: datetime) -> bool:
        """Return whether nothing became known up to a time, and no look is due by then."""
        every = self._contract.drift.every
        if (now - self._began) // every > (self._fed_until - self._began) // every:
            return False
        tracks = (self._recording.events, self._recording.labels)
        return all(track.index_at(now) == fed for track, fed in zip(tracks, self._fed, strict=True))

    def _look(self, now: datetime, view: LiveView, elapsed_s: float) -> None:
        """Show the state after a look, and keep the baselines in step with the clock."""
        aliases = self.stack.registry.aliases()
        started = perf_counter()
        if self._served_from is None and aliases.champion:
            self._served_from = now
            self._baselines.begin(self.stack.registry.load(aliases.champion).files, now)
        self._baselines.advance(now)
        self._baseline_s += perf_counter() - started
        self.tail.follow()
        view.update(self._snapshot(now, aliases, elapsed_s))

    def _snapshot(self, now: datetime, aliases: Aliases, elapsed_s: float) -> Snapshot:
        return Snapshot(
            clock=now,
            rows=self._fed[0],
            total_rows=len(self._recording.events),
            elapsed_s=elapsed_s,
            champion=aliases.champion,
            challenger=aliases.challenger,
            case=self.stack.cases.load(),
            report=self.tail.reports[-1] if self.tail.reports else None,
            decisions=self.tail.decisions,
        )


def ratio(score: DriftScore) -> float:
    """Return the index as a multiple of what calm windows stay under; above 1 is more than chance."""
    value, limit = score.size
    return value / limit
