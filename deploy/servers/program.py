"""What a machine has to offer before a server can run on it: its program and a port."""

import random
import shutil
import socket
from pathlib import Path

# Below what Linux gives to outgoing connections (32768 and up): while a server restarts, nobody takes its port, and a
# client that knocks on it never happens to connect to itself.
_PORTS = range(16384, 32768)
_chance = random.SystemRandom()  # the shared one may be seeded, by a test tool for one, and alike in two processes
_given: set[int] = set()


class MissingProgramError(Exception):
    """A program is not on this machine; the text names it and the Debian package that brings it."""

    def __init__(self, program: str, package: str) -> None:
        super().__init__(program, package)
        self.program = program
        self.package = package

    def __str__(self) -> str:
        return f"{self.program} is not installed; on Debian and Ubuntu: apt-get install {self.package}"


def find_program(name: str, package: str, *, other_name: str | None = None, folders: str | None = None) -> str:
    """Return the path of a program.

    Args:
        name: As it is called.
        package: The Debian package that brings it.
        other_name: As it is called elsewhere than on Debian.
        folders: A glob below ``/`` of folders outside the search path that may hold it; the last one is taken.

    Raises:
        MissingProgramError: It is nowhere.
    """
    if found := shutil.which(name) or shutil.which(other_name or name):
        return found
    outside = sorted(Path("/").glob(f"{folders}/{name}")) if folders else []
    if not outside:
        raise MissingProgramError(name, package)
    return str(outside[-1])


def free_port() -> int:
    """Return a port of loopback that nobody listens on, another one each time."""
    while True:
        port = _chance.choice(_PORTS)
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
