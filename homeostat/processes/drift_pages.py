"""The page behind a retraining: what the drift looked like, put beside the version that it led to.

``python -m homeostat.processes.drift_pages INSTANCE CONTRACT HOME VERSION`` makes one. It is a process of its own, for
Evidently brings 200 MiB that the trainer need not hold for good, and whatever it dies of, the loop goes on.
"""

import logging
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from homeostat.bootstrap import LazyStack
from homeostat.codec import decode
from homeostat.contract.load import load_contract
from homeostat.errors import HomeostatError
from homeostat.flow import topic_name
from homeostat.inspection.drift_page import FILE, page_of_look
from homeostat.ports import EventLog
from homeostat.processes.life import life
from homeostat.records import DriftReport, TrainingRun
from homeostat.settings import Settings
from homeostat.steps.train import REPORT_FILE
from homeostat.tail import Tail

MOST_BYTES = 10 << 20  # of a page: MLflow's UI shows it whole

READER = "drift_pages"
"""The name under which the log keeps how far pages are made."""

_TOPIC = "training_runs"
_PATIENCE_S = 600.0
_KEEP_S = 3600.0  # between commits of what has not moved: Kafka forgets what is a week old

_log = logging.getLogger("homeostat.drift_pages")


class DriftPages:
    """Has a page made for each version that a drift led to, one after the other, while the trainer goes on.

    What is made is committed to the log, as a step commits what it has handled, so a page that waits, or is in the
    making, outlives this process. One that a process died with is tried once more: a page that takes its process
    along, as where both share a limit of memory, must not do so for ever.
    """

    def __init__(self, instance: Path, contract: Path, home: Path, product: str, log: EventLog) -> None:
        """Go on behind the last page made; where nobody ever began, with the next training run.

        Args:
            instance: Its folder.
            contract: The product's file.
            home: Below which the product's embedded stores are.
            product: Its name.
            log: Where its training runs come.
        """
        self._command = (sys.executable, "-m", __name__, str(instance), str(contract), str(home))
        self._log, self._name, self._tail = log, topic_name(product, _TOPIC), Tail(log, product)
        self._second = log.end(self._name)  # what lies before it, another process may have died with
        self._offset = log.committed(READER, self._name) or self._second
        self._versions: deque[tuple[int, str]] = deque()  # each with the offset behind it
        self._maker: subprocess.Popen[bytes] | None = None
        self._begun = 0.0
        self._commit(self._offset)
        self.follow()

    def follow(self) -> None:
        """Note the versions that have come since the last call."""
        for offset, run in self._tail.after(_TOPIC, self._offset):
            self._offset = offset + 1
            if isinstance(run, TrainingRun) and run.version and run.receipt.get("report_id"):
                self._versions.append((self._offset, run.version))

    def go_on(self) -> bool:
        """Begin the next page once the one before is done, and return whether one is in the making.

        Raises:
            TransientError: The log can't be told now; the next call does.
        """
        if self._maker is not None and self._maker.poll() is None:
            if monotonic() - self._begun > _PATIENCE_S:
                _log.warning("no drift page within %.0f s", _PATIENCE_S)
                self._maker.kill()
            return True
        if self._maker is not None:
            self._note(self._versions[0][0])
            self._versions.popleft()
            self._maker = None
        if self._versions:
            end, version = self._versions[0]
            if end <= self._second:
                self._note(end)
            # The pipe closes with this process, and the other one ends with it: see ``life``.
            command = [*self._command, version]
            self._maker = subprocess.Popen(command, stdin=subprocess.PIPE)  # noqa: S603 - our own
            self._begun = monotonic()
        else:
            self._note(self._offset)
        return self._maker is not None

    def _note(self, made: int) -> None:
        """Store that all before an offset is made, and now and then that nothing has changed."""
        if made != self._made or monotonic() - self._kept_at >= _KEEP_S:
            self._commit(made)

    def _commit(self, made: int) -> None:
        self._log.commit(READER, {self._name: made})
        self._made, self._kept_at = made, monotonic()


def put_page(contract_file: Path, home: Path, version: str) -> None:
    """Make the page of the look that led to a version and log it among the artifacts of the version's run.

    Raises:
        HomeostatError: The rows are not kept any more, or the page is too large.
    """
    contract = load_contract(contract_file)
    ports = LazyStack(contract, home, Settings())
    report = decode("drift_reports", ports.registry.load(version).files[REPORT_FILE], {"schema": "drift_reports.v1"})
    if not isinstance(report, DriftReport):
        raise HomeostatError(f"version {version}: {REPORT_FILE} holds no drift report")
    page = page_of_look(contract, ports, report)
    if (size := len(page.encode())) > MOST_BYTES:
        raise HomeostatError(f"version {version}: {FILE} takes {size / 2**20:.1f} MiB, {MOST_BYTES >> 20} are allowed")
    ports.registry.describe(version, None, {FILE: page})
    _log.info("version %s: %s shows the drift that led to it, %.1f MiB", version, FILE, size / 2**20)


def main(arguments: Sequence[str]) -> int:
    """Make one page and return the exit code."""
    instance, contract, home = map(Path, arguments[:3])
    with life(instance):
        try:
            put_page(contract, home, arguments[3])
        except HomeostatError as error:
            _log.warning("no drift page: %s", error)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
