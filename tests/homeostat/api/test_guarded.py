"""Where an API may ask nobody for a token."""

from pathlib import Path

import pytest

from homeostat.api import Gate, guarded_gate
from homeostat.errors import HomeostatError
from homeostat.processes.launch import Wanted, up
from homeostat.settings import Settings

ELSEWHERE = ("0.0.0.0", "::", "", "192.0.2.2", "predictor.example")  # noqa: S104 - only asked about
LOOPBACK = ("127.0.0.1", "127.0.0.2", "::1", "localhost")


class Issuer:
    def identity(self, token: str) -> None:
        return None


@pytest.fixture(autouse=True)
def told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TOKEN", "TOKENS", "TOKENS_FILE", "ALLOW_ANONYMOUS"):
        monkeypatch.delenv(f"HOMEOSTAT_{name}", raising=False)


@pytest.mark.parametrize("host", ELSEWHERE)
@pytest.mark.parametrize("empty", [{}, {"TOKEN": ""}, {"TOKENS": "# nobody yet"}])
def test_without_a_token_no_other_machine_is_let_in(
    host: str, empty: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in empty.items():
        monkeypatch.setenv(f"HOMEOSTAT_{name}", value)
    with pytest.raises(HomeostatError) as refused:
        guarded_gate(Settings(), None, host, "HOMEOSTAT_HOST")
    assert str(refused.value).startswith(f"HOMEOSTAT_HOST is {host or 'every address'}, and nobody would be asked")
    for todo in ("HOMEOSTAT_TOKEN ", "HOMEOSTAT_TOKENS", "HOMEOSTAT_OIDC__ISSUER", "HOMEOSTAT_ALLOW_ANONYMOUS=true"):
        assert todo in str(refused.value)


@pytest.mark.parametrize("host", LOOPBACK)
def test_on_loopback_nobody_is_asked(host: str) -> None:
    assert guarded_gate(Settings(), None, host, "--host") == Gate()


@pytest.mark.parametrize("host", ELSEWHERE)
@pytest.mark.parametrize(
    ("name", "value"), [("TOKEN", "a-token-of-clients"), ("TOKENS", "viewer bob bob-0123456789abc")]
)
def test_with_a_token_it_listens_anywhere(host: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"HOMEOSTAT_{name}", value)
    assert not guarded_gate(Settings(), None, host, "--host").is_open


def test_with_an_issuer_it_listens_anywhere() -> None:
    assert not guarded_gate(Settings(), Issuer(), "::", "--host").is_open


def test_a_proxy_may_ask_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_ALLOW_ANONYMOUS", "true")
    assert guarded_gate(Settings(), None, "::", "--host") == Gate()


def test_an_instance_that_would_be_open_is_not_started(tmp_path: Path) -> None:
    home = tmp_path / "live"
    contract = Path(__file__).parents[2] / "loop" / "turbines.yaml"
    with pytest.raises(HomeostatError, match="--host is ::, and nobody would be asked"):
        up(Wanted((contract,), "::", 0, 0, "system", 7), home, print, print)
    assert not home.exists()
