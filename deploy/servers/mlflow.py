"""MLflow's server with basic auth, runs and registry in PostgreSQL, files in its data folder."""

import secrets
import sys
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

import httpx

from deploy.servers.postgres import Postgres
from deploy.servers.server import Server

_PROCESS = Path(__file__).with_name("mlflow_process.py")
_WHO = Path(__file__).parents[1] / "mlflow"  # the folder of who.py
_CONFIG = """[mlflow]
default_permission = NO_PERMISSIONS
database_uri = {users}
authorization_function = who:authenticate
auth_cache_ttl_seconds = 60
"""


def _fernet_key() -> str:
    return urlsafe_b64encode(secrets.token_bytes(32)).decode()


class Mlflow(Server):
    """An MLflow server with one user, its administrator.

    Args:
        folder: Of the files of runs and versions.
        postgres: Holds everything else; it has to run when this server starts.
        port: Where it listens.
        database: Of runs and versions; the users are in another one beside it.
    """

    name = "mlflow"

    def __init__(self, folder: Path, postgres: Postgres, port: int | None = None, *, database: str = "mlflow") -> None:
        super().__init__(folder, port)
        self.username = "homeostat"
        self._postgres = postgres
        self._database = database
        self._password_file = self.folder / "password"
        self._webhook_key_file = self.folder / "webhook_key"

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def password(self) -> str:
        """Of the user; drawn when the data folder was made."""
        return self._password_file.read_text()

    def find(self) -> None:
        """Need nothing: MLflow is a Python package of ours."""

    def prepare(self) -> None:
        """Make the databases and draw the password and the key of webhooks' secrets, once."""
        drawn = {self._password_file: secrets.token_urlsafe(24), self._webhook_key_file: _fernet_key()}
        for file, secret in drawn.items():
            if not file.exists():
                file.touch(mode=0o600)
                file.write_text(secret)
        config = self.folder / "basic_auth.ini"
        config.touch(mode=0o600)
        config.write_text(
            _CONFIG.format(users=self._postgres.make_database(f"{self._database}_users").replace("%", "%%"))
        )
        self._postgres.make_database(self._database)

    def environment(self) -> Mapping[str, str]:
        """Return where MLflow keeps what, and its secrets: a command line can be read by everybody."""
        return {
            "_MLFLOW_SERVER_FILE_STORE": self._postgres.url(self._database),
            "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": (self.folder / "artifacts").as_uri(),
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
            "_MLFLOW_SGI_NAME": "uvicorn",
            "PYTHONPATH": str(_WHO),
            "HOMEOSTAT_SPEAKS_FOR_OTHERS": self.username,
            "MLFLOW_AUTH_CONFIG_PATH": str(self.folder / "basic_auth.ini"),
            "MLFLOW_AUTH_ADMIN_USERNAME": self.username,
            "MLFLOW_AUTH_ADMIN_PASSWORD": self.password,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(32),
            "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": self._webhook_key_file.read_text(),
            "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
            "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",  # all of us are on loopback
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }

    def command(self) -> list[str]:
        """Return the command line of the server."""
        # -P: in the folder of that file, `redis` and `kafka` would be ours
        return [sys.executable, "-P", str(_PROCESS), str(self.port)]

    def is_ready(self) -> bool:
        """Return whether it answers."""
        try:
            return httpx.get(f"{self.url}/health", timeout=5).is_success
        except httpx.HTTPError:
            return False
