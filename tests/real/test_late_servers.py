"""A service begins by itself when the server that it needs comes late; a wrong setting ends it at once."""

import re
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.servers import Postgres, free_port

from .process import SOON_S, running
from .running import until

EVERYWHERE = {"HOMEOSTAT_HOST": "0.0.0.0", "HOMEOSTAT_TOKEN": ""}  # noqa: S104 - for as long as a test lasts


def test_a_service_waits_for_a_database_that_comes_late_and_then_begins(own_server, tmp_path: Path) -> None:
    server: Postgres = own_server("postgres")
    server.stop()
    with running("healer", tmp_path, {"HOMEOSTAT_SQL__URL": server.url()}) as service:
        until(lambda: "database" in service.asked("/readyz")[1], SOON_S, service.said)
        status, why = service.asked("/readyz")
        assert status == 503
        assert "waiting until this passes: the database is busy or away" in why
        assert server.password not in why
        assert service.asked("/healthz")[0] == 200
        tries = len(re.findall("waiting until", service.said()))
        server.start()
        until(lambda: service.asked("/readyz")[0] == 200, SOON_S, service.said)
        assert tries == len(re.findall("waiting until", service.said())) == 1
        assert "it has passed: going on" in service.said()
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(SOON_S) == 0, service.said()


def test_a_service_that_waits_ends_at_once_when_it_is_told_to(tmp_path: Path) -> None:
    away = {"HOMEOSTAT_SQL__URL": f"postgresql+psycopg://homeostat:x@127.0.0.1:{free_port()}/homeostat"}
    with running("healer", tmp_path, away) as service:
        until(lambda: "database" in service.asked("/readyz")[1], SOON_S, service.said)
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(SOON_S) == 0, service.said()


def test_a_service_that_needs_no_database_begins_without_it(tmp_path: Path) -> None:
    away = {"HOMEOSTAT_SQL__URL": f"postgresql+psycopg://homeostat:x@127.0.0.1:{free_port()}/homeostat"}
    with running("predictor", tmp_path, away) as service:
        until(lambda: service.asked("/healthz")[0] == 200, SOON_S, service.said)
        assert "waiting until" not in service.said()


@pytest.mark.parametrize(
    ("process", "wrong", "told"),
    [
        ("healer", {"HOMEOSTAT_SQL__URL": "nowhere"}, "HOMEOSTAT_SQL__URL: expected postgresql"),
        ("healer", {"HOMEOSTAT_MLFLOW__URL": "not a url"}, "HOMEOSTAT_MLFLOW__URL: Input should be a valid URL"),
        ("predictor", EVERYWHERE, "HOMEOSTAT_HOST is 0.0.0.0, and nobody would be asked for a token"),
    ],
)
def test_a_wrong_setting_ends_a_service_at_once_with_its_name(
    tmp_path: Path, process: str, wrong: Mapping[str, str], told: str
) -> None:
    with running(process, tmp_path, wrong) as service:
        assert service.process.wait(SOON_S) == 1
        assert "ERROR homeostat.service" in service.said()
        assert told in service.said()
        assert "Traceback" not in service.said()


@pytest.mark.parametrize(
    ("process", "asking"),
    [("joiner", {}), ("predictor", {"HOMEOSTAT_TOKEN": "a-token-of-clients"})],
    ids=["serves nobody", "asks for a token"],
)
def test_a_service_that_lets_no_stranger_in_listens_everywhere(
    tmp_path: Path, process: str, asking: Mapping[str, str]
) -> None:
    with running(process, tmp_path, EVERYWHERE | asking) as service:
        until(lambda: service.asked("/healthz")[0] == 200, SOON_S, service.said)
        until(lambda: service.asked("/v1/turbines/status")[0] in {401, 404}, SOON_S, service.said)


def test_a_wrong_password_ends_a_service_at_once(postgres: Postgres, tmp_path: Path) -> None:
    wrong = {"HOMEOSTAT_SQL__URL": postgres.url().replace(postgres.password, "guessed")}
    with running("healer", tmp_path, wrong) as service:
        assert service.process.wait(SOON_S) == 1
        assert "the database refuses us; look at HOMEOSTAT_SQL__URL" in service.said()
