"""An instance of one product behind its API: on the real front with memory adapters, and on one that tests direct."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from homeostat.adapters.memory import MemoryLedger, MemoryLog
from homeostat.api import Limits, Served, build_app
from homeostat.contract.model import Contract
from homeostat.errors import HomeostatError, OverloadedError
from homeostat.features.query import Query
from homeostat.records import Arm, Prediction
from homeostat.serving import Front, build_front
from homeostat.serving import Limits as FrontLimits
from tests.stacks import memory_stack

NOW = datetime(2030, 1, 7, 12, tzinfo=UTC)
CONTRACT = Contract.model_validate(
    {
        "product": "calls",
        "event": {
            "entity": "line",
            "fields": {
                "line": "string",
                "seconds": {"type": "number", "min": 0, "max": 1000},
                "tries": {"type": "integer", "nullable": True},
                "kind": {"type": "string", "nullable": True},
                "vip": {"type": "boolean", "nullable": True},
                "json": {"type": "integer", "nullable": True, "min": 0.5},  # an attribute of pydantic's, too
                "began": {"type": "time", "nullable": True},
                "tone": {"type": "vector", "size": 2, "nullable": True},
            },
        },
        "label": {"field": "fault", "delay": "10m", "maturity": "3h", "facts": {"cost": {"type": "number", "min": 0}}},
        "features": {
            "line": {"field": "line"},
            "seconds": {"field": "seconds"},
            "kind": {"field": "kind"},
            "vip": {"field": "vip"},
            "tone": {"field": "tone"},
            "dear": {"aggregate": "last", "of": "cost", "by": ["line"], "over": "1d"},
            "calls_1d": {"aggregate": "count", "by": ["line"], "over": "1d"},
        },
    }
)
LIMITS = Limits(body_bytes=20_000, rows=50)


class Clock:
    """A stream clock in memory."""

    mode = "stream"

    def __init__(self, time: datetime = NOW) -> None:
        self.time = time

    def now(self) -> datetime:
        return self.time

    def advance_to(self, time: datetime) -> None:
        if time < self.time:
            raise HomeostatError(f"{time} lies before {self.time}")
        self.time = time

    def settled(self) -> bool:
        return True


class Door:
    """A front that keeps what comes, and answers as a test tells it to."""

    def __init__(self, contract: Contract = CONTRACT) -> None:
        self.contract = contract
        self.failure: BaseException | None = None
        self.why_not: str | None = None
        self.full: OverloadedError | None = None  # before rows are judged
        self.refuse: Exception | None = None  # at once
        self.fail: Exception | None = None  # later
        self.hold = False  # do not answer
        self.held: list[Future[Any]] = []
        self.events: list[bytes] = []
        self.labels: list[bytes] = []
        self.asked: list[bytes | Query] = []

    def ready(self) -> str | None:
        return self.why_not

    def admit(self, rows: int, *, stored: bool) -> None:
        if self.full:
            raise self.full

    def send(self, events: Sequence[bytes], labels: Sequence[bytes]) -> Future[None]:
        future = self._future(None)
        self.events += events
        self.labels += labels
        return future

    def predict(self, rows: Sequence[bytes | Query]) -> Future[list[Any]]:
        future = self._future([self._answer(row) for row in rows])
        self.asked += rows
        return future

    def _future(self, result: Any) -> Future[Any]:
        if self.refuse:
            raise self.refuse
        future: Future[Any] = Future()
        if self.hold:
            self.held.append(future)
        elif self.fail:
            future.set_exception(self.fail)
        else:
            future.set_result(result)
        return future

    def _answer(self, row: bytes | Query) -> Prediction:
        if isinstance(row, Query):
            ids = (row.event_id, row.entity_id, row.event_time)
        else:
            found = json.loads(row)
            ids = (found["event_id"], found["line"], NOW)
        score, version, arm = (None, None, Arm.NONE) if self.why_not else (0.25, "3", Arm.CHAMPION)
        return Prediction(f"p-{ids[0]}", *ids, NOW, arm, version, score, 1.0, 1.0, ())


class Client:
    """Sends one request after the other through httpx, each in an event loop of its own."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    def request(self, method: str, path: str, **sent: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            async with self.session() as session:
                return await session.request(method, path, **sent)

        return asyncio.run(send())

    def session(self) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://instance")

    def get(self, path: str, **sent: Any) -> httpx.Response:
        return self.request("GET", path, **sent)

    def put(self, path: str, **sent: Any) -> httpx.Response:
        return self.request("PUT", path, **sent)

    def post(self, path: str, **sent: Any) -> httpx.Response:
        if "content" in sent:
            sent.setdefault("headers", {"content-type": "application/json"})
        return self.request("POST", path, **sent)


def event(i: int, **changes: object) -> dict[str, Any]:
    at = NOW - timedelta(minutes=30 - i % 30)
    return {"event_id": f"e{i}", "event_time": at.isoformat(), "line": f"l{i % 3}", "seconds": 1.5} | changes


def label(i: int, **changes: object) -> dict[str, Any]:
    return {"event_id": f"e{i}", "label_time": NOW.isoformat(), "fault": True, "cost": 2.0} | changes


def told(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Return the body of a problem, held against RFC 9457."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body.keys() >= {"type", "title", "detail"}
    return body


def make_app(front: Any, clock: Clock | None = None, limits: Limits = LIMITS, **status: Any) -> FastAPI:
    served = Served(front, lambda: status or {"champion": None}, MemoryLedger)
    return build_app({"calls": served}, clock or Clock(), lambda: b"# metrics\n", limits)


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def make_front(tmp_path: Path) -> Iterator[Callable[..., Front]]:
    made: list[Front] = []

    def make(log: MemoryLog, clock: Clock) -> Front:
        stack = memory_stack(CONTRACT, tmp_path, log)
        front = build_front(CONTRACT, stack, clock, limits=FrontLimits(idle_s=0.01))
        made.append(front)
        front.start()
        deadline = monotonic() + 60
        while "starting" in str(front.ready()):
            assert monotonic() < deadline
            sleep(0.005)
        return front

    yield make
    for front in made:
        front.stop()


@pytest.fixture
def front(make_front: Callable[..., Front], log: MemoryLog) -> Front:
    return make_front(log, Clock())


@pytest.fixture
def client(front: Front) -> Client:
    return Client(make_app(front))


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def at_door(door: Door) -> Client:
    return Client(make_app(door))
