"""Where alerts go follows from the environment."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from homeostat.bootstrap import alert_sink
from homeostat.errors import TransientError
from homeostat.ports import Alert
from homeostat.settings import Settings

ALERT = Alert("a1", datetime(2030, 1, 1, tzinfo=UTC), "toys", "promoted", "info", "what", {}, "nothing")


def test_alerts_go_to_the_products_own_file_unless_told_otherwise(tmp_path: Path) -> None:
    alert_sink(Settings().alerts, tmp_path).send(ALERT)
    assert json.loads((tmp_path / "alerts.jsonl").read_text())["alert_id"] == "a1"


def test_a_file_of_the_environment_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_ALERTS__FILE", str(tmp_path / "elsewhere" / "alerts"))
    alert_sink(Settings().alerts, tmp_path).send(ALERT)
    assert (tmp_path / "elsewhere" / "alerts").exists()
    assert not (tmp_path / "alerts.jsonl").exists()


def test_a_webhook_is_asked_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_ALERTS__WEBHOOK", "http://127.0.0.1:1/hook")
    monkeypatch.setenv("HOMEOSTAT_ALERTS__SECRET", "s3cret")
    settings = Settings().alerts
    with pytest.raises(TransientError, match="webhook"):
        alert_sink(settings, tmp_path).send(ALERT)
    assert (tmp_path / "alerts.jsonl").exists()
    assert "s3cret" not in repr(settings)


def test_an_address_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_ALERTS__WEBHOOK", "ftp://somewhere")
    with pytest.raises(ValidationError, match="webhook"):
        Settings()
