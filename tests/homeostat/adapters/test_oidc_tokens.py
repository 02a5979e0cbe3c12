"""JWTs of an issuer whose keys come over HTTP, as an OIDC provider publishes them."""

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import ValidationError

from homeostat.adapters import oidc_tokens
from homeostat.adapters.oidc_tokens import Issuer, OidcTokens
from homeostat.errors import TransientError
from homeostat.settings import OidcSettings

ISSUER, AUDIENCE = "https://login.example/realms/us", "homeostat"
KEY, OTHER = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
CURVE = ec.generate_private_key(ec.SECP256R1())
ANN = ("ann", frozenset({"operator"}))


def jwk(key: Any, kid: str) -> dict[str, Any]:
    maker = jwt.algorithms.ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else jwt.algorithms.RSAAlgorithm
    return {**maker.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig"}


class Provider:
    """Publishes keys, and may be away."""

    def __init__(self) -> None:
        self.keys = [jwk(KEY, "first")]
        self.away = False
        self.asked = 0

    def answer(self) -> tuple[int, bytes]:
        self.asked += 1
        return (503, b"") if self.away else (200, json.dumps({"keys": self.keys}).encode())


@pytest.fixture
def provider() -> Iterator[tuple[Provider, str]]:
    found = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content = found.answer()
            self.send_response(status)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield found, f"http://127.0.0.1:{server.server_port}/keys"
    server.shutdown()
    server.server_close()


class Time:
    """The clock of the keys' age."""

    def __init__(self) -> None:
        self.now = 1e6

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    found = Time()
    monkeypatch.setattr(oidc_tokens, "monotonic", found)
    return found


@pytest.fixture
def tokens(provider: tuple[Provider, str], clock: Time) -> OidcTokens:
    return OidcTokens(Issuer(ISSUER, AUDIENCE, provider[1], "roles", "preferred_username"))


def claims(**changes: object) -> dict[str, Any]:
    now = int(time.time())
    usual = {"iss": ISSUER, "aud": AUDIENCE, "exp": now + 300, "iat": now, "preferred_username": "ann"}
    return {k: v for k, v in {**usual, "roles": ["operator"], **changes}.items() if v is not None}


def token(key: Any = KEY, kid: str | None = "first", algorithm: str = "RS256", **changes: object) -> str:
    return jwt.encode(claims(**changes), key, algorithm, headers={"kid": kid} if kid else None)


def test_a_good_token_tells_name_and_roles(tokens: OidcTokens) -> None:
    assert tokens.identity(token()) == ANN
    assert tokens.identity(token(kid=None)) == ANN  # there is one key alone
    assert tokens.identity(token(aud=["others", AUDIENCE])) == ANN
    assert tokens.identity(token(roles="viewer admin")) == ("ann", frozenset({"viewer", "admin"}))
    assert tokens.identity(token(roles=None)) == ("ann", frozenset())


def test_roles_may_lie_inside_a_claim(provider: tuple[Provider, str], clock: Time) -> None:
    inside = OidcTokens(Issuer(ISSUER, AUDIENCE, provider[1], "realm_access.roles", "sub"))
    assert inside.identity(token(sub="u7", realm_access={"roles": ["admin"]})) == ("u7", frozenset({"admin"}))
    assert inside.identity(token(sub="u7", realm_access=["admin"])) == ("u7", frozenset())


def unsigned(algorithm: str) -> str:
    parts = ({"alg": algorithm, "kid": "first"}, claims())
    return ".".join(urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(lambda: token(exp=int(time.time()) - 60), id="expired"),
        pytest.param(lambda: token(nbf=int(time.time()) + 600), id="not good yet"),
        pytest.param(lambda: token(exp=None), id="for ever"),
        pytest.param(lambda: token(aud="others"), id="for others"),
        pytest.param(lambda: token(aud=None), id="for nobody"),
        pytest.param(lambda: token(iss="https://evil.example"), id="by another issuer"),
        pytest.param(lambda: token(OTHER), id="by another key"),
        pytest.param(lambda: token(OTHER, "second"), id="by a key nobody knows"),
        pytest.param(lambda: unsigned("none"), id="unsigned"),
        pytest.param(lambda: unsigned("None"), id="unsigned in other letters"),
        pytest.param(lambda: token("s" * 64, algorithm="HS256"), id="by a shared secret"),
        pytest.param(lambda: token(CURVE, algorithm="ES256"), id="by another algorithm than the key's"),
        pytest.param(lambda: token() + "x", id="signature changed"),
        pytest.param(lambda: token(preferred_username=None), id="nameless"),
        pytest.param(lambda: token(preferred_username=7), id="no name"),
        pytest.param(lambda: "a.b.c", id="nonsense"),
        pytest.param(lambda: "", id="nothing"),
        pytest.param(lambda: "ümläut.x.y", id="no ASCII"),
    ],
)
def test_a_token_that_is_not_good_is_nobodys(tokens: OidcTokens, bad: Any) -> None:
    assert tokens.identity(bad()) is None


def test_a_new_key_is_found_and_a_withdrawn_one_forgotten(
    tokens: OidcTokens, provider: tuple[Provider, str], clock: Time
) -> None:
    assert tokens.identity(token()) == ANN
    provider[0].keys = [jwk(CURVE, "second")]
    clock.now += 20
    assert tokens.identity(token(CURVE, "second", "ES256")) == ANN
    assert tokens.identity(token()) is None


def test_strangers_do_not_make_us_ask_for_keys_all_the_time(tokens: OidcTokens, provider: tuple[Provider, str]) -> None:
    for i in range(20):
        assert tokens.identity(token(OTHER, f"other {i}")) is None
    assert provider[0].asked == 1


def test_while_the_issuer_is_away_its_keys_are_kept_for_a_day_and_then_nobody_passes(
    tokens: OidcTokens, provider: tuple[Provider, str], clock: Time
) -> None:
    assert tokens.identity(token()) == ANN
    provider[0].away = True
    clock.now += 3600
    assert tokens.identity(token()) == ANN
    assert tokens.identity(token(OTHER, "second")) is None
    clock.now += 86_400
    with pytest.raises(TransientError, match="no keys can be had"):
        tokens.identity(token())
    provider[0].away = False
    clock.now += 60
    assert tokens.identity(token()) == ANN


def test_a_shared_secret_among_the_keys_is_no_key(tokens: OidcTokens, provider: tuple[Provider, str]) -> None:
    provider[0].keys = [{"kty": "oct", "k": "c2VjcmV0", "kid": "first"}, jwk(OTHER, "second")]
    assert tokens.identity(token()) is None
    assert tokens.identity(token("secret" * 8, algorithm="HS256")) is None
    assert tokens.identity(token(OTHER, "second")) == ANN


@pytest.mark.parametrize("keys", [None, [], "x", [7], [{"kty": "RSA"}]])
def test_keys_that_are_none_let_nobody_in(tokens: OidcTokens, provider: tuple[Provider, str], keys: Any) -> None:
    provider[0].keys = keys
    with pytest.raises(TransientError):
        tokens.identity(token())


def test_keys_are_fetched_over_tls_or_from_this_machine() -> None:
    def settings(url: str) -> OidcSettings:
        return OidcSettings.model_validate({"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": url})

    assert settings("https://login.example/keys").role_claim == "roles"
    assert settings("http://127.0.0.1:80/keys").name_claim == "sub"
    with pytest.raises(ValidationError, match="expected https"):
        settings("http://login.example/keys")
