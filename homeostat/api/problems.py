"""Errors as RFC 9457 problem details: what is wrong, where, and what was expected."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from math import ceil

import msgspec
from starlette.responses import Response

from homeostat.errors import HomeostatError, TransientError

MEDIA_TYPE = "application/problem+json"
MOST_FAULTS = 100  # in one answer
_MAX_SHOWN = 60  # characters of something a caller sent

Fault = tuple[str, str]
"""A JSON pointer into the request, and what is wrong there."""


class ProblemError(HomeostatError):
    """A request can't be answered as asked; carries its HTTP status, the places of the faults, and headers."""

    def __init__(
        self,
        status: int,
        detail: str,
        faults: Sequence[Fault] = (),
        *,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        """Take the status, what is wrong in words, each place, headers, and members of the answer beside these."""
        super().__init__(detail)
        self.status = status
        self.faults = tuple(faults)
        self.headers = dict(headers or {})
        self.members = dict(members or {})


def problem(error: ProblemError) -> Response:
    """Return the answer for a problem."""
    body: dict[str, object] = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": str(error),
    }
    if error.faults:
        body["errors"] = [{"pointer": pointer, "detail": detail} for pointer, detail in error.faults[:MOST_FAULTS]]
    return Response(msgspec.json.encode(body | error.members), error.status, error.headers, MEDIA_TYPE)


def refused(faults: Sequence[Fault], consequence: str) -> ProblemError:
    """Return the problem of a request whose content is not as it should be.

    Args:
        faults: At least one.
        consequence: What became of the request as a whole.
    """
    pointer, reason = faults[0]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return ProblemError(422, f"{consequence}: {pointer or 'the body'} {reason}{more}", faults)


def unavailable(error: TransientError, status: int = 503) -> ProblemError:
    """Return the problem behind what may pass, with when to come back."""
    return ProblemError(status, str(error), headers={"Retry-After": str(max(1, ceil(error.retry_after_s)))})


def escaped(key: str) -> str:
    """Return a key as a part of a JSON pointer (RFC 6901).

    >>> escaped("a/b~c")
    'a~1b~0c'
    """
    return key.replace("~", "~0").replace("/", "~1")


def shown(value: object) -> str:
    """Return a value as JSON, shortened.

    >>> shown("x" * 100)
    '"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'
    """
    return _short(msgspec.json.encode(value).decode())


def shown_raw(value: bytes | msgspec.Raw) -> str:
    """Return JSON as somebody wrote it, shortened."""
    return _short(bytes(value)[: 4 * _MAX_SHOWN + 4].decode(errors="replace"))


def _short(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 3] + "..."
