"""Decisions on an instance elsewhere: over its API, in the name that the token has there."""

from typing import Any

from homeostat.cli.shared import fail
from homeostat.settings import Settings

_TIMEOUT_S = 30.0  # the server waits 10 s for the healer


def decide(url: str, product: str, word: str, reason: str | None) -> dict[str, Any]:
    """Hand a decision in and return it with what became of it.

    Raises:
        typer.Exit: Nobody answers there, or the token does not do.
    """
    import httpx

    from homeostat.healing.operator import REFUSED

    token = Settings().token
    if not token:
        fail(f"HOMEOSTAT_TOKEN is not set: {url} has to know who decides")
    try:
        answer = httpx.post(
            f"{url.rstrip('/')}/v1/{product}/decisions",
            json={"decision": word, "reason": reason},
            headers={"Authorization": f"Bearer {token.get_secret_value()}"},
            timeout=_TIMEOUT_S,
        )
        said = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        fail(f"no Homeostat answers at {url}: {error}")
    if answer.is_success:
        return dict(said)
    detail = str(said.get("detail", answer.text))
    if not detail.startswith(REFUSED):
        fail(f"{url} answers {answer.status_code}: {detail}")
    return {"decision": word, "version": None, "by": None, "answer": detail}
