"""The only reader of the environment."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_SHORTEST_SECRET = 16


class AlertSettings(BaseModel):
    """Where alerts go beside the product's own ``alerts.jsonl``, from ``HOMEOSTAT_ALERTS__...``."""

    model_config = ConfigDict(frozen=True)

    file: Path | None = Field(default=None, description="append them to this file instead, as JSON lines")
    webhook: HttpUrl | None = Field(default=None, description="POST them to this address too, as JSON")
    secret: SecretStr | None = Field(default=None, description="sign what is posted with this key (HMAC-SHA256)")


class KafkaSettings(BaseModel):
    """The event log's brokers, from ``HOMEOSTAT_KAFKA__...``."""

    model_config = ConfigDict(frozen=True)

    brokers: str = Field(min_length=1, description="`HOST:PORT`, or several with commas between")
    client: Literal["kafka-python", "librdkafka"] = "kafka-python"
    protocol: Literal["PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL", "SSL"] = "PLAINTEXT"
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str | None = None
    password: SecretStr | None = None
    ca: Path | None = Field(default=None, description="PEM file of who signs the brokers' certificates")
    certificate: Path | None = Field(default=None, description="PEM file of this client's own certificate")
    key: Path | None = Field(default=None, description="PEM file of the key to it")
    lanes: int = Field(
        default=1, ge=1, description="partitions of the raw topics: so many ingestors can share the work"
    )
    replication: int = Field(default=1, ge=1, description="replicas of each topic that is made; 3 where it matters")
    timeout_s: float = Field(default=20.0, gt=0, description="how long a call waits for the brokers")


class RedisSettings(BaseModel):
    """The online store's server, from ``HOMEOSTAT_REDIS__...``."""

    model_config = ConfigDict(frozen=True)

    url: SecretStr = Field(description="`redis://[:PASSWORD@]HOST:PORT[/DB]`, `rediss://` by TLS")


class SqlSettings(BaseModel):
    """The server of cases and ledger, from ``HOMEOSTAT_SQL__...``."""

    model_config = ConfigDict(frozen=True)

    url: SecretStr = Field(description="as SQLAlchemy takes it: `postgresql+psycopg://USER:PASSWORD@HOST/DB`")


class MlflowSettings(BaseModel):
    """The registry's server, from ``HOMEOSTAT_MLFLOW__...``; who asks is said by MLflow's own variables."""

    model_config = ConfigDict(frozen=True)

    url: HttpUrl = Field(description="where MLflow's server is")
    webhook_url: HttpUrl | None = Field(
        default=None, description="where that server reaches this process, up to the port: it is then told of edits"
    )
    webhook_secret: SecretStr | None = Field(default=None, description="what those messages are signed with")

    @model_validator(mode="after")
    def _is_signed(self) -> Self:
        if self.webhook_url is not None and (
            self.webhook_secret is None or len(self.webhook_secret.get_secret_value()) < _SHORTEST_SECRET
        ):
            raise ValueError(
                f"webhook_url is set without a webhook_secret of {_SHORTEST_SECRET} characters or more: "
                "`openssl rand -hex 32` draws one"
            )
        return self


class OidcSettings(BaseModel):
    """Who vouches for callers of the API beside its own tokens, from ``HOMEOSTAT_OIDC__...``."""

    model_config = ConfigDict(frozen=True)

    issuer: str = Field(min_length=1, description="the `iss` of its tokens, to the letter")
    audience: str = Field(min_length=1, description="the `aud` of tokens meant for this API")
    jwks_url: HttpUrl = Field(description="where its public keys are")
    role_claim: str = Field(default="roles", description="the claim with the roles; dots lead inside, `realm.roles`")
    name_claim: str = Field(default="sub", description="the claim that names the caller in the ledger")

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if self.jwks_url.scheme != "https" and self.jwks_url.host not in {"localhost", "127.0.0.1", "[::1]"}:
            raise ValueError(f"jwks_url is {self.jwks_url}: expected https, for whoever changes the keys is let in")
        return self


class Settings(BaseSettings):
    """Where an installation keeps its state, from ``HOMEOSTAT_...`` variables; ``__`` separates parts."""

    model_config = SettingsConfigDict(env_prefix="HOMEOSTAT_", env_nested_delimiter="__", frozen=True)

    home: Path = Field(default=Path(".homeostat"), description="folder of the embedded stores")
    metrics_port: int | None = Field(
        default=None, ge=0, le=65535, description="serve /metrics on loopback; 0 takes a free port"
    )
    contract: Path | None = Field(default=None, description="the contract of the product that a service works for")
    host: str = Field(default="127.0.0.1", description="where a service listens")
    port: int = Field(default=8080, ge=0, le=65535, description="of a service; 0 takes a free one")
    seed: int = Field(default=7, ge=0, description="of everything a service draws by chance")
    most_wait_ms: int = Field(default=250, ge=1, description="who would wait longer for an answer is refused (429)")
    power_safe: bool = Field(default=False, description="the embedded log waits for the disk at each append")
    kafka: KafkaSettings | None = None
    redis: RedisSettings | None = None
    sql: SqlSettings | None = None
    mlflow: MlflowSettings | None = None
    mlflow_user: str | None = Field(default=None, validation_alias="MLFLOW_TRACKING_USERNAME")
    mlflow_password: SecretStr | None = Field(default=None, validation_alias="MLFLOW_TRACKING_PASSWORD")
    alerts: AlertSettings = AlertSettings()
    drift_pages: bool = Field(default=True, description="log a page by Evidently beside each version a drift led to")
    token: SecretStr | None = Field(
        default=None, description="a bearer token that the API asks clients for, and that commands show"
    )
    tokens: SecretStr | None = Field(
        default=None, description="`ROLE NAME TOKEN` of each caller of the API, several with `;` between"
    )
    tokens_file: Path | None = Field(default=None, description="a file of such lines")
    oidc: OidcSettings | None = None
    allow_anonymous: bool = Field(
        default=False, description="the API may ask nobody for a token beyond loopback: a proxy before it does"
    )
    crash_at: str | None = Field(
        default=None,
        pattern=r"^[a-z]+:(read|handled|published|committed)(:[1-9][0-9]*)?$",
        description="a test hook: `step:point[:nth]`, where the process of that step kills itself with kill -9",
    )

    @property
    def mlflow_url(self) -> str | None:
        """Where MLflow's server is, without a slash behind it; None for the embedded one."""
        return str(self.mlflow.url).rstrip("/") if self.mlflow else None

    @property
    def mlflow_login(self) -> tuple[str, str] | None:
        """Who asks MLflow's server, None where it asks nobody who they are."""
        if self.mlflow_user is None or self.mlflow_password is None:
            return None
        return self.mlflow_user, self.mlflow_password.get_secret_value()

    def without_servers(self) -> Self:
        """Return the same settings with every role on the embedded stack."""
        return self.model_copy(update=dict.fromkeys(("kafka", "redis", "sql", "mlflow")))


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
