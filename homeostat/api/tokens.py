"""Who may ask: whoever has one of the instance's bearer tokens."""

from collections.abc import Awaitable, Callable, Sequence
from hmac import compare_digest
from typing import Annotated, Any

from fastapi import Security
from fastapi.params import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import Request

from homeostat.api.problems import ProblemError

_bearer = HTTPBearer(auto_error=False, description="A token that the instance was started with.")


def demanding(tokens: frozenset[str]) -> Sequence[Depends]:
    """Return what routes depend on so that each request needs a token; nothing where there are none."""

    async def authorized(found: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]) -> None:
        _judge(tokens, found)

    dependencies: list[Any] = [Security(authorized)] if tokens else []
    return dependencies


def checking(tokens: frozenset[str]) -> Callable[[Request], Awaitable[None]]:
    """Return what raises at a request without a token; where there are none, every request passes."""

    async def check(request: Request) -> None:
        if tokens:
            _judge(tokens, await _bearer(request))

    return check


def _judge(tokens: frozenset[str], found: HTTPAuthorizationCredentials | None) -> None:
    given = found.credentials.encode() if found else b""
    matches = [compare_digest(given, token.encode()) for token in tokens]  # all of them: no hint by the time it takes
    if not any(matches):
        raise ProblemError(401, "expected a bearer token of this instance", headers={"WWW-Authenticate": "Bearer"})
