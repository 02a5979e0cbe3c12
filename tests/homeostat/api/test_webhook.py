"""Who may wake the healer: MLflow's server, by signed messages of these minutes, each once."""

from base64 import b64encode
from hashlib import sha256
from hmac import digest

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from homeostat.adapters.memory import MemoryTelemetry
from homeostat.api.failures import handle_failures
from homeostat.api.webhook import PATH, Knocks, add_webhook
from homeostat.metric_names import WEBHOOKS

SECRET = "a secret of sixteen characters or more"  # noqa: S105
BODY = b'{"entity": "model_version_tag", "action": "set", "data": {"name": "toys"}}'
NOW = 1_800_000_000


class Door:
    def __init__(self) -> None:
        self.now, self.woken, self.telemetry = float(NOW), 0, MemoryTelemetry()
        app = FastAPI()
        handle_failures(app, ())
        add_webhook(app, Knocks(SECRET, lambda: self.now), self.wake, self.telemetry, "toys")
        self.client = TestClient(app)

    def wake(self) -> None:
        self.woken += 1

    def knock(self, headers: dict[str, str], body: bytes = BODY) -> int:
        sent = {"Content-Type": "application/json", **headers}
        return self.client.post(PATH, content=body, headers=sent).status_code

    def count(self, fate: str) -> float:
        return self.telemetry.value(WEBHOOKS, product="toys", fate=fate)


@pytest.fixture
def door() -> Door:
    return Door()


def signed(body: bytes = BODY, at: int = NOW, delivery: str = "d1", secret: str = SECRET) -> dict[str, str]:
    """As MLflow signs: by its own function, see the test below."""
    seal = b64encode(digest(secret.encode(), f"{delivery}.{at}.".encode() + body, sha256)).decode()
    return {"X-MLflow-Signature": f"v1,{seal}", "X-MLflow-Timestamp": str(at), "X-MLflow-Delivery-Id": delivery}


def test_mlflow_signs_as_this_test_does() -> None:
    from mlflow.webhooks.delivery import _generate_hmac_signature  # noqa: PLC0415 - takes seconds

    theirs = _generate_hmac_signature(SECRET, "d1", str(NOW), BODY.decode())
    assert theirs == signed()["X-MLflow-Signature"]


def test_a_signed_message_wakes(door: Door) -> None:
    assert door.knock(signed()) == 202
    assert (door.woken, door.count("heard")) == (1, 1)


@pytest.mark.parametrize("missing", ["X-MLflow-Signature", "X-MLflow-Timestamp", "X-MLflow-Delivery-Id"])
def test_a_message_that_lacks_a_header_is_refused_and_counted(door: Door, missing: str) -> None:
    assert door.knock({name: value for name, value in signed().items() if name != missing}) == 401
    assert (door.woken, door.count("unsigned")) == (0, 1)


@pytest.mark.parametrize(
    "headers",
    [
        signed(secret=SECRET[::-1]),
        signed(body=BODY + b" "),
        signed() | {"X-MLflow-Timestamp": str(NOW + 1)},
        signed() | {"X-MLflow-Delivery-Id": "d2"},
        signed() | {"X-MLflow-Signature": "v1,"},
        signed() | {"X-MLflow-Signature": "v2" + signed()["X-MLflow-Signature"][2:]},
    ],
)
def test_a_message_whose_signature_does_not_fit_is_refused_and_counted(door: Door, headers: dict[str, str]) -> None:
    assert door.knock(headers) == 401
    assert (door.woken, door.count("forged")) == (0, 1)


@pytest.mark.parametrize("at", [NOW - 301, NOW + 301])
def test_a_message_of_another_time_is_refused_and_counted(door: Door, at: int) -> None:
    assert door.knock(signed(at=at)) == 401
    assert (door.woken, door.count("old")) == (0, 1)


def test_a_message_that_comes_again_is_refused_and_counted_as_long_as_its_timestamp_holds(door: Door) -> None:
    door.knock(signed())
    for door.now in (NOW, NOW + 299):
        assert door.knock(signed()) == 409
    assert (door.woken, door.count("replayed")) == (1, 2)
    door.now = NOW + 700
    assert door.knock(signed()) == 401
    assert door.woken == 1
