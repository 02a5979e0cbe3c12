"""Real servers as fixtures: one of each a test run, started when a test first asks for it, whatever worker runs it."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import prometheus_client  # noqa: F401 - before Feast: that would turn it to files of Feast's own, for good
import pytest
from hypothesis import HealthCheck, settings

from deploy.servers import Kafka, MissingProgramError, Mlflow, Postgres, Prometheus, Redis, Server
from deploy.servers.program import find_program
from tests.servers.keeper import Keeper, Line, described, make_server, open_line

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")  # how long an example takes says more of the machine than of the code

_SHARED = pytest.StashKey[Keeper | Line]()


def pytest_configure(config: pytest.Config) -> None:
    asked = getattr(config, "workerinput", None)
    config.stash[_SHARED] = Line(*asked["servers"]) if asked else Keeper()


@pytest.hookimpl(trylast=True)  # what is not to run is gone by then
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what may take longest, or one worker ends with it long after the other; a file stays whole."""
    limits: dict[Path, float] = {}
    for item in items:
        mark = item.get_closest_marker("timeout")
        limit = float(mark.args[0] if mark else config.getini("timeout"))
        limits[item.path] = max(limit, limits.get(item.path, 0.0))
    items.sort(key=lambda item: (limits[item.path], item.path.parent.name == "real"), reverse=True)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a new worker of pytest-xdist where the servers are asked for."""
    line = node.config.stash.get(_LINE, None) or open_line(node.config.stash[_SHARED])
    node.config.stash[_LINE] = line
    node.workerinput["servers"] = (line.address, line.key)


_LINE = pytest.StashKey[Line]()


def pytest_unconfigure(config: pytest.Config) -> None:
    if isinstance(keeper := config.stash.get(_SHARED, None), Keeper):
        keeper.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if isinstance(keeper := config.stash[_SHARED], Keeper) and keeper.used:
        terminalreporter.write_line(f"servers: {', '.join(keeper.used)}")


def started(start: Callable[[], Any]) -> Any:
    """What was started; where its program is missing, a skip by name or, where servers are demanded, a failure."""
    try:
        return start()
    except MissingProgramError as error:
        if os.environ.get("HOMEOSTAT_REQUIRE_SERVERS") == "1":
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def shared_server(pytestconfig: pytest.Config) -> Callable[[str], Any]:
    """The one server of a name that all tests share: a test keeps to topics, databases and products of its own."""
    return lambda name: started(lambda: pytestconfig.stash[_SHARED].shared(name))


@pytest.fixture(scope="session")
def program() -> Callable[[str, str], str]:
    """The path of a program that a Debian package brings."""
    return lambda name, package: started(lambda: find_program(name, package))


@pytest.fixture(scope="session")
def kafka(shared_server: Callable[[str], Kafka]) -> Kafka:
    return shared_server("kafka")


@pytest.fixture(scope="session")
def redis_server(shared_server: Callable[[str], Redis]) -> Redis:
    return shared_server("redis")


@pytest.fixture(scope="session")
def postgres(shared_server: Callable[[str], Postgres]) -> Postgres:
    return shared_server("postgres")


@pytest.fixture(scope="session")
def mlflow_server(shared_server: Callable[[str], Mlflow]) -> Mlflow:
    return shared_server("mlflow")


@pytest.fixture(scope="session")
def prometheus(shared_server: Callable[[str], Prometheus]) -> Prometheus:
    return shared_server("prometheus")


@contextmanager
def own_servers(keeper: Keeper | Line) -> Iterator[Callable[..., Any]]:
    """Start servers by name and options, and end them."""
    made: dict[str, Server] = {}
    with (
        tempfile.TemporaryDirectory(prefix="homeostat-server-", ignore_cleanup_errors=True) as kept,
        ExitStack() as running,
    ):
        folder = Path(kept)
        folder.chmod(0o755)  # PostgreSQL runs as another user

        def start(name: str, options: dict[str, Any]) -> Server:
            # MLflow's database is the test's own if it has one
            server = make_server(name, folder / name, lambda other: made.get(other) or keeper.shared(other), **options)
            made[name] = running.enter_context(server)
            keeper.note(described(server))
            return server

        yield lambda name, **options: started(lambda: start(name, options))


@pytest.fixture
def own_server(pytestconfig: pytest.Config) -> Iterator[Callable[..., Any]]:
    """Start a server of a name for one test alone, which may stop, kill and restart it."""
    with own_servers(pytestconfig.stash[_SHARED]) as start:
        yield start


@pytest.fixture
def native_server(pytestconfig: pytest.Config) -> Iterator[Callable[[Server], Any]]:
    """Start a server that a test has made, on a disk of the test's own say; it is killed at the end."""
    with ExitStack() as ending:

        def start(server: Server) -> Server:
            server.start()
            ending.callback(server.kill)
            pytestconfig.stash[_SHARED].note(described(server))
            return server

        yield lambda server: started(lambda: start(server))


@pytest.fixture(scope="module")
def module_server(pytestconfig: pytest.Config) -> Iterator[Callable[..., Any]]:
    """Start a server of a name, with options that the tests of one module share."""
    with own_servers(pytestconfig.stash[_SHARED]) as start:
        yield start
