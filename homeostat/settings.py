"""The only reader of the environment."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where an installation keeps its state, from ``HOMEOSTAT_...`` variables; ``__`` separates parts."""

    model_config = SettingsConfigDict(env_prefix="HOMEOSTAT_", env_nested_delimiter="__", frozen=True)

    home: Path = Field(default=Path(".homeostat"), description="folder of the embedded stores")
    metrics_port: int | None = Field(
        default=None, ge=0, le=65535, description="serve /metrics on loopback; 0 takes a free port"
    )
