"""Requests that come by the thousand go straight to their route: the framework's layers take longer than the work."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from homeostat.api.describe import DescribedApi
from homeostat.api.failures import ANSWERS, unexpected
from homeostat.api.roles import Gate, Right
from homeostat.api.tokens import checking

Route = Callable[[Request], Awaitable[Response]]


class DirectApi(DescribedApi):
    """An application that knows some of its POST routes by their path; everything else it does is FastAPI's."""

    direct: Mapping[str, ASGIApp] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and scope["method"] == "POST" and (found := self.direct.get(scope["path"])):
            await found(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def direct(route: Route, gate: Gate) -> ASGIApp:
    """Return a route as an application that asks for a token and answers failures as the whole one does."""
    check = checking(gate, Right.SEND)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        await check(request)
        response = await route(request)
        await response(scope, receive, send)

    return ServerErrorMiddleware(ExceptionMiddleware(answer, ANSWERS), unexpected)
