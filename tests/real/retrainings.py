"""An operator who has a model trained anew whenever no case is open, and what became of the cases."""

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event, Thread
from typing import TypeVar

from homeostat.adapters.sql import SqlCases, SqlLedger
from homeostat.errors import TransientError
from homeostat.records import Action, Case

from .evidence import PRODUCT
from .running import HOMEOSTAT

T = TypeVar("T")


class Retrainings(Thread):
    """Has one healing case opened after the other, by the command."""

    def __init__(self, home: Path, servers: Mapping[str, str], at_most: int) -> None:
        """Take the instance, the environment that names its servers, and how many cases are wanted."""
        super().__init__(daemon=True)
        self._words, self._environment = [HOMEOSTAT, "retrain", "--home", str(home), "--by", "a drill"], dict(servers)
        self._at_most = at_most
        sql = servers["HOMEOSTAT_SQL__URL"]
        self._cases, self._ledger = SqlCases(sql, PRODUCT), SqlLedger(sql, PRODUCT)
        self._before = len(list(self._ledger.entries()))
        self._over = Event()
        self.said = ""  # by the command, the last time

    def run(self) -> None:
        while not self._over.wait(0.5):
            try:
                if len(self.opened) >= self._at_most:
                    return
                if self.case.is_open:
                    continue
            except TransientError:  # PostgreSQL was killed
                continue
            done = subprocess.run(
                self._words, capture_output=True, text=True, check=False, env={**os.environ, **self._environment}
            )
            self.said = done.stdout + done.stderr

    def stop(self) -> None:
        self._over.set()
        self.join(60)

    @property
    def case(self) -> Case:
        return again(self._cases.load)

    @property
    def opened(self) -> set[str]:
        """The ids of the cases that were opened since this began."""
        return self._named("case_opened")

    @property
    def tried(self) -> set[str]:
        """Those whose training brought a challenger for live traffic."""
        return self.opened & self._named(Action.START)

    @property
    def ended(self) -> set[str]:
        """Those that came to an end."""
        return self.opened & self._named(Action.PROMOTE, Action.REJECT, Action.ROLLBACK)

    def _named(self, *kinds: str) -> set[str]:
        entries = again(lambda: list(self._ledger.entries()))[self._before :]
        return {str(entry.payload["request_id"]) for entry in entries if entry.kind in kinds}


def again(read: Callable[[], T]) -> T:
    """Read, once more if it fails: a connection made before PostgreSQL was killed is told so at its next use."""
    try:
        return read()
    except TransientError:
        return read()
