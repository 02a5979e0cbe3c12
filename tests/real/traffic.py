"""A producer that sends until it is acknowledged, and remembers what was."""

from collections import Counter
from datetime import UTC, datetime
from threading import Event, Thread
from time import sleep
from typing import Any
from zlib import crc32

import httpx

from .evidence import PRODUCT, Sent


def load_of(event_id: str) -> float:
    """What an event's id says its load is, so that a row found anywhere can be held against what was sent."""
    return crc32(event_id.encode()) % 1000 / 1000


def event(event_id: str, entity: str) -> dict[str, Any]:
    fields = {"turbine": entity, "maker": "acme", "load": load_of(event_id), "wind": None}
    return {"event_id": event_id, "event_time": datetime.now(UTC).isoformat(), **fields}


def label(event_id: str, *, fails: bool) -> dict[str, Any]:
    return {"event_id": event_id, "label_time": datetime.now(UTC).isoformat(), "fails": fails}


class Traffic(Thread):
    """A producer that sends until it is acknowledged, and goes on."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.acknowledged, self.tried = Sent(), Sent()
        self.refused: list[str] = []
        self.arms: Counter[str] = Counter()  # who answered
        self._url = f"{url}/v1/{PRODUCT}"
        self._over = Event()

    def run(self) -> None:
        turn = 0
        with httpx.Client(timeout=60) as http:
            while not self._over.is_set():
                turn += 1
                self.send(http, turn)

    def send(self, http: httpx.Client, turn: int) -> None:
        events = [event(f"e{turn}-{i}", f"t{i}") for i in range(4)]
        labels = [label(f"e{turn}-{i}", fails=i % 2 == 0) for i in range(4)]
        rows = [{"event": events[3]}, {"entity": "t0", "event_id": f"q{turn}"}]
        self.tried.events.update({e["event_id"]: e["turbine"] for e in events})
        self.tried.labels.update({x["event_id"]: float(x["fails"]) for x in labels})
        if self.post(http, "events", {"events": events[:3]}):
            self.acknowledged.events.update({e["event_id"]: e["turbine"] for e in events[:3]})
        if answer := self.post(http, "predict", {"rows": rows}):
            self.acknowledged.events[events[3]["event_id"]] = events[3]["turbine"]
            found = answer.json()["predictions"]
            self.arms.update(p["arm"] for p in found)
            self.acknowledged.predictions.update({p["event_id"]: p["prediction_id"] for p in found})
        if self.post(http, "labels", {"labels": labels}):
            self.acknowledged.labels.update({x["event_id"]: float(x["fails"]) for x in labels})

    def post(self, http: httpx.Client, what: str, body: dict[str, Any]) -> httpx.Response | None:
        """Send until it is acknowledged; None when the traffic ends before."""
        while not self._over.is_set():
            try:
                answer = http.post(f"{self._url}/{what}", json=body)
            except httpx.TransportError:  # the server is just not there
                sleep(0.1)
                continue
            if answer.is_success:
                return answer
            if answer.status_code not in {429, 503}:
                self.refused.append(answer.text)
                return None
            sleep(0.1)
        return None

    def stop(self) -> None:
        self._over.set()
        self.join(120)
