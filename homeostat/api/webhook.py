"""The door that MLflow's server knocks on when somebody has edited something in its registry."""

from base64 import b64encode
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest, digest
from time import time
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import Response

from homeostat.api.bodies import Limits, read_body
from homeostat.api.problems import ProblemError
from homeostat.metric_names import WEBHOOKS
from homeostat.ports import Telemetry

PATH: Final = "/webhooks/mlflow"
_WITHIN_S: Final = 300  # MLflow's clock and ours may differ, and it tries again
_MOST_REMEMBERED: Final = 10_000  # deliveries; only signed ones are remembered
_SAID: Final = {
    "unsigned": "expected the headers X-MLflow-Signature, X-MLflow-Timestamp and X-MLflow-Delivery-Id",
    "forged": "the signature is not made with the secret of this process",
    "old": f"the timestamp is more than {_WITHIN_S} s away from this machine's clock",
    "replayed": "this delivery has come before",
}


class Knocks:
    """Tells a knock of MLflow's server from one of somebody else, or from one heard before.

    Source: https://mlflow.org/docs/latest/ml/webhooks/, which follows https://www.standardwebhooks.com
    """

    def __init__(self, secret: str, now: Callable[[], float] = time) -> None:
        """Take the secret that the webhook was registered with, and the clock in seconds since 1970."""
        self._secret = secret.encode()
        self._now = now
        self._heard: OrderedDict[str, float] = OrderedDict()

    def fault(self, signature: str | None, timestamp: str | None, delivery_id: str | None, body: bytes) -> str | None:
        """Return what is wrong with a delivery, None for the first of its id that is signed and of these minutes."""
        if not (signature and timestamp and delivery_id):
            return "unsigned"
        signed = f"{delivery_id}.{timestamp}.".encode() + body
        expected = b"v1," + b64encode(digest(self._secret, signed, sha256))
        if not compare_digest(expected, signature.encode()):
            return "forged"
        now = self._now()
        if not timestamp.isdecimal() or abs(now - int(timestamp)) > _WITHIN_S:
            return "old"
        if delivery_id in self._heard:
            return "replayed"
        self._heard[delivery_id] = now
        while len(self._heard) > _MOST_REMEMBERED or next(iter(self._heard.values())) < now - 2 * _WITHIN_S:
            self._heard.popitem(last=False)
        return None


def add_webhook(app: FastAPI, knocks: Knocks, wake: Callable[[], object], telemetry: Telemetry, product: str) -> None:
    """Add the route that wakes who follows the registry; what a delivery says is never believed, so it is not read.

    Args:
        app: Of the process.
        knocks: Knows whose deliveries count.
        wake: Called for each of them.
        telemetry: Counts them, the refused ones by reason.
        product: Whose registry it is.
    """

    async def mlflow(request: Request) -> Response:
        """Hear that something was edited in the registry."""
        body = await read_body(request, Limits(body_bytes=1 << 20))
        headers = request.headers
        signature, timestamp = headers.get("x-mlflow-signature"), headers.get("x-mlflow-timestamp")
        fault = knocks.fault(signature, timestamp, headers.get("x-mlflow-delivery-id"), body)
        telemetry.count(WEBHOOKS, product=product, fate=fault or "heard")
        if fault is not None:
            raise ProblemError(409 if fault == "replayed" else 401, _SAID[fault])
        wake()
        return Response(status_code=202)

    app.add_api_route(PATH, mlflow, methods=["POST"], include_in_schema=False)
