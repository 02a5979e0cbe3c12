"""The only reader of the environment."""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class AlertSettings(BaseModel):
    """Where alerts go beside the product's own ``alerts.jsonl``, from ``HOMEOSTAT_ALERTS__...``."""

    model_config = ConfigDict(frozen=True)

    file: Path | None = Field(default=None, description="append them to this file instead, as JSON lines")
    webhook: HttpUrl | None = Field(default=None, description="POST them to this address too, as JSON")
    secret: SecretStr | None = Field(default=None, description="sign what is posted with this key (HMAC-SHA256)")


class Settings(BaseSettings):
    """Where an installation keeps its state, from ``HOMEOSTAT_...`` variables; ``__`` separates parts."""

    model_config = SettingsConfigDict(env_prefix="HOMEOSTAT_", env_nested_delimiter="__", frozen=True)

    home: Path = Field(default=Path(".homeostat"), description="folder of the embedded stores")
    metrics_port: int | None = Field(
        default=None, ge=0, le=65535, description="serve /metrics on loopback; 0 takes a free port"
    )
    alerts: AlertSettings = AlertSettings()
    token: SecretStr | None = Field(
        default=None, description="a bearer token that the API asks for and `homeostat replay` shows"
    )
    crash_at: str | None = Field(
        default=None,
        pattern=r"^[a-z]+:(read|handled|published|committed)(:[1-9][0-9]*)?$",
        description="a test hook: `step:point[:nth]`, where the process of that step kills itself with kill -9",
    )


def child_environment(run: Path, *, threads: int, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a process that `homeostat up` starts.

    Args:
        run: Folder of what lives as long as the processes; their metrics are kept below it.
        threads: Of each numeric library. More than the cores that are free makes OpenMP spin for minutes.
        more: What this one process needs beside.
    """
    bounds = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "POLARS_MAX_THREADS")
    ours = {
        **dict.fromkeys(bounds, str(threads)),
        "OMP_WAIT_POLICY": "PASSIVE",
        "PROMETHEUS_MULTIPROC_DIR": str(run / "metrics"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONUNBUFFERED": "1",
    }
    return {**os.environ, **ours, **(more or {})}
