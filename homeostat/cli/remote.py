"""An instance elsewhere, over its API: what is there, and decisions in the name that the token has there."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from homeostat.cli.shared import fail
from homeostat.settings import Settings

if TYPE_CHECKING:
    import httpx

    from homeostat.ports import LedgerEntry

_TIMEOUT_S = 30.0  # the server waits 10 s for the healer
_OURS = {"application/json", "application/jsonl", "application/problem+json"}  # what the API answers with


class Exported:
    """A ledger as it came over the wire."""

    def __init__(self, entries: "Sequence[LedgerEntry]") -> None:
        """Take its entries, the first one first."""
        self._entries = entries

    def entries(self) -> "Sequence[LedgerEntry]":
        """Return all entries."""
        return self._entries

    def verify(self) -> int:
        """Return how many entries there are, or raise LedgerError where the chain is broken."""
        from homeostat.healing.chain import verify_export

        return verify_export(self._entries)


def status(url: str, product: str | None) -> dict[str, Any]:
    """Return the status of a product there."""
    return dict(_get(url, product, "status").json())


def ledger(url: str, product: str | None) -> Exported:
    """Return the ledger of a product there."""
    from homeostat.healing.chain import in_lines

    return Exported(in_lines(_get(url, product, "ledger").text.splitlines()))


def _get(url: str, product: str | None, what: str) -> "httpx.Response":
    if product is None:
        fail("--url asks for the name of a product there: add --product")
    answer = _asked(url, product, "GET", what)
    if not answer.is_success:
        fail(f"{url} answers {answer.status_code}: {_detail(answer)}")
    return answer


def decide(url: str, product: str, word: str, reason: str | None) -> dict[str, Any]:
    """Hand a decision in and return it with what became of it.

    Raises:
        typer.Exit: Nobody answers there, or the token does not do.
    """
    from homeostat.healing.operator import REFUSED

    if not Settings().token:
        fail(f"HOMEOSTAT_TOKEN is not set: {url} has to know who decides")
    answer = _asked(url, product, "POST", "decisions", {"decision": word, "reason": reason})
    if answer.is_success:
        return dict(answer.json())
    detail = _detail(answer)
    if not detail.startswith(REFUSED):
        fail(f"{url} answers {answer.status_code}: {detail}")
    return {"decision": word, "version": None, "by": None, "answer": detail}


def _asked(url: str, product: str, method: str, what: str, body: dict[str, Any] | None = None) -> "httpx.Response":
    """Return what the API answers, by the token if there is one."""
    import httpx

    token = Settings().token
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
    address = f"{url.rstrip('/')}/v1/{product}/{what}"
    try:
        answer = httpx.request(method, address, json=body, headers=headers, timeout=_TIMEOUT_S)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        fail(f"no Homeostat answers at {url}: {error}")
    if answer.headers.get("content-type", "").partition(";")[0] not in _OURS:
        fail(f"no Homeostat answers at {url}: {answer.status_code} without JSON")
    return answer


def _detail(answer: "httpx.Response") -> str:
    return str(answer.json().get("detail", answer.text))
