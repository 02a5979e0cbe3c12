"""Alerts to a webhook: JSON by HTTP POST, signed."""

import hmac
import os
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import httpx
import msgspec

from homeostat.errors import TransientError
from homeostat.ports import Alert

SIGNATURE = "X-Homeostat-Signature"
_TIMEOUT_S = 5.0
_KEPT_IDS = 5_000
_RETRY_S = 30.0


class WebhookAlerts:
    """Posts alerts; any answer but 2xx is a failure, a redirect too.

    With a secret each request carries ``X-Homeostat-Signature: t=<unix>,v1=<hex>``, the HMAC-SHA256 of
    ``<t>.<body>``: a receiver recomputes it, and refuses an old ``t``. Ids that were taken are kept in a file,
    so a restart sends none again; between the answer and that note a crash may, which the receiver can tell by
    ``Idempotency-Key``.

    Raises:
        TransientError: No answer in time, another answer than 2xx, or the note can't be written.
    """

    def __init__(
        self,
        url: str,
        secret: str | None,
        sent: Path,
        timeout_s: float = _TIMEOUT_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take the address, the key, the file of what was sent, and the machine's time in seconds since 1970."""
        self._url = url
        self._secret = secret
        self._sent = sent
        self._clock = clock
        self._client = httpx.Client(timeout=timeout_s, follow_redirects=False)
        self._known: dict[str, None] | None = None

    def send(self, alert: Alert) -> None:
        """Post an alert, once by its id."""
        try:
            if self._known is None:
                self._known = self._noted()
            if alert.alert_id in self._known:
                return
            self._post(alert)
            self._note(alert.alert_id)
        except OSError as error:
            raise TransientError(f"{self._sent} can't be written: {error}", _RETRY_S) from error

    def _post(self, alert: Alert) -> None:
        body = msgspec.json.encode(alert)
        headers = {"Content-Type": "application/json", "Idempotency-Key": alert.alert_id}
        if self._secret is not None:
            headers[SIGNATURE] = signature(self._secret, body, int(self._clock()))
        try:
            # the answer's body is not read: a receiver that drips must not hold the healer up
            with self._client.stream("POST", self._url, content=body, headers=headers) as answer:
                status = answer.status_code
        except httpx.HTTPError as error:
            raise TransientError(f"the webhook at {self._host} doesn't answer: {error!r}", _RETRY_S) from error
        if not 200 <= status < 300:
            raise TransientError(f"the webhook at {self._host} answers {status}, expected 2xx", _RETRY_S)

    @property
    def _host(self) -> str:
        """Where it goes, without what may be secret in the address."""
        return httpx.URL(self._url).host

    def _noted(self) -> dict[str, None]:
        if not self._sent.exists():
            return {}
        known = self._sent.read_text().split()
        if len(known) > 2 * _KEPT_IDS:
            draft = self._sent.with_suffix(".draft")
            draft.write_text("".join(f"{alert_id}\n" for alert_id in known[-_KEPT_IDS:]))
            draft.replace(self._sent)
        return dict.fromkeys(known)

    def _note(self, alert_id: str) -> None:
        if self._known is not None:
            self._known[alert_id] = None  # whatever becomes of the file, this process knows
        self._sent.parent.mkdir(parents=True, exist_ok=True)
        with self._sent.open("a") as file:
            file.write(f"\n{alert_id}\n")  # a crash may have cut the line before short
            file.flush()
            os.fsync(file.fileno())


def signature(secret: str, body: bytes, at_s: int) -> str:
    """Return the signature header of a body sent at a time in seconds since 1970."""
    digest = hmac.new(secret.encode(), f"{at_s}.".encode() + body, sha256).hexdigest()
    return f"t={at_s},v1={digest}"
