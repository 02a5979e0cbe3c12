"""Operators' decisions over HTTP: the same tag in the registry that the MLflow UI and the command line set."""

import asyncio
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from homeostat.api.bodies import Limits, read_body
from homeostat.api.describe import answer, body, problems
from homeostat.api.door import OperatorDesk
from homeostat.api.members import UNREADABLE
from homeostat.api.models import Decided, Decision
from homeostat.api.problems import ProblemError, refused, shown_raw, unavailable
from homeostat.api.roles import Right
from homeostat.api.tokens import demanding
from homeostat.errors import HomeostatError, TransientError
from homeostat.healing.asking import ask
from homeostat.healing.operator import REFUSED, Wish, concerned
from homeostat.ports import OperatorDecision

_WAIT_S: Final = 10.0  # the healer looks for decisions every few seconds


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    decision: Wish
    version: str | None = None
    reason: Annotated[str, msgspec.Meta(max_length=1_000)] | None = None


class DecisionRoutes:
    """Hands decisions on one product in, in the name of whoever the token belongs to."""

    def __init__(self, product: str, desk: OperatorDesk | None, limits: Limits, wait_s: float = _WAIT_S) -> None:
        """Take where decisions go, None where that is no server, and how long an answer is waited for."""
        self._product = product
        self._desk = desk
        self._limits = limits
        self._wait_s = wait_s

    def add_to(self, router: APIRouter) -> None:
        """Add the route."""
        router.add_api_route(
            f"/{self._product}/decisions",
            self.decide,
            methods=["POST"],
            tags=[self._product],
            dependencies=demanding(self._limits.gate, Right.DECIDE),
            openapi_extra=body(Decision),
            responses=answer(200, Decided) | problems(401, 403, 408, 409, 413, 415, 422, 503),
        )

    async def decide(self, request: Request) -> Response:
        """Approve, reject or hold the challenger, roll the champion back, or ask for a training.

        The answer is what became of it; null when the loop has not got to it within 10 seconds.
        """
        asked = _asked_in(await read_body(request, self._limits))
        if self._desk is None:
            raise unavailable(TransientError("this instance has no MLflow server to hand decisions in at"))
        try:
            found = await asyncio.to_thread(_decided, self._desk, asked, request.state.caller.name, self._wait_s)
        except TransientError as error:
            raise unavailable(error) from error
        except HomeostatError as error:
            raise ProblemError(409, str(error)) from error
        if found.answer is not None and found.answer.startswith(REFUSED):
            raise ProblemError(409, found.answer)
        return JSONResponse(found.model_dump())


def _asked_in(content: bytes) -> _Asked:
    try:
        return msgspec.json.decode(content, type=_Asked)
    except UNREADABLE:
        wanted = f'expected {{"decision": one of {", ".join(Wish)}, "version": "3", "reason": "..."}}'
        raise refused([("", f"is {shown_raw(content)}: {wanted}")], "nothing was decided") from None


def _decided(desk: OperatorDesk, asked: _Asked, by: str, wait_s: float) -> Decided:
    """Open a decision, by itself on the version it concerns, and wait for what becomes of it."""
    version = asked.version or concerned(asked.decision, desk.aliases())
    if version is None and asked.decision is not Wish.RETRAIN:
        raise HomeostatError(f"there is no version to {asked.decision}: none is in a canary, or none serves")
    said = ask(desk, OperatorDecision(version, asked.decision, by, asked.reason), wait_s)
    return Decided(decision=asked.decision, version=version, by=by, answer=said)
