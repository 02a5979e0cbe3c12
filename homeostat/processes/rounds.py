"""One product's work in a process that keeps it: which steps run in a round, and when each is due."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from threading import Event
from time import monotonic

from homeostat.adapters.prometheus_telemetry import PrometheusTelemetry
from homeostat.adapters.stream_clock import UNSET
from homeostat.cost.meter import parts_per_1k
from homeostat.flow import FLOW, topic_name
from homeostat.metric_names import COST_PER_1K, PREDICTIONS, STEP_CPU
from homeostat.processes.retention import Retention
from homeostat.processes.stores import Product
from homeostat.tail import Tail
from homeostat.worker import Runner

SERVED = ("ingest", "predict")
TRAINED = ("train",)
KEPT = tuple(row.step for row in FLOW if row.step not in {*SERVED, *TRAINED})
"""Steps of the map by the process that runs them: server, trainer, keeper."""

_PROMPT = tuple(row.step for row in FLOW if row.paced and row.step not in {"archive", "detect", "decide"})
# they carry out what was found, or what an operator wants, between looks too
_ARCHIVE_S = 10.0  # few large writes
_PROMPT_S = 2.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Rounds:
    """Runs steps of one product.

    Every round moves what streams. The world is looked at on the beats of ``drift.every``; a beat is due when one
    has passed since the last report in the log, so neither a restart nor a clock that leaps looks twice. Between
    looks, the case goes on: the steps behind a look see what came of a training, or what an operator wants.
    ``archive`` always runs just before ``decide``, so that a training finds all rows there are.
    """

    def __init__(
        self,
        product: Product,
        telemetry: PrometheusTelemetry,
        workers: Mapping[str, Runner],
        *,
        promptly: bool = False,
    ) -> None:
        """Take the product and the workers; ``promptly`` leaves nothing for later, as a replay waits for it."""
        contract = product.contract
        self.product = contract.product
        self._contract = contract
        self._log = product.stack.log
        self._stack = product.stack
        self._telemetry = telemetry
        self._promptly = promptly
        self._retention = Retention(contract, product.stack)
        self._workers = workers
        self._paced = [row.step for row in FLOW if row.paced and row.step in self._workers]
        self._streaming = [step for step in self._workers if step not in self._paced]
        self._looked_at = Tail(self._log, self.product).last_time("drift_reports")
        self._archived_at = self._prompted_at = -_ARCHIVE_S
        self._woken = Event()

    def restore(self, now: datetime) -> None:
        """Give the steps their memory back."""
        for worker in self._workers.values():
            worker.restore(now)

    def wake(self) -> None:
        """Look at the registry in the next round: somebody has edited it; called by any thread."""
        self._woken.set()

    def run(self, now: datetime) -> int:
        """Do what is due and return how many messages were handled or published, 0 when there is nothing more to do.

        Raises:
            TransientError: A store or the registry can't be reached; nothing was lost.
        """
        if now == UNSET:  # a replay has not begun
            return 0
        before = self._published()
        moved = self._move(self._streaming, now)
        is_due = self._is_look_due(now)
        if not (is_due and self._promptly):
            moved += self._between_looks(now)  # first: a look that fails each time must not keep it away
        if is_due:
            if self._promptly and self._is_served_behind():
                return moved + 1
            moved += self._move(self._paced, now)
            self._looked_at = now
            self._archived_at = self._prompted_at = monotonic()
            self._show_cost()
            if "archive" in self._workers:  # the one writer of the offline store
                self._retention.run(now)
        return moved + self._published() - before

    def _between_looks(self, now: datetime) -> int:
        moved = 0
        tick, woken = monotonic(), self._woken.is_set()
        self._woken.clear()
        if self._promptly or tick - self._archived_at >= _ARCHIVE_S or self._is_asked():
            moved += self._move(("archive", "decide"), now)
            self._archived_at = monotonic()
        if self._promptly or woken or tick - self._prompted_at >= _PROMPT_S or self._is_told():
            moved += self._move(_PROMPT, now)
            self._prompted_at = monotonic()
        return moved

    def _is_asked(self) -> bool:
        """Return whether an operator has said something that nobody has answered."""
        return "decide" in self._workers and bool(self._stack.registry.decisions())

    def _is_told(self) -> bool:
        """Return whether a training has ended, or a verdict waits to be carried out."""
        awaited = (("judge", "training_runs"), ("promote", "canary_verdicts"))
        return any(step in self._workers and self._has_come(step, topic) for step, topic in awaited)

    def _move(self, steps: Sequence[str], now: datetime) -> int:
        return sum(self._workers[step].run_once(now) for step in steps if step in self._workers)

    def _is_look_due(self, now: datetime) -> bool:
        every = self._contract.drift.every
        return self._looked_at is None or (now - _EPOCH) // every > (self._looked_at - _EPOCH) // every

    def _is_served_behind(self) -> bool:
        """Return whether the server has still to ingest or predict: in a replay a look waits for all that was sent."""
        return any(self._has_come(row.step, topic) for row in FLOW if row.step in SERVED for topic in row.consumes)

    def _has_come(self, step: str, topic: str) -> bool:
        name = topic_name(self.product, topic)
        return self._log.end(name) > self._log.committed(step, name)

    def _published(self) -> int:
        return sum(worker.published for worker in self._workers.values())

    def _show_cost(self) -> None:
        served = sum(self._telemetry.totals(PREDICTIONS, "arm", product=self.product).values())
        if served:
            cpu_s = self._telemetry.totals(STEP_CPU, "step", product=self.product)
            for part, usd in parts_per_1k(cpu_s, self._contract.prices, int(served)).items():
                self._telemetry.gauge(COST_PER_1K, usd, product=self.product, part=part)
