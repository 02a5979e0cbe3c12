"""The pace of periodic work: one trigger class of APScheduler behind event time and wall time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent  # type: ignore[import-untyped]
from apscheduler.schedulers.background import BackgroundScheduler  # type: ignore[import-untyped]
from apscheduler.triggers.interval import IntervalTrigger  # type: ignore[import-untyped]


class ReplayPace:
    """The beat of periodic work in the time of the events: ``start``, ``start + every``, and so on."""

    def __init__(self, every: timedelta, start: datetime) -> None:
        """Set the beat; the first fire time is ``start`` itself."""
        self._trigger = _trigger(every, start)
        self._next: datetime = self._trigger.get_next_fire_time(None, start)

    def due(self, now: datetime) -> list[datetime]:
        """Return the fire times up to and including ``now`` that were not returned before, in order."""
        fired = []
        while self._next <= now:
            fired.append(self._next)
            self._next = self._trigger.get_next_fire_time(self._next, self._next)
        return fired


class LivePace:
    """Runs a job at every beat of the machine's clock, in a thread of its own.

    A beat that comes while the job still runs is left out, and beats missed together run once: looking
    twice at the same world brings nothing. A job that raises ends the pace; ``failure`` keeps the error
    for the main loop, because a loop that only seems to run heals nothing.
    """

    def __init__(self, every: timedelta, job: Callable[[], None]) -> None:
        """Prepare the beat; nothing runs before ``start``."""
        self.failure: BaseException | None = None
        self._scheduler = BackgroundScheduler(timezone=UTC)
        self._scheduler.add_listener(self._failed, EVENT_JOB_ERROR)
        self._scheduler.add_job(
            job, _trigger(every, datetime.now(UTC)), coalesce=True, max_instances=1, misfire_grace_time=None
        )

    def start(self) -> None:
        """Start the beat."""
        self._scheduler.start()

    def stop(self) -> None:
        """Stop the beat and wait for a running job to end."""
        self._scheduler.shutdown(wait=True)

    def _failed(self, event: JobExecutionEvent) -> None:
        self.failure = event.exception
        self._scheduler.pause()


def _trigger(every: timedelta, start: datetime) -> IntervalTrigger:
    return IntervalTrigger(seconds=every.total_seconds(), start_date=start, timezone=UTC)
