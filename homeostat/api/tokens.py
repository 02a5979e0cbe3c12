"""Who may ask: whoever has one of the instance's bearer tokens."""

from collections.abc import Sequence
from hmac import compare_digest
from typing import Annotated, Any

from fastapi import Security
from fastapi.params import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from homeostat.api.problems import ProblemError

_bearer = HTTPBearer(auto_error=False, description="A token that the instance was started with.")


def demanding(tokens: frozenset[str]) -> Sequence[Depends]:
    """Return what routes depend on so that each request needs a token; nothing where there are none."""
    known = [token.encode() for token in tokens]

    async def authorized(found: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]) -> None:
        given = found.credentials.encode() if found else b""
        matches = [compare_digest(given, token) for token in known]  # all of them: no hint by the time it takes
        if not any(matches):
            raise ProblemError(401, "expected a bearer token of this instance", headers={"WWW-Authenticate": "Bearer"})

    dependencies: list[Any] = [Security(authorized)] if tokens else []
    return dependencies
