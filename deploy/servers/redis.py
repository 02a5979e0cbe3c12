"""Redis with a password, every write on disk before it is acknowledged."""

import secrets
from pathlib import Path

from redis import Redis as Client
from redis.exceptions import RedisError

from deploy.servers.program import find_program
from deploy.servers.server import Server


class Redis(Server):
    """A Redis server whose append-only file is flushed to disk at every write: a kill -9 loses nothing."""

    name = "redis"

    def __init__(self, folder: Path, port: int | None = None) -> None:
        super().__init__(folder, port)
        self.password = secrets.token_urlsafe(24)

    @property
    def url(self) -> str:
        """Where clients connect, with the password."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def find(self) -> None:
        """Look for Redis."""
        find_program("redis-server", "redis-server")

    def prepare(self) -> None:
        """Write the configuration: on the command line everybody could read the password."""
        config = self.folder / "redis.conf"
        config.touch(mode=0o600)
        lines = {
            "bind": "127.0.0.1",
            "port": self.port,
            "dir": self.folder,
            "requirepass": self.password,
            "appendonly": "yes",
            "appendfsync": "always",
            "save": '""',  # the append-only file holds everything
        }
        config.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))

    def command(self) -> list[str]:
        """Return the command line of the server."""
        return [find_program("redis-server", "redis-server"), str(self.folder / "redis.conf")]

    def is_ready(self) -> bool:
        """Return whether it answers and has read its data."""
        try:
            with Client.from_url(self.url, socket_timeout=2, retry=None) as client:
                return bool(client.ping())
        except RedisError:
            return False
