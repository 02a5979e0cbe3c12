"""Whatever goes wrong is answered as a problem, the framework's own errors too."""

from collections.abc import Collection

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from homeostat.api.problems import ProblemError, problem, shown, unavailable
from homeostat.contract.names import suggestion
from homeostat.errors import TransientError

_MAX_NAME = 63


def handle_failures(app: FastAPI, products: Collection[str]) -> None:
    """Answer every error with a problem; ``products`` are those that a caller may have meant."""

    @app.exception_handler(ProblemError)
    async def told(_: Request, error: ProblemError) -> Response:
        return problem(error)

    @app.exception_handler(TransientError)
    async def passing(_: Request, error: TransientError) -> Response:
        return problem(unavailable(error))

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, _error: ClientDisconnect) -> Response:
        return problem(ProblemError(400, "the caller hung up"))

    @app.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> Response:
        path, detail, headers = request.url.path, str(error.detail), dict(error.headers or {})
        if error.status_code == 404:
            detail = _nothing_at(path, app, products)
        elif error.status_code == 405:
            allowed = ", ".join(_methods(path, app))
            detail, headers["Allow"] = f"{request.method} is not for {path[:200]}: expected {allowed}", allowed
        return problem(ProblemError(error.status_code, detail, headers=headers))

    @app.exception_handler(Exception)
    async def unexpected(_: Request, _error: Exception) -> Response:
        # The framework raises it again after this, so that the server's log has it whole.
        return problem(ProblemError(500, "the server failed at this request; its log says how"))


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
