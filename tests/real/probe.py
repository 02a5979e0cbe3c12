"""Who asks for predictions at set times, whatever becomes of those asked for before: an open loop."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event, Lock, Thread
from time import monotonic

import httpx

EVERY_S, WITHIN_S = 0.1, 1.0
_GIVES_UP_S = 10.0
_ASKERS = round(2 * _GIVES_UP_S / EVERY_S)  # more than can be waiting for an answer at a time


class Probe(Thread):
    """Asks for a prediction when one is due, however long the others take, and counts those answered in time.

    A probe that waits for one answer before it asks for the next counts a stall of ten seconds as one question.
    """

    def __init__(self, url: str, every_s: float = EVERY_S, within_s: float = WITHIN_S) -> None:
        """Take where to ask, e.g. ``http://127.0.0.1:8000/v1/turbines/predict``."""
        super().__init__(daemon=True)
        self.in_time = self.late = self.failed = 0
        self.slowest_s = 0.0
        self.predictions: dict[str, str] = {}  # each that was answered: its id by its event's
        self._url, self._every_s, self._within_s = url, every_s, within_s
        self._over, self._lock = Event(), Lock()

    def run(self) -> None:
        began = monotonic()
        limits = httpx.Limits(max_connections=_ASKERS)
        with httpx.Client(timeout=_GIVES_UP_S, limits=limits) as http, ThreadPoolExecutor(_ASKERS) as askers:
            for turn in count():
                due = began + turn * self._every_s
                if self._over.wait(max(0.0, due - monotonic())):
                    self._note_unsent(monotonic() - due)
                    return
                askers.submit(self._ask, http.post, due)

    def stop(self) -> None:
        """Ask no more, and wait for the answers that are on their way."""
        self._over.set()
        self.join(60)

    @property
    def due(self) -> int:
        """How many questions have come to an end."""
        return self.in_time + self.late + self.failed

    @property
    def share(self) -> float:
        """The share of the questions that a model answered in time."""
        return self.in_time / max(1, self.due)

    def __str__(self) -> str:
        return (
            f"{self.share:.4%} of {self.due:,} due every {1000 * self._every_s:.0f} ms "
            f"({self.late} later, {self.failed} not at all; the slowest answer took {self.slowest_s:.2f} s)"
        )

    def _note_unsent(self, behind_s: float) -> None:
        """Count what was due and not sent: whoever asks was held up too."""
        with self._lock:
            self.failed += max(0, int(behind_s / self._every_s))

    def _ask(self, post: Callable[..., httpx.Response], due: float) -> None:
        try:
            answer = post(self._url, json={"rows": [{"entity": "t0"}]})
            (found,) = answer.json()["predictions"] if answer.is_success else [None]
        except (httpx.HTTPError, ValueError, KeyError):
            found = None
        took = monotonic() - due
        with self._lock:
            if found is None or found["score"] is None:
                self.failed += 1
                return
            self.predictions[found["event_id"]] = found["prediction_id"]
            self.slowest_s = max(self.slowest_s, took)
            if took <= self._within_s:
                self.in_time += 1
            else:
                self.late += 1
