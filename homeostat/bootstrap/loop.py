"""The whole loop of a product in one process."""

from collections.abc import Iterable
from datetime import datetime

from homeostat.bootstrap.stack import Ports
from homeostat.bootstrap.workers import build_workers
from homeostat.contract.model import Contract
from homeostat.cost.meter import parts_per_1k
from homeostat.flow import FLOW
from homeostat.metric_names import COST_PER_1K
from homeostat.ports import Telemetry
from homeostat.worker import Hook, Runner, no_hook


class Loop:
    """All steps of one product in one process, in the order of the map."""

    def __init__(self, workers: Iterable[Runner], contract: Contract, telemetry: Telemetry) -> None:
        """Take the workers in flow order."""
        self.workers = tuple(workers)
        self._contract = contract
        self._telemetry = telemetry

    def restore(self, now: datetime) -> None:
        """Give every step its memory back after a restart."""
        for worker in self.workers:
            worker.restore(now)

    def flow(self, now: datetime) -> None:
        """Move what has come through the steps that run at every batch."""
        for worker in self.workers:
            if not worker.row.paced:
                worker.run_once(now)

    def pace(self, now: datetime) -> None:
        """Move everything and let the steps that look at the world look."""
        for worker in self.workers:
            worker.run_once(now)
        for part, usd in self.cost().items():
            self._telemetry.gauge(COST_PER_1K, usd, product=self._contract.product, part=part)

    def cost(self) -> dict[str, float]:
        """Return the cost of 1,000 predictions so far in USD by part, empty before the first one."""
        served = sum(worker.published for worker in self.workers if worker.row.step == "predict")
        if not served:
            return {}
        cpu_s = {worker.row.step: worker.cpu_s for worker in self.workers}
        return parts_per_1k(cpu_s, self._contract.prices, served)


def build_loop(
    contract: Contract, stack: Ports, seed: int, hook: Hook = no_hook, ingestor: Runner | None = None
) -> Loop:
    """Return the whole loop of a product on a stack; ``ingestor`` stands for ingestion in another process."""
    steps = [row.step for row in FLOW if ingestor is None or row.step != ingestor.row.step]
    workers = build_workers(contract, stack, seed, steps, hook).values()
    return Loop([ingestor, *workers] if ingestor else workers, contract, stack.telemetry)
