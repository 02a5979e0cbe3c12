"""Whether MLflow's server tells us of edits follows from the environment."""

import pytest
from pydantic import ValidationError

from homeostat.settings import Settings

SECRET = "0123456789abcdef"  # noqa: S105


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_MLFLOW__URL", "http://mlflow:5000")


def test_by_itself_nobody_tells_us() -> None:
    mlflow = Settings().mlflow
    assert mlflow is not None
    assert mlflow.webhook_url is None


def test_an_address_comes_with_a_secret_that_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_MLFLOW__WEBHOOK_URL", "https://healer.example:8443")
    monkeypatch.setenv("HOMEOSTAT_MLFLOW__WEBHOOK_SECRET", SECRET)
    settings = Settings()
    assert str(settings.mlflow and settings.mlflow.webhook_url) == "https://healer.example:8443/"
    assert SECRET not in repr(settings)


@pytest.mark.parametrize("secret", [None, SECRET[:-1]])
def test_an_address_without_a_long_secret_is_refused_with_how_to_draw_one(
    monkeypatch: pytest.MonkeyPatch, secret: str | None
) -> None:
    monkeypatch.setenv("HOMEOSTAT_MLFLOW__WEBHOOK_URL", "https://healer.example")
    if secret:
        monkeypatch.setenv("HOMEOSTAT_MLFLOW__WEBHOOK_SECRET", secret)
    with pytest.raises(ValidationError, match="openssl rand -hex 32"):
        Settings()
