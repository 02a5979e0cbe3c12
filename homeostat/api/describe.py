"""The description of the API (OpenAPI): models in one place, routes refer to them."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from homeostat.api.models import COMMON, Model, Problem
from homeostat.api.problems import MEDIA_TYPE

_REFERENCE = "#/components/schemas/{model}"
_SAID = {
    401: "a bearer token of this instance is needed",
    403: "the token's role does not allow it",
    408: "the body did not arrive in time",
    409: "it can't be done now: the clock can't be set so, or the decision was refused",
    413: "too long, or too many rows",
    415: "no JSON",
    422: "not as described; each bad place is named, and nothing was stored unless it says so",
    429: "too much waits: come back after Retry-After",
    503: "not now: come back after Retry-After",
}

Responses = dict[int | str, dict[str, Any]]


class Description:
    """Collects the models that an API speaks of."""

    def __init__(self) -> None:
        """Begin with those that every instance has."""
        self._models: list[Model] = list(COMMON)

    def add(self, *models: Model) -> tuple[Model, ...]:
        """Add models of a product, and return them."""
        self._models += models
        return models

    def schemas(self) -> Mapping[str, Any]:
        """Return the JSON schema of each model, and of what it is made of, by name."""
        _, found = models_json_schema([(model, "validation") for model in self._models], ref_template=_REFERENCE)
        schemas: Mapping[str, Any] = found["$defs"]
        return schemas


class DescribedApi(FastAPI):
    """An application whose description has models beside those that FastAPI finds by itself."""

    models: Description

    def openapi(self) -> dict[str, Any]:
        """Return the description, made once."""
        if self.openapi_schema is None:
            described = super().openapi()
            described.setdefault("components", {}).setdefault("schemas", {}).update(self.models.schemas())
        return super().openapi()


def answer(status: int, model: Model) -> Responses:
    """Return what a route answers when all is well."""
    return {status: {"description": model.__doc__, "content": {"application/json": {"schema": reference(model)}}}}


def body(model: Model) -> dict[str, Any]:
    """Return what a route takes."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": reference(model)}}}}


def problems(*statuses: int) -> Responses:
    """Return the problems that a route may answer with."""
    content = {MEDIA_TYPE: {"schema": reference(Problem)}}
    return {
        status: {"description": _SAID[status], "content": content} | ({"headers": _RETRY} if status in _LATER else {})
        for status in statuses
    }


def reference(model: Model) -> dict[str, str]:
    """Return where the description has a model."""
    return {"$ref": _REFERENCE.format(model=model.__name__)}


_LATER = {429, 503}
_RETRY = {"Retry-After": {"description": "seconds", "schema": {"type": "integer", "minimum": 1}}}
