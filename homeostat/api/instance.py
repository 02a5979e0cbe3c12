"""The routes that concern an instance as a whole."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, Response

from homeostat.api.bodies import Limits, read_body
from homeostat.api.describe import Responses, answer, body, problems
from homeostat.api.door import ClockDesk
from homeostat.api.failures import handle_failures
from homeostat.api.members import UNREADABLE
from homeostat.api.models import Alive, ClockFace, Ready, SetClock
from homeostat.api.problems import ProblemError, refused, shown_raw
from homeostat.api.roles import Right
from homeostat.api.tokens import demanding
from homeostat.errors import HomeostatError
from homeostat.features.parsing import EARLIEST

Missing = Callable[[], str | None]
"""Says what a product waits for, None when it works."""

Degraded = Callable[[], Mapping[str, str]]
"""Says, by process, what is the matter with those that predictions do not need."""

_TAG = "instance"
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)  # room to add spans to it
_SOON = {"Retry-After": "1"}


class _Setting(msgspec.Struct):
    now: Annotated[datetime, msgspec.Meta(tz=True)]


class ClockRoutes:
    """Shows the clock, and lets a replay set it."""

    def __init__(self, clock: ClockDesk, limits: Limits) -> None:
        """Take the clock, and the limits of a request."""
        self._clock = clock
        self._limits = limits

    def add_to(self, router: APIRouter) -> None:
        """Add the routes."""
        face = answer(200, ClockFace)
        gate = self._limits.gate
        router.add_api_route(
            "/clock",
            self.clock,
            tags=[_TAG],
            dependencies=demanding(gate, Right.VIEW),
            responses=face | problems(401, 403, 503),
        )
        router.add_api_route(
            "/clock",
            self.set_clock,
            methods=["PUT"],
            tags=[_TAG],
            dependencies=demanding(gate, Right.STEER),
            openapi_extra=body(SetClock),
            responses=face | problems(401, 403, 408, 409, 413, 415, 422, 503),
        )

    async def clock(self, request: Request) -> Response:  # noqa: ARG002 - the shape of a route
        """Say what time it is, and whether everything due by then is done."""
        return await self._face()

    async def set_clock(self, request: Request) -> Response:
        """Set the time of an instance whose clock a replay drives."""
        time = _time_in(await read_body(request, self._limits))
        try:
            await asyncio.to_thread(self._clock.advance_to, time)
        except HomeostatError as error:
            raise ProblemError(409, str(error)) from error
        return await self._face()

    async def _face(self) -> Response:
        now = self._clock.now()  # first: what is settled after it was settled at it, or has moved on
        settled = await asyncio.to_thread(self._clock.settled)
        return JSONResponse({"mode": self._clock.mode, "now": now.isoformat(), "settled": settled})


def build_watched(
    ready: Mapping[str, Missing],
    metrics: Callable[[], bytes],
    *,
    will_serve: bool = False,
    part: Callable[[], str] | None = None,
) -> FastAPI:
    """Return the web application of a process that only wants to be watched.

    Args:
        ready: Says of each product what it waits for, None when it works.
        metrics: Returns the process's metrics in Prometheus' text format; called in a thread.
        will_serve: Whether it only starts, and another application answers requests soon: until then they are
            told to come back.
        part: Says what part the process plays while it waits for nothing, where it may be another one each time.
    """

    async def not_yet() -> None:
        raise _unready(ready) or ProblemError(503, "it starts", headers=_SOON)

    app = FastAPI(title="Homeostat", docs_url=None, redoc_url=None, openapi_url=None)
    handle_failures(app, ())
    add_watching(app, ready, metrics, part)
    if will_serve:
        app.add_api_route("/v1/{path:path}", not_yet, methods=["DELETE", "GET", "PATCH", "POST", "PUT"])
    return app


def add_watching(
    app: FastAPI,
    ready: Mapping[str, Missing],
    metrics: Callable[[], bytes],
    part: Callable[[], str] | None = None,
    *,
    degraded: Degraded = dict,
) -> None:
    """Add the routes by which a process is watched; they need no token.

    Readiness is about predictions alone: a probe reads the status, and must not take a champion that answers out of
    traffic for a process beside it. Whoever reads on finds that one under ``degraded``.
    """

    async def healthz() -> JSONResponse:
        """Say that the process is alive."""
        return JSONResponse({"status": "alive"})

    async def readyz() -> JSONResponse:
        """Say whether predictions come from a model, if not, what each product waits for, and what else is amiss."""
        troubles = degraded()
        if (unready := _unready(ready, troubles)) is not None:
            raise unready
        body = {"ready": True, "products": dict.fromkeys(ready, part() if part else "ready")}
        return JSONResponse(body | _if_any(troubles))

    async def exposed() -> Response:
        """Give the metrics of all processes in Prometheus' text format."""
        return Response(await asyncio.to_thread(metrics), media_type="text/plain; version=0.0.4; charset=utf-8")

    text: Responses = {
        200: {"description": "Prometheus text", "content": {"text/plain": {"schema": {"type": "string"}}}}
    }
    app.add_api_route("/healthz", healthz, tags=[_TAG], responses=answer(200, Alive))
    app.add_api_route("/readyz", readyz, tags=[_TAG], responses=answer(200, Ready) | problems(503))
    app.add_api_route("/metrics", exposed, tags=[_TAG], responses=text | problems(503), response_class=Response)


def _unready(ready: Mapping[str, Missing], troubles: Mapping[str, str] | None = None) -> ProblemError | None:
    """Return the problem that says what each product waits for, and what else is amiss; None where all work."""
    waiting = {name: why for name, missing in ready.items() if (why := missing()) is not None}
    if not waiting:
        return None
    said = {name: waiting.get(name, "ready") for name in ready}
    detail = "; ".join(f"{name}: {why}" for name, why in waiting.items())
    return ProblemError(503, detail, headers=_SOON, members={"products": said} | _if_any(troubles or {}))


def _if_any(troubles: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {"degraded": dict(troubles)} if troubles else {}


def _time_in(content: bytes) -> datetime:
    try:
        time = msgspec.json.decode(content, type=_Setting).now
    except UNREADABLE:
        wanted = 'expected {"now": a time with its offset from UTC}'
        raise refused([("/now", f"is not there in {shown_raw(content)}: {wanted}")], "the clock was not set") from None
    if not EARLIEST <= time <= _LATEST:
        years = f"{EARLIEST.year} to {_LATEST.year}"
        raise refused([("/now", f"is {time.isoformat()}, expected a time in {years}")], "the clock was not set")
    return time.astimezone(UTC)
