"""The routes of one product."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from homeostat.api.bodies import Limits, read_body
from homeostat.api.describe import Description, Responses, answer, body, problems
from homeostat.api.door import STOPPING, ClockDesk, Served
from homeostat.api.models import Accepted, Model, Predictions, asked_model, event_model, label_model, list_model
from homeostat.api.problems import refused, unavailable
from homeostat.api.requests import Admit, Reader
from homeostat.api.roles import Right
from homeostat.api.tokens import demanding
from homeostat.errors import InvalidRecordError, OverloadedError, TransientError
from homeostat.healing.chain import as_line
from homeostat.ports import Ledger
from homeostat.records import Prediction

T = TypeVar("T")
Route = Callable[[Request], Awaitable[Response]]

_LARGE_BYTES = 64 * 1024  # some 5 ms of parsing: a larger body is judged in a thread, while others are served
_LINES = "application/jsonl"
_TEXT = {"type": "string"}
_RESTART_S = 5.0
_STORED = ", though events without a fault are stored"
_FAILED = "the server has failed and is starting again: send it again, twice does no harm"


class ProductRoutes:
    """What can be asked of one product; requests wait for its front without holding others up."""

    def __init__(self, served: Served, clock: ClockDesk, limits: Limits) -> None:
        """Take the product, the clock that its times are held against, and the limits of a request."""
        self._served = served
        self._front = served.front
        self._clock = clock
        self._limits = limits
        self._reader = Reader(served.front.contract, limits)
        self._turn = asyncio.Lock()

    @property
    def paths(self) -> Mapping[str, Route]:
        """The POST routes by their path."""
        return {f"/{self._front.contract.product}/{r.__name__}": r for r in (self.events, self.labels, self.predict)}

    def add_to(self, router: APIRouter, description: Description) -> None:
        """Add the routes, and what they take to the API's description."""
        contract, most = self._front.contract, self._limits.rows
        event = event_model(contract)
        takes = description.add(
            list_model(contract, "Events", "events", event, most),
            list_model(contract, "Labels", "labels", label_model(contract), most),
            list_model(contract, "Rows", "rows", asked_model(contract, event), most),
        )
        made: tuple[tuple[Model, int], ...] = ((Accepted, 202), (Accepted, 202), (Predictions, 200))
        for (path, route), asked, (answers, status) in zip(self.paths.items(), takes, made, strict=True):
            router.add_api_route(
                path,
                route,
                methods=["POST"],
                status_code=status,
                tags=[contract.product],
                openapi_extra=body(asked),
                dependencies=demanding(self._limits.gate, Right.SEND),
                responses=answer(status, answers) | problems(401, 403, 408, 413, 415, 422, 429, 503),
                response_class=JSONResponse,
            )
        lines: Responses = {200: {"description": "One decision a line.", "content": {_LINES: {"schema": _TEXT}}}}
        looks: tuple[tuple[Route, Responses], ...] = ((self.status, {}), (self.ledger, lines))
        for look, said in looks:
            router.add_api_route(
                f"/{contract.product}/{look.__name__}",
                look,
                tags=[contract.product],
                dependencies=demanding(self._limits.gate, Right.VIEW),
                responses=said | problems(401, 403, 503),
                response_class=Response if said else JSONResponse,
            )

    async def events(self, request: Request) -> Response:
        """Store events; they are durable when this answers, or none of them is."""
        events = await self._read(request, self._reader.events)
        await self._done(lambda: self._front.send(events, ()))
        return JSONResponse({"accepted": len(events)}, 202)

    async def labels(self, request: Request) -> Response:
        """Store labels; they are durable when this answers, or none of them is."""
        labels = await self._read(request, self._reader.labels)
        await self._done(lambda: self._front.send((), labels))
        return JSONResponse({"accepted": len(labels)}, 202)

    async def predict(self, request: Request) -> Response:
        """Predict whole events, which are stored too, or entities by their stored features; all rows or none."""
        rows = await self._read(request, self._reader.rows)
        answers = await self._done(lambda: self._front.predict(rows))
        faults = [
            (f"/rows/{i}{'/event' if isinstance(row, bytes) else ''}", str(found))
            for i, (row, found) in enumerate(zip(rows, answers, strict=True))
            if isinstance(found, InvalidRecordError)
        ]
        if faults:
            stored = any(isinstance(row, bytes) for row in rows)
            raise refused(faults, f"no prediction is answered{_STORED if stored else ''}")
        why_not = self._front.ready()
        found = [_predicted(a, why_not) for a in answers if isinstance(a, Prediction)]
        return Response(msgspec.json.encode({"predictions": found}), media_type="application/json")

    async def status(self, request: Request) -> Response:  # noqa: ARG002 - the shape of a route
        """Say who serves, where the case stands, what was seen last, and what it waits for."""
        found: Mapping[str, Any] = await asyncio.to_thread(self._served.status)
        return Response(msgspec.json.encode(found), media_type="application/json")

    async def ledger(self, request: Request) -> Response:  # noqa: ARG002 - the shape of a route
        """Give every decision as a line of JSON, as `homeostat log --json` writes it: the export that it verifies."""
        try:
            lines = await asyncio.to_thread(_exported, self._served.ledger)
        except TransientError as error:
            raise unavailable(error) from error
        return Response(lines, media_type=_LINES)

    async def _read(self, request: Request, read: Callable[[bytes, datetime, Admit], T]) -> T:
        content = await read_body(request, self._limits)
        if len(content) <= _LARGE_BYTES:
            return read(content, self._clock.now(), self._admit)
        async with self._turn:  # one at a time: no faster by several, and each is admitted by what waits by then
            return await asyncio.to_thread(read, content, self._clock.now(), self._admit)

    def _admit(self, rows: int, stored: bool) -> None:  # noqa: FBT001 - the shape of a callback
        with self._refusing():
            self._front.admit(rows, stored=stored)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Say when to come back where the front takes no more."""
        try:
            yield
        except OverloadedError as error:
            over = self._front.failure is not None or self._front.ready() == STOPPING
            raise unavailable(error, 503 if over else 429) from error

    async def _done(self, begin: Callable[[], Future[T]]) -> T:
        """Hand something to the front and return its result, or say when to come back."""
        with self._refusing():
            future = asyncio.wrap_future(begin())
        done, _ = await asyncio.wait([future], timeout=self._limits.answer_s)
        if not done:
            future.cancel()
            raise unavailable(
                TransientError(f"no answer within {self._limits.answer_s:g} s: send it again, twice does no harm")
            )
        failure = future.exception()
        if failure is None:
            return future.result()
        passing = failure if isinstance(failure, TransientError) else TransientError(_FAILED, _RESTART_S)
        raise unavailable(passing) from failure


def _predicted(prediction: Prediction, why_not: str | None) -> dict[str, object]:
    found: dict[str, object] = {
        "prediction_id": prediction.prediction_id,
        "event_id": prediction.event_id,
        "entity": prediction.entity_id,
        "event_time": prediction.event_time,
        "score": prediction.score,
        "version": prediction.version,
        "arm": prediction.arm,
        "fallback": prediction.fallback,
    }
    if prediction.score is None:
        found["reason"] = prediction.fallback or why_not or "no model served yet when this was asked"
    return found


def _exported(ledger: Callable[[], Ledger]) -> str:
    return "".join(f"{as_line(entry)}\n" for entry in ledger().entries())
