from types import SimpleNamespace
from typing import Any

import pytest

from homeostat.errors import TransientError
from homeostat.processes.trainer import run_trainings

from .conftest import START


class Requests:
    """A worker that says what it is told to, and ends the process with the last word."""

    def __init__(self, troubles: dict[str, str | None]) -> None:
        self.seen: list[dict[str, str | None]] = []
        self._troubles = troubles
        self._acts: list[Any] = [TransientError("the store is lost", 0.0), 0, KeyboardInterrupt()]

    def run_once(self, now: object) -> int:
        self.seen.append(dict(self._troubles))
        act = self._acts.pop(0)
        if isinstance(act, BaseException):
            raise act
        return int(act)


def test_a_trainer_says_what_it_waits_for_while_it_does() -> None:
    troubles: dict[str, str | None] = {}
    requests = Requests(troubles)
    with pytest.raises(KeyboardInterrupt):
        run_trainings({"turbines": requests}, SimpleNamespace(now=lambda: START), 0.0, show=troubles.__setitem__)  # type: ignore[dict-item,arg-type]
    assert requests.seen == [{}, {"turbines": "the store is lost"}, {"turbines": None}]
