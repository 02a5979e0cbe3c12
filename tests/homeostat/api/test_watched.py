"""A process that only wants to be watched, or will answer soon."""

import pytest
from fastapi.testclient import TestClient

from homeostat.api import build_watched


@pytest.mark.parametrize("ready", [{"parcels": lambda: "the database is away"}, {"parcels": lambda: None}])
def test_who_asks_a_predictor_that_starts_is_told_to_come_back(ready) -> None:
    client = TestClient(build_watched(ready, lambda: b"", will_serve=True))
    answer = client.post("/v1/parcels/predict", json={})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert client.get("/healthz").status_code == 200


def test_a_process_that_serves_nothing_has_no_products() -> None:
    answer = TestClient(build_watched({"parcels": lambda: None}, lambda: b"")).post("/v1/parcels/predict", json={})
    assert answer.status_code == 404
