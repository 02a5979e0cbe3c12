"""Starts each real server when a test first asks for it, once for all workers of a test run, and ends them all."""

import secrets
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from threading import Lock, Thread
from typing import Any, Literal

from deploy.servers import (
    Alertmanager,
    Kafka,
    MissingProgramError,
    Mlflow,
    Postgres,
    Prometheus,
    Redis,
    Server,
    ServerError,
)
from tests.servers.containers import (
    ContainedKafka,
    ContainedPostgres,
    ContainedPrometheus,
    ContainedRedis,
    docker_answers,
)


def make_server(name: str, folder: Path, shared: Callable[[str], Server], **options: Any) -> Server:
    """A server with these options, not started: in a container where a Docker engine answers, else native."""
    contained = docker_answers()
    makers: dict[str, Callable[[], Server]] = {
        "kafka": lambda: (ContainedKafka if contained else Kafka)(folder, secured=True, **options),
        "redis": lambda: (ContainedRedis if contained else Redis)(folder, **options),
        "postgres": lambda: (ContainedPostgres if contained else Postgres)(folder, **options),
        "mlflow": lambda: Mlflow(folder, shared("postgres"), database=f"mlflow_{secrets.token_hex(4)}", **options),
        "prometheus": lambda: (ContainedPrometheus if contained else Prometheus)(folder, **options),
        "alertmanager": lambda: Alertmanager(folder, **options),
    }
    return makers[name]()


def described(server: Server) -> str:
    """What a run says of a server that it used."""
    return f"{server.name} {'in a container' if type(server).__name__.startswith('Contained') else 'native'}"


class Keeper:
    """The servers that all tests of a run share, in a folder that goes with them."""

    def __init__(self) -> None:
        self.used: dict[str, None] = {}
        self._running = ExitStack()
        self._shared: dict[str, Server] = {}
        names = ("kafka", "redis", "postgres", "mlflow", "prometheus")
        self._locks = {name: Lock() for name in names}

    @cached_property
    def folder(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="homeostat-servers-"))
        folder.chmod(0o755)  # PostgreSQL runs as another user
        self._running.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def shared(self, name: str) -> Server:
        with self._locks[name]:
            if name not in self._shared:
                made = make_server(name, self.folder / name, self.shared)
                self._shared[name] = self._running.enter_context(made)
                self.note(described(made))
            return self._shared[name]

    def note(self, used: str) -> None:
        """Remember a server that was used, to be told at the end."""
        self.used[used] = None

    def at_end(self, end: Callable[[], None]) -> None:
        self._running.callback(end)

    def close(self) -> None:
        self._running.close()


@dataclass(frozen=True)
class Line:
    """Where a worker asks the process that leads the run for its servers."""

    address: str
    key: bytes

    def shared(self, name: str) -> Server:
        return self._asked("shared", name)

    def note(self, used: str) -> None:
        self._asked("note", used)

    def _asked(self, what: Literal["shared", "note"], of: str) -> Any:
        with Client(self.address, authkey=self.key) as connection:
            connection.send((what, of))
            answer = connection.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


def open_line(keeper: Keeper) -> Line:
    """Answer workers from now on; what they get knows where a server is and can't end it."""
    line = Line(str(keeper.folder / "line"), secrets.token_bytes(32))
    listener = Listener(line.address, authkey=line.key)
    keeper.at_end(listener.close)

    def answer(connection: Connection) -> None:
        with connection:
            try:
                what, of = connection.recv()
                connection.send(getattr(keeper, what)(of))
            except (MissingProgramError, ServerError) as error:
                connection.send(error)

    def listen() -> None:
        while True:
            Thread(target=answer, args=(listener.accept(),), daemon=True).start()

    Thread(target=listen, daemon=True).start()
    return line
