"""The HTTP API of a running instance, with patience: what may pass is tried again, always as the same bytes."""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

import httpx

from homeostat.errors import HomeostatError

Kind = Literal["events", "labels"]

_MOST_ROWS: Final = 1_000  # in a request; the server takes 5,000
_MOST_BYTES: Final = 2**20  # and 4 MiB
_MAY_PASS: Final = frozenset({429, 502, 503, 504})
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 5.0
_FIRST_POLL_S, _LONGEST_POLL_S = 0.004, 0.1
TIMEOUT_S: Final = 60.0
"""How long a caller's client should wait for one answer."""

_PLACE: Final = re.compile(r"^/(?:events|labels|rows)/([0-9]+)(?:/event)?/?(.*)$")


@dataclass(frozen=True, slots=True)
class InstanceClock:
    """What the instance's clock shows."""

    mode: str
    now: datetime
    settled: bool


@dataclass(slots=True)
class Delivery:
    """What became of some rows: why each refused one was, by its position, and the answers that were asked for."""

    refused: dict[int, str] = field(default_factory=dict)
    answers: list[dict[str, Any]] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)  # of each request that was answered


class InstanceClient:
    """One product of a running instance."""

    def __init__(
        self,
        client: httpx.Client,
        product: str,
        *,
        patience_s: float = 120.0,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """Take the way to the instance.

        Args:
            client: Knows the address, and the token where one is asked for.
            product: Whose rows are sent.
            patience_s: How long to try again what is refused for a while or not answered.
            pause: How to wait.
        """
        self._client = client
        self._path = f"/v1/{product}"
        self._patience_s = patience_s
        self._pause = pause

    def clock(self) -> InstanceClock:
        """Return what the clock shows."""
        return _clock(self._ask("GET", "/v1/clock"))

    def set_clock(self, now: datetime) -> InstanceClock:
        """Set a stream clock and return what it shows then.

        Raises:
            HomeostatError: It can't be set.
        """
        answer = self._ask("PUT", "/v1/clock", b'{"now":"%s"}' % now.isoformat().encode(), known=(409,))
        return _clock(answer) if answer.is_success else self._not_set(now, answer)

    def settle(self, within_s: float, see: Callable[[float], object]) -> None:
        """Wait until the instance has done all there is to do at its clock's time.

        Args:
            within_s: How long to wait; a training may be under way.
            see: Called with the seconds waited so far.

        Raises:
            HomeostatError: It did not settle in time.
        """
        started, poll_s = time.monotonic(), _FIRST_POLL_S
        while not (clock := self.clock()).settled:
            waited_s = time.monotonic() - started
            if waited_s > within_s:
                raise HomeostatError(
                    f"the instance has not come to rest at {clock.now.isoformat()} within {within_s:.0f} s: "
                    "`homeostat doctor` says what is wrong; the same command goes on from there"
                )
            see(waited_s)
            self._pause(poll_s)
            poll_s = min(1.5 * poll_s, _LONGEST_POLL_S)

    def send(self, kind: Kind, rows: Sequence[bytes]) -> Delivery:
        """Send rows; each is durable when this returns, or among the refused ones."""
        return self._deliver(f"{self._path}/{kind}", kind, rows, _MOST_ROWS)

    def predict(self, events: Sequence[bytes], most_rows: int) -> Delivery:
        """Ask for a prediction of each event, at most ``most_rows`` in a request; they are stored by that."""
        rows = [b'{"event":%s}' % event for event in events]
        return self._deliver(f"{self._path}/predict", "rows", rows, most_rows)

    def _deliver(self, path: str, key: str, rows: Sequence[bytes], most_rows: int) -> Delivery:
        delivery = Delivery()
        parts = list(reversed(list(_parts(rows, most_rows))))
        while parts:
            part = parts.pop()
            body = b'{"%s":[%s]}' % (key.encode(), b",".join(rows[i] for i in part))
            started = time.perf_counter()
            answer = self._ask("POST", path, body, known=(413, 422))
            if answer.is_success:
                delivery.latencies_s.append(time.perf_counter() - started)
                delivery.answers += answer.json().get("predictions", ())
            else:
                parts += reversed(_sorted_out(part, answer, delivery.refused))
        return delivery

    def _ask(self, method: str, path: str, body: bytes | None = None, known: Sequence[int] = ()) -> httpx.Response:
        """Return an answer that is a success or one of the statuses the caller knows.

        Raises:
            HomeostatError: It is another one, or there was none for ``patience_s``.
        """
        deadline, wait_s = time.monotonic() + self._patience_s, _FIRST_WAIT_S
        while True:
            try:
                answer = self._client.request(method, path, content=body, headers=_headers(body))
            except httpx.TransportError as error:
                why = f"{type(error).__name__}: {error}"
            else:
                if answer.is_success or answer.status_code in known:
                    return answer
                why = f"{answer.status_code} {_detail(answer)}"
                if answer.status_code not in _MAY_PASS:
                    raise HomeostatError(f"{method} {self._client.base_url}{path.lstrip('/')}: {why}")
                wait_s = max(wait_s, _retry_after_s(answer))
            if time.monotonic() + wait_s > deadline:
                raise HomeostatError(
                    f"{self._client.base_url} gave no good answer for {self._patience_s:.0f} s ({why}): is "
                    "`homeostat up` running there? The same command goes on where this one ended"
                )
            self._pause(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _not_set(self, wanted: datetime, answer: httpx.Response) -> InstanceClock:
        found = self.clock()
        if found.mode == "stream" and found.now >= wanted:  # set by an earlier try whose answer was lost
            return found
        raise HomeostatError(f"the clock can't be set to {wanted.isoformat()}: {_detail(answer)}")


def _parts(rows: Sequence[bytes], most_rows: int) -> Iterator[list[int]]:
    """Yield the positions of rows that fit into one request each."""
    part: list[int] = []
    size = 0
    for i, row in enumerate(rows):
        if part and (len(part) == most_rows or size + len(row) > _MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(i)
        size += len(row) + 1
    if part:
        yield part


def _sorted_out(part: Sequence[int], answer: httpx.Response, refused: dict[int, str]) -> list[list[int]]:
    """Note the rows that an answer refuses, and return what of the request is to be sent again.

    One bad row refuses a whole request, and nothing of it was stored.
    """
    reasons = _reasons(answer, len(part)) if answer.status_code == 422 else {}
    if not reasons and len(part) == 1:
        reasons = {0: _detail(answer)}
    if not reasons:
        middle = len(part) // 2
        return [list(part[:middle]), list(part[middle:])]
    refused.update((part[i], reason) for i, reason in reasons.items())
    left = [row for i, row in enumerate(part) if i not in reasons]
    return [left] if left else []


def _reasons(answer: httpx.Response, rows: int) -> dict[int, str]:
    """Return why each row that an answer names is refused."""
    found: dict[int, list[str]] = {}
    for error in _body(answer).get("errors", ()):
        place = _PLACE.match(str(error.get("pointer", "")))
        if place and int(place[1]) < rows:
            name, detail = place[2], str(error.get("detail", ""))
            found.setdefault(int(place[1]), []).append(f"field '{name}' {detail}" if name else detail)
    return {i: "; ".join(reasons) for i, reasons in found.items()}


def _body(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        said = answer.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _detail(answer: httpx.Response) -> str:
    return str(_body(answer).get("detail") or answer.text[:200] or answer.reason_phrase)


def _headers(body: bytes | None) -> dict[str, str]:
    return {} if body is None else {"Content-Type": "application/json"}


def _retry_after_s(answer: httpx.Response) -> float:
    try:
        return max(0.0, float(answer.headers.get("Retry-After", "0")))
    except ValueError:  # a date, as HTTP allows too
        return _LONGEST_WAIT_S


def _clock(answer: httpx.Response) -> InstanceClock:
    said = answer.json()
    return InstanceClock(said["mode"], datetime.fromisoformat(said["now"]), bool(said["settled"]))
