"""Whatever goes wrong is answered as a problem, the framework's own errors too."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from homeostat.api.problems import ProblemError, problem, shown, unavailable
from homeostat.contract.names import suggestion
from homeostat.errors import TransientError

_MAX_NAME = 63


async def _told(_: Request, error: ProblemError) -> Response:
    return problem(error)


async def _passing(_: Request, error: TransientError) -> Response:
    return problem(unavailable(error))


async def _gone(_: Request, _error: ClientDisconnect) -> Response:
    return problem(ProblemError(400, "the caller hung up"))


async def unexpected(_: Request, _error: Exception) -> Response:
    """Answer what nobody thought of; the framework raises it again after this, so that the server's log has it."""
    return problem(ProblemError(500, "the server failed at this request; its log says how"))


ANSWERS: Final[Mapping[Any, Callable[..., Awaitable[Response]]]] = {
    ProblemError: _told,
    TransientError: _passing,
    ClientDisconnect: _gone,
}
"""What answers each kind of failure that a route may raise."""


def handle_failures(app: FastAPI, products: Collection[str]) -> None:
    """Answer every error with a problem; ``products`` are those that a caller may have meant."""

    async def framework(request: Request, error: HTTPException) -> Response:
        path, detail, headers = request.url.path, str(error.detail), dict(error.headers or {})
        if error.status_code == 404:
            detail = _nothing_at(path, app, products)
        elif error.status_code == 405:
            allowed = ", ".join(_methods(path, app))
            detail, headers["Allow"] = f"{request.method} is not for {path[:200]}: expected {allowed}", allowed
        return problem(ProblemError(error.status_code, detail, headers=headers))

    for kind, answer in {**ANSWERS, HTTPException: framework, Exception: unexpected}.items():
        app.add_exception_handler(kind, answer)


def _nothing_at(path: str, app: FastAPI, products: Collection[str]) -> str:
    parts = path.split("/")
    if len(parts) > 2 and parts[1] == "v1" and parts[2] not in {"clock", *products}:
        name = parts[2][:_MAX_NAME]
        known = ", ".join(sorted(products))
        return f"there is no product {shown(name)}: {suggestion(name, products)}; products here are {known}"
    under = f"/v1/{parts[2]}" if len(parts) > 2 and parts[1] == "v1" else "/"
    known = ", ".join(sorted(known for known in app.openapi()["paths"] if known.startswith(under)))
    return f"there is nothing at {path[:200]}: expected one of {known}"


def _methods(path: str, app: FastAPI) -> list[str]:
    return sorted(method.upper() for method in app.openapi()["paths"].get(path, ()))
