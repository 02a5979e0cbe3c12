"""Who may do what: roles, and whom a bearer token belongs to."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hmac import compare_digest
from ipaddress import ip_address
from types import MappingProxyType
from typing import Final, Protocol

from homeostat.errors import HomeostatError
from homeostat.settings import Settings

_SHORTEST = 16  # characters of a token


class Right(StrEnum):
    """What can be done over HTTP."""

    SEND = "send events and labels or ask for predictions"
    VIEW = "look at the status"
    STEER = "set the clock"
    DECIDE = "decide who serves"


ROLES: Final[Mapping[str, frozenset[Right]]] = MappingProxyType(
    {
        "client": frozenset({Right.SEND, Right.VIEW, Right.STEER}),  # producers, who predicts, and a replay
        "viewer": frozenset({Right.VIEW}),
        "operator": frozenset({Right.VIEW, Right.DECIDE}),
        "admin": frozenset(Right),
    }
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    name: str
    rights: frozenset[Right]


ANYBODY: Final = Caller("anybody", ROLES["client"])
"""Who asks an instance without tokens: a decision needs a name."""


class Issuer(Protocol):
    """Vouches for tokens that it made, not this instance."""

    def identity(self, token: str) -> tuple[str, frozenset[str]] | None:
        """Return the name and the roles that a token stands for, None for one that is not good.

        Raises:
            TransientError: It can't be known now.
        """


@dataclass(frozen=True, slots=True)
class Gate:
    """Knows whom a token belongs to; without tokens and issuer everybody who reaches the port may pass."""

    tokens: tuple[tuple[str, Caller], ...] = ()
    issuer: Issuer | None = None

    @property
    def is_open(self) -> bool:
        """Whether nobody is asked for a token."""
        return not self.tokens and self.issuer is None

    async def caller(self, token: str) -> Caller | None:
        """Return whose token it is, None for one that nobody has.

        Raises:
            TransientError: It can't be known now.
        """
        given = token.encode()
        # all of them: no hint by the time it takes
        found = [caller for known, caller in self.tokens if compare_digest(given, known.encode())]
        if found or self.issuer is None:
            return found[0] if found else None
        identity = await asyncio.to_thread(self.issuer.identity, token)
        if identity is None:
            return None
        name, roles = identity
        return Caller(name, frozenset().union(*(ROLES.get(role, frozenset()) for role in roles)))


OPEN: Final = Gate()


def gate_of(settings: Settings, issuer: Issuer | None = None) -> Gate:
    """Return the gate that the settings ask for.

    Raises:
        HomeostatError: A line of tokens is not as it should be; the message names it, without the token.
    """
    tokens: list[tuple[str, Caller]] = []
    if settings.token:
        tokens.append((settings.token.get_secret_value(), Caller("client", ROLES["client"])))
    if settings.tokens:
        tokens += _tokens_in(settings.tokens.get_secret_value(), "HOMEOSTAT_TOKENS")
    if settings.tokens_file is not None:
        source = f"HOMEOSTAT_TOKENS_FILE, {settings.tokens_file}"
        try:
            tokens += _tokens_in(settings.tokens_file.read_text(), source)
        except (OSError, UnicodeDecodeError) as error:
            raise HomeostatError(f"{source}: can't be read: {error}") from error
    if len({token for token, _ in tokens}) < len(tokens):
        raise HomeostatError("two callers have the same token: draw another one with `openssl rand -hex 32`")
    return Gate(tuple(tokens), issuer)


def guarded_gate(settings: Settings, issuer: Issuer | None, host: str, option: str) -> Gate:
    """Return the gate of an API that listens on ``host``, as ``option`` told it to.

    Raises:
        HomeostatError: Other machines would reach it and nobody is asked for a token, which no setting wants; or a
            line of tokens is not as it should be.
    """
    gate = gate_of(settings, issuer)
    if gate.is_open and not settings.allow_anonymous and not _is_loopback(host):
        raise HomeostatError(
            f"{option} is {host or 'every address'}, and nobody would be asked for a token: whoever reaches the port "
            "could send events and labels. Set HOMEOSTAT_TOKEN (`openssl rand -hex 32` draws one), HOMEOSTAT_TOKENS, "
            "HOMEOSTAT_TOKENS_FILE or HOMEOSTAT_OIDC__ISSUER; or listen on 127.0.0.1; or, where a proxy before it "
            "asks who comes, set HOMEOSTAT_ALLOW_ANONYMOUS=true"
        )
    return gate


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"


def _tokens_in(text: str, source: str) -> Iterator[tuple[str, Caller]]:
    for number, line in enumerate(text.replace(";", "\n").splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 3 or words[0] not in ROLES or len(words[2]) < _SHORTEST:
            raise HomeostatError(
                f"{source}, line {number}: expected `ROLE NAME TOKEN`, a role of {', '.join(ROLES)} "
                f"and a token of {_SHORTEST} characters or more: `openssl rand -hex 32` draws one"
            )
        role, name, token = words
        yield token, Caller(name, ROLES[role])
