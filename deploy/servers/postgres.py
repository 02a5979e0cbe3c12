"""PostgreSQL with a database for each who asks."""

import os
import secrets
import shutil
import signal
from pathlib import Path

import psycopg
from psycopg import sql

from deploy.servers.program import find_program
from deploy.servers.server import Server, ServerError, run

_PACKAGE = "postgresql"
_FOLDERS = "usr/lib/postgresql/*/bin"  # Debian keeps the server's programs off the search path
_OWNER = "postgres"
_USER = "homeostat"


class Postgres(Server):
    """A PostgreSQL server with one user, who may do everything; started by root, it runs as the user ``postgres``."""

    name = "postgres"
    stop_signal = signal.SIGINT  # SIGTERM waits for every client to leave

    def __init__(self, folder: Path, port: int | None = None) -> None:
        super().__init__(folder, port)
        self.user = _OWNER if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
        self._data = self.folder / "data"
        self._password_file = self.folder / "password"

    @property
    def password(self) -> str:
        """Of the user; drawn when the data folder was made."""
        return self._password_file.read_text()

    def url(self, database: str = _USER) -> str:
        """Return where SQLAlchemy connects to a database, with user and password."""
        return f"postgresql+psycopg://{_USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def make_database(self, name: str) -> str:
        """Make a database where it is missing and return its URL."""
        with self._connect() as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def draw_password(self) -> None:
        """Write a new password."""
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_urlsafe(24))

    def find(self) -> None:
        """Look for the server's programs."""
        for program in ("postgres", "initdb"):
            find_program(program, _PACKAGE, folders=_FOLDERS)

    def prepare(self) -> None:
        """Make the database cluster once."""
        if (self._data / "PG_VERSION").exists():
            return
        shutil.rmtree(self._data, ignore_errors=True)  # what a start left that was interrupted here
        fresh = self.folder / "fresh"
        shutil.rmtree(fresh, ignore_errors=True)
        self.draw_password()
        if self.user is not None:
            for path in (self.folder, self._password_file):
                shutil.chown(path, self.user, self.user)
            self._check_way()
        initdb = [find_program("initdb", _PACKAGE, folders=_FOLDERS), "-D", str(fresh), "-U", _USER, "-E", "UTF8"]
        how = ["--locale=C.UTF-8", "--auth=scram-sha-256", f"--pwfile={self._password_file}"]
        run([*initdb, *how], user=self.user)
        fresh.rename(self._data)

    def command(self) -> list[str]:
        """Return the command line of the server; it listens on loopback alone."""
        postgres = find_program("postgres", _PACKAGE, folders=_FOLDERS)
        places = ["-h", "127.0.0.1", "-p", str(self.port), "-k", ""]
        return [postgres, "-D", str(self._data), *places, "-c", "max_connections=200"]

    def is_ready(self) -> bool:
        """Return whether it takes connections; makes the first database."""
        try:
            self.make_database(_USER)
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=_USER,
            password=self.password,
            dbname="postgres",
            autocommit=True,
            connect_timeout=5,
        )

    def _check_way(self) -> None:
        """Refuse a folder below one that the server's user may not enter."""
        try:
            run([find_program("test", "coreutils"), "-w", str(self.folder)], user=self.user)
        except ServerError as error:
            cause = (
                f"root can't run PostgreSQL, and the user {self.user} can't enter {self.folder}: take another folder"
            )
            raise ServerError(cause) from error
