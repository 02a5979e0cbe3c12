# ruff: noqa: INP001 - MLflow imports it by itself, from a folder on its path
"""Tells Homeostat who decided: an ``authorization_function`` of MLflow's basic authentication.

``authorization_function = who:authenticate`` in the file of ``MLFLOW_AUTH_CONFIG_PATH``, this folder on ``PYTHONPATH``.
Whoever has logged in stands behind what they ask for: in the tag of a decision the name is theirs, whatever it said,
and of an alias that they moved a tag of the model says so. ``HOMEOSTAT_SPEAKS_FOR_OTHERS`` names the user by whom
`homeostat approve` and the like come in, who say themselves whose word they bring.

Source: https://mlflow.org/docs/latest/self-hosting/security/basic-http-auth/#custom-authentication
"""

import os
import re

from flask import Response, g, request
from mlflow.entities.model_registry import RegisteredModelTag
from mlflow.server.auth import _find_validator, authenticate_request_basic_auth, sender_is_admin
from mlflow.server.handlers import _get_model_registry_store
from werkzeug.datastructures import Authorization

_WORD = re.compile(r"\s*(\w+)(?:\s+by\s+[^:]*)?\s*(:.*)?", re.DOTALL | re.IGNORECASE)


def authenticate() -> Authorization | Response:
    """Return who asks, as basic authentication does, and put their name into what they ask for."""
    found = authenticate_request_basic_auth()
    if isinstance(found, Authorization) and found.username != os.environ.get("HOMEOSTAT_SPEAKS_FOR_OTHERS"):
        _sign(str(found.username))
    return found


def _sign(name: str) -> None:
    is_tag, is_alias = (request.path.endswith(end) for end in ("/set-tag", "/registered-models/alias"))
    said = request.get_json(force=True, silent=True) if is_tag or is_alias else None
    if not isinstance(said, dict) or request.method == "GET" or g.get("homeostat_signed"):
        return
    g.homeostat_signed = True  # MLflow asks several times who asks
    key = str(said.get("key", ""))
    if is_alias:
        _sign_move(said, name)
    elif key == "homeostat.decision" and (word := _WORD.fullmatch(str(said.get("value")))):
        said["value"] = f"{word[1]} by {name}{word[2] or ''}"  # what MLflow reads, once it knows that they may
    elif key.startswith("homeostat.") and key.endswith("_by"):
        said["value"] = name


def _sign_move(said: dict[str, str], name: str) -> None:
    """Write down who moves an alias, before it moves: the healer looks at once."""
    may = _find_validator(request)
    if sender_is_admin() or (may is not None and may()):  # type: ignore[no-untyped-call]
        value = f"{said.get('version', '')}: {name}"
        tag = RegisteredModelTag(f"homeostat.{said.get('alias')}_by", value)  # type: ignore[no-untyped-call]
        _get_model_registry_store().set_registered_model_tag(said.get("name"), tag)  # type: ignore[no-untyped-call]
