"""Lets those pass whose bearer token gives them the right to what they ask for."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

from fastapi import Security
from fastapi.params import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import Request

from homeostat.api.problems import ProblemError, unavailable
from homeostat.api.roles import ANYBODY, ROLES, Caller, Gate, Right
from homeostat.errors import TransientError

_bearer = HTTPBearer(auto_error=False, description="A token that the instance or its OIDC issuer has given out.")


def demanding(gate: Gate, right: Right) -> Sequence[Depends]:
    """Return what a route depends on so that each request needs a token with a right; it leaves who asks behind."""

    async def authorized(
        request: Request, found: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
    ) -> None:
        request.state.caller = await _judged(gate, right, found)

    async def anybody(request: Request) -> None:
        request.state.caller = _with(right, ANYBODY)

    dependencies: list[Any] = [Depends(anybody) if gate.is_open else Security(authorized)]
    return dependencies


def checking(gate: Gate, right: Right) -> Callable[[Request], Awaitable[None]]:
    """Return what raises at a request without a token that gives a right; of an open gate every caller has it."""

    async def check(request: Request) -> None:
        if not gate.is_open:
            await _judged(gate, right, await _bearer(request))

    return check


async def _judged(gate: Gate, right: Right, found: HTTPAuthorizationCredentials | None) -> Caller:
    try:
        caller = await gate.caller(found.credentials) if found else None
    except TransientError as error:
        raise unavailable(error) from error
    if caller is None:
        raise ProblemError(401, "expected a bearer token of this instance", headers={"WWW-Authenticate": "Bearer"})
    return _with(right, caller)


def _with(right: Right, caller: Caller) -> Caller:
    if right not in caller.rights:
        able = " or ".join(role for role, rights in ROLES.items() if right in rights)
        raise ProblemError(
            403,
            f"{caller.name} may not {right}: that takes a token of the role {able}",
            headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
        )
    return caller
