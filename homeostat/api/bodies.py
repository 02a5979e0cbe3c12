"""Reads the body of a request, and no more of it than is allowed."""

import asyncio
from dataclasses import dataclass
from email.message import Message
from functools import lru_cache

from starlette.requests import Request

from homeostat.api.problems import ProblemError
from homeostat.api.roles import OPEN, Gate

_DISCARDED = 4  # times the limit: a client that has sent all it has reads the answer, an endless one is cut off


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a request may be, how long it may take, and who may ask."""

    body_bytes: int = 4 * 1024 * 1024
    rows: int = 5_000
    gate: Gate = OPEN
    read_s: float = 30.0  # for a body to arrive
    answer_s: float = 30.0  # for the front to be done with it


async def read_body(request: Request, limits: Limits) -> bytes:
    """Return the body of a request; its length is counted as it arrives, whatever the headers say.

    Raises:
        ProblemError: It is no JSON by its headers, too long, or too slow.
    """
    _check_headers(request)
    try:
        async with asyncio.timeout(limits.read_s):
            body = await _read(request, limits.body_bytes)
    except TimeoutError:
        raise ProblemError(
            408, f"the body did not arrive within {limits.read_s:g} s", headers={"Connection": "close"}
        ) from None
    if body is None:
        raise ProblemError(
            413,
            f"the body has more than {limits.body_bytes:,} bytes: send it in parts",
            headers={"Connection": "close"},
        )
    return body


def _check_headers(request: Request) -> None:
    headers = request.headers
    if fault := _fault(headers.get("content-type", ""), headers.get("content-encoding", "identity")):
        raise ProblemError(415, fault)


@lru_cache(maxsize=256)  # callers have few ways to say it, and parsing takes as long as all else in a small request
def _fault(content_type: str, content_encoding: str) -> str | None:
    """Say what is no JSON by its headers; no type at all too, as a browser sends any site's request without one."""
    header = Message()
    header["content-type"] = content_type
    kind = header.get_content_type() if header["content-type"] else "none"
    charset = str(header.get_param("charset", "utf-8")).lower()
    if kind != "application/json" or charset not in {"utf-8", "utf8"}:
        shown = header["content-type"][:60] or "none"
        return f"the content type is {shown}: expected application/json"
    coding = content_encoding.strip().lower()
    return None if coding == "identity" else f"the content encoding is {coding[:60]}: expected none"


async def _read(request: Request, most: int) -> bytes | None:
    """Return the body, None where it is longer than allowed."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most * _DISCARDED:
            return None
        if size <= most:
            parts.append(part)
    return b"".join(parts) if size <= most else None
