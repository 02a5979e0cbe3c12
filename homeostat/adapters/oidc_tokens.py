"""Tokens that an OIDC provider has signed: JWTs, held against its public keys."""

import json
import logging
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Any, Final
from urllib.request import urlopen

import jwt

from homeostat.errors import TransientError

_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_LEEWAY_S: Final = 30  # clocks of two machines differ
_FRESH_S: Final = 300.0  # a key that was withdrawn is good for so long yet
_KEPT_S: Final = 86_400.0  # while the provider is away
_PAUSE_S: Final = 10.0  # between two questions: strangers' tokens make us ask
_TIMEOUT_S: Final = 5.0
_MOST_BYTES: Final = 1 << 20

_log = logging.getLogger("homeostat.oidc")


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose tokens are good, if they are meant for whom, and what in them says who has which role."""

    issuer: str
    audience: str
    jwks_url: str
    role_claim: str  # dots lead inside
    name_claim: str


class OidcTokens:
    """Knows whose token a JWT is by its issuer's signature; secrets shared with the issuer are none of the ways.

    Source: RFC 7519 (JWT), RFC 7517 (JWKS), RFC 8725 (best current practices: algorithms, issuer, audience).
    """

    def __init__(self, issuer: Issuer) -> None:
        """Take who issues tokens; its keys are fetched when the first one comes."""
        self._issuer = issuer
        self._keys = _Keys(issuer.jwks_url)

    def identity(self, token: str) -> tuple[str, frozenset[str]] | None:
        """Return the name and the roles in a token, None for one that is not good, or not for us.

        Raises:
            TransientError: The issuer's keys can't be had, and none are known that are fresh enough.
        """
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in _ALGORITHMS:
                return None
            key = self._keys.key(header.get("kid"))
            return self._in(self._claims(token, key)) if key else None
        except jwt.PyJWTError as error:
            _log.info("a token was refused: %s", error)
            return None

    def _claims(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        return jwt.decode(
            token,
            key,
            algorithms=_ALGORITHMS,
            audience=self._issuer.audience,
            issuer=self._issuer.issuer,
            leeway=_LEEWAY_S,
            options={"require": ["exp", "iss", "aud"]},
        )

    def _in(self, claims: dict[str, Any]) -> tuple[str, frozenset[str]] | None:
        name = claims.get(self._issuer.name_claim)
        found: Any = claims
        for part in self._issuer.role_claim.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        roles = found.split() if isinstance(found, str) else found if isinstance(found, list) else []
        return (name, frozenset(map(str, roles))) if isinstance(name, str) and name else None


class _Keys:
    """The issuer's public keys by their id, asked for again when they are old or one is not among them."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = Lock()
        self._known: dict[str | None, jwt.PyJWK] = {}
        self._fetched = self._asked = float("-inf")

    def key(self, kid: str | None) -> jwt.PyJWK | None:
        """Return a key, the only one for a token that names none.

        Raises:
            TransientError: No keys are known that are fresh enough.
        """
        with self._lock:
            now = monotonic()
            wanted = now - self._fetched > _FRESH_S or kid not in self._known
            if wanted and now - self._asked > _PAUSE_S:
                self._asked = now
                self._fetch(now)
            if now - self._fetched > _KEPT_S:
                raise TransientError(f"no keys can be had from {self._url}: tokens can't be told from forged ones")
            if kid is None and len(self._known) == 1:
                return next(iter(self._known.values()))
            return self._known.get(kid)

    def _fetch(self, now: float) -> None:
        try:
            with urlopen(self._url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - the settings take http(s) alone
                found = jwt.PyJWKSet.from_dict(json.loads(answer.read(_MOST_BYTES)))
        except (OSError, ValueError, AttributeError, TypeError, jwt.PyJWTError) as error:
            _log.warning("no keys from %s, going on with those known: %s", self._url, error)
            return
        self._known = {
            key.key_id: key for key in found.keys if key.key_type != "oct" and key.public_key_use in {None, "sig"}
        }
        self._fetched = now
