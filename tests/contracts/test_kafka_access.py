"""Who may ask a cluster: passwords, certificates, and what is said when they are wrong."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, get_args
from uuid import uuid4

import pytest
from pydantic import SecretStr

from deploy.servers import Kafka
from deploy.servers.kafka import MECHANISMS
from homeostat.adapters.kafka_log import KafkaLog
from homeostat.errors import HomeostatError, TransientError
from homeostat.ports import NewMessage
from homeostat.settings import KafkaSettings, Settings

AT = datetime(2024, 3, 1, tzinfo=UTC)
CLIENTS = ("kafka-python", "librdkafka")


@pytest.fixture(params=CLIENTS)
def by_password(request: pytest.FixtureRequest, kafka: Kafka) -> dict[str, Any]:
    return {
        "brokers": kafka.secured_brokers,
        "client": request.param,
        "protocol": "SASL_SSL",
        "username": kafka.username,
        "password": SecretStr(kafka.password),
        "ca": kafka.certificate,
        "timeout_s": 60,
    }


@contextmanager
def opened(**chosen: Any) -> Iterator[KafkaLog]:
    log = KafkaLog(KafkaSettings(**chosen), "p")
    yield log
    log.close()


def goes_round(log: KafkaLog) -> bool:
    topic = f"p.{uuid4().hex}.v1"
    log.append([NewMessage(topic, b"x")], AT)
    log.commit("readers", {topic: 1})
    return [m.value for m in log.read(topic, 0, 5)] == [b"x"] and log.committed("readers", topic) == 1


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_user_with_a_password_is_let_in_over_tls(by_password: dict[str, Any], mechanism: str) -> None:
    with opened(**by_password, mechanism=mechanism) as log:
        assert goes_round(log)


def test_every_mechanism_that_a_setting_may_name_is_tried_on_a_broker() -> None:
    allowed = get_args(KafkaSettings.model_fields["mechanism"].annotation)
    assert {*allowed} == {*MECHANISMS, "PLAIN"}  # which our brokers refuse, see below


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_with_a_certificate_is_let_in(client: Any, kafka: Kafka) -> None:
    files: dict[str, Any] = {"ca": kafka.certificate, "certificate": kafka.certificate, "key": kafka.key}
    with opened(brokers=kafka.mutual_brokers, client=client, protocol="SSL", timeout_s=60, **files) as log:
        assert goes_round(log)


def test_the_environment_says_it_all(
    by_password: dict[str, Any], kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = {**by_password, "password": kafka.password, "lanes": 2}
    for name, value in words.items():
        monkeypatch.setenv(f"HOMEOSTAT_KAFKA__{name.upper()}", str(value))
    read = Settings().kafka
    assert read == KafkaSettings(**{**by_password, "lanes": 2})
    assert kafka.password not in repr(read)


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"password": SecretStr("wrong")}, "HOMEOSTAT_KAFKA__USERNAME, __PASSWORD"),
        ({"mechanism": "SCRAM-SHA-256", "password": SecretStr("wrong")}, "HOMEOSTAT_KAFKA__USERNAME, __PASSWORD"),
        ({"mechanism": "PLAIN"}, "HOMEOSTAT_KAFKA__USERNAME, .*__MECHANISM"),
        ({"ca": None}, "TLS fails.*HOMEOSTAT_KAFKA__CA"),
    ],
    ids=["password", "password by SHA-256", "mechanism", "ca"],
)
def test_what_is_wrong_with_a_login_is_told_with_the_setting_and_never_the_password(
    by_password: dict[str, Any], change: dict[str, Any], advice: str
) -> None:
    chosen = {**by_password, "timeout_s": 4, **change}
    calls: list[Callable[[KafkaLog], object]] = [
        lambda log: log.end("p.a.v1"),
        lambda log: log.append([NewMessage("p.a.v1", b"")], AT),
    ]
    for call in calls:
        with opened(**chosen) as log, pytest.raises(HomeostatError, match=advice) as caught:
            call(log)
        if "closes connections" not in str(caught.value):  # all that kafka-python may have seen of a refusal
            assert not isinstance(caught.value, TransientError)
        assert "wrong" not in str(caught.value)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_without_its_certificate_is_told_to_bring_one(client: Any, kafka: Kafka) -> None:
    chosen: dict[str, Any] = {"client": client, "protocol": "SSL", "ca": kafka.certificate, "timeout_s": 4}
    with opened(brokers=kafka.mutual_brokers, **chosen) as log, pytest.raises(HomeostatError, match="TLS fails"):
        log.end("p.a.v1")
