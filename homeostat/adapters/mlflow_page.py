"""Operators' decisions through MLflow's REST API, as its UI sets tags: without MLflow's import of seconds."""

import json
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from homeostat.errors import HomeostatError, ModelError, TransientError
from homeostat.healing.tags import aliases_in, answer_in, asking
from homeostat.ports import Aliases, OperatorDecision

_TOO_MANY, _BROKEN = 429, 500  # statuses that pass
_TIMEOUT_S = 10.0  # the first request after a start is a slow one


class MlflowPage:
    """The tags of one product's model and versions, at a server that runs already.

    Source: https://mlflow.org/docs/latest/rest-api.html

    Raises:
        TransientError: Nobody answers at the address in time.
        HomeostatError: The server refuses; the message says what it said.
    """

    def __init__(self, url: str, product: str, login: tuple[str, str] | None = None) -> None:
        """Take where the server is, the name of the registered model, and who asks where the server wants to know."""
        self._url = f"{url}/api/2.0/mlflow"
        self._product = product
        self._headers = {"Content-Type": "application/json"}
        if login is not None:
            self._headers["Authorization"] = f"Basic {b64encode(':'.join(login).encode()).decode()}"

    def aliases(self) -> Aliases:
        """Return who serves now; a model that is not there yet has no version."""
        try:
            said = self._call("GET", None, "get", {})["registered_model"]
        except ModelError:
            return Aliases()
        return aliases_in({entry["alias"]: entry["version"] for entry in said.get("aliases", ())}, _tags(said))

    def is_there(self) -> bool:
        """Return whether the server answers and knows the product."""
        with suppress(HomeostatError):
            self._call("GET", None, "get", {})
            return True
        return False

    def decide(self, decision: OperatorDecision) -> None:
        """Open a decision, in place of an open one and of an older answer.

        Raises:
            ModelError: There is no such version.
        """
        for key, value in asking(decision).items():
            if value is None:
                self._call("DELETE", decision.version, "delete-tag", {"key": key})
            else:
                self._call("POST", decision.version, "set-tag", {"key": key, "value": value})

    def answered(self, version: str | None) -> str | None:
        """Return what became of the last decision on a version, None while it is open or if there never was one."""
        found = self._call("GET", version, "get", {})
        said = found["registered_model"] if version is None else found["model_version"]
        return answer_in(_tags(said))

    def _call(self, method: str, version: str | None, what: str, fields: Mapping[str, str]) -> dict[str, Any]:
        of = {"name": self._product} if version is None else {"name": self._product, "version": version}
        url = f"{self._url}/{'registered-models' if version is None else 'model-versions'}/{what}"
        if method == "GET":
            request = Request(f"{url}?{urlencode({**of, **fields})}", headers=self._headers)  # noqa: S310 - as set by us
        else:
            body = json.dumps({**of, **fields}).encode()
            request = Request(url, body, self._headers, method=method)  # noqa: S310
        try:
            with urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
                said: dict[str, Any] = json.loads(answer.read() or b"{}")
        except HTTPError as error:
            told = error.read().decode(errors="replace")[:500]
            if error.code == _TOO_MANY or error.code >= _BROKEN:
                raise TransientError(f"MLflow at {self._url} can't answer now: {error.code} {told}") from error
            kind = ModelError if "RESOURCE_DOES_NOT_EXIST" in told else HomeostatError
            raise kind(f"MLflow at {self._url} refuses {what} of {of}: {told}") from error
        except (URLError, OSError, HTTPException, ValueError) as error:
            raise TransientError(f"no MLflow answers at {self._url}: {error}") from error
        return said


def _tags(said: Mapping[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag.get("value", "") for tag in said.get("tags", ())}
