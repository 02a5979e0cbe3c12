"""Which variables of the environment a process reads."""

from inspect import isclass
from typing import Any, get_args

from pydantic import BaseModel

from homeostat.settings import Settings


def is_read(variable: str) -> bool:
    """Whether the settings have a place for a variable called ``HOMEOSTAT_...``."""
    fields: Any = Settings.model_fields
    for part in variable.removeprefix("HOMEOSTAT_").lower().split("__"):
        if part not in fields:
            return False
        kinds = [kind for kind in (*get_args(fields[part].annotation), fields[part].annotation) if isclass(kind)]
        models = [kind for kind in kinds if issubclass(kind, BaseModel)]
        fields = models[0].model_fields if models else {}
    return True
