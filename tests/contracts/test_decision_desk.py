"""What MLflow's REST API takes, the registry sees: at the server of `homeostat up`, and at MLflow's own with users."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from time import monotonic, sleep

import pytest

from deploy.servers import free_port
from homeostat.adapters.mlflow_page import MlflowPage
from homeostat.errors import ModelError, TransientError
from homeostat.ports import Aliases, ModelPackage, ModelRegistry, OperatorDecision

START_S = 240  # MLflow takes seconds to import, on a busy machine many

SERVE = """
import sys, uvicorn
from mlflow.server.fastapi_app import app
from mlflow.server.handlers import initialize_backend_stores
initialize_backend_stores()
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
"""


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address and the file of a server of `homeostat up`'s kind."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
    port = free_port()
    stores = {"_MLFLOW_SERVER_FILE_STORE": uri, "_MLFLOW_SERVER_REGISTRY_STORE": uri}
    opened(uri, "first")  # makes the file
    server = subprocess.Popen([sys.executable, "-c", SERVE, str(port)], env={**os.environ, **stores})
    try:
        page = MlflowPage(f"http://127.0.0.1:{port}", "first")
        deadline = monotonic() + START_S
        while not page.is_there():
            assert server.poll() is None
            assert monotonic() < deadline
            sleep(0.1)
        yield f"http://127.0.0.1:{port}", uri
    finally:
        server.terminate()
        server.wait(60)


def opened(uri: str, product: str) -> ModelRegistry:
    from homeostat.adapters.mlflow_registry import MlflowRegistry  # noqa: PLC0415 - takes seconds

    made = MlflowRegistry(uri, Path(uri.removeprefix("sqlite:///")).parent / "artifacts", product)
    made.register(ModelPackage({"model.txt": b"tree"}), "first")
    return made


@dataclass(frozen=True)
class Desk:
    """One product at a server: as operators reach it, and as the registry sees it."""

    url: str
    login: tuple[str, str] | None
    product: str
    registry: ModelRegistry

    @property
    def page(self) -> MlflowPage:
        return MlflowPage(self.url, self.product, self.login)


@pytest.fixture(scope="module", params=["embedded", "server"])
def desk(request: pytest.FixtureRequest) -> Desk:
    product = f"toys_{token_hex(6)}"
    if request.param == "embedded":
        url, uri = request.getfixturevalue("embedded")
        return Desk(url, None, product, opened(uri, product))
    server = request.getfixturevalue("mlflow_login")
    return Desk(server.url, (server.username, server.password), product, opened(server.url, product))


@pytest.fixture
def page(desk: Desk) -> MlflowPage:
    return desk.page


@pytest.fixture
def registry(desk: Desk) -> ModelRegistry:
    return desk.registry


@pytest.mark.parametrize("version", ["1", None])
def test_a_decision_handed_in_is_seen_by_the_registry_and_its_answer_comes_back(
    page: MlflowPage, registry: ModelRegistry, version: str | None
) -> None:
    decision = OperatorDecision(version, "hold", "ann", "wait for «Monday»")
    for _ in range(2):
        page.decide(decision)
        assert registry.decisions() == [decision]
        assert page.answered(version) is None
        registry.answer(decision, "done: held")
        assert page.answered(version) == registry.answered(version) == "done: held"


def test_a_version_that_is_not_there_can_not_be_decided_on(page: MlflowPage, registry: ModelRegistry) -> None:
    with pytest.raises(ModelError):
        page.decide(OperatorDecision("7", "approve"))
    assert registry.decisions() == []


def test_who_serves_is_told_alike_by_both(page: MlflowPage, registry: ModelRegistry) -> None:
    registry.set_alias("champion", "1")
    assert page.aliases() == registry.aliases() == Aliases(champion="1")
    registry.set_alias("champion", None)
    assert page.aliases() == registry.aliases() == Aliases()


def test_a_server_that_knows_another_product_or_is_not_there_is_not_it(desk: Desk) -> None:
    assert desk.page.is_there()
    assert not MlflowPage(desk.url, "others", desk.login).is_there()
    nobody = MlflowPage(f"http://127.0.0.1:{free_port()}", desk.product)
    assert not nobody.is_there()
    with pytest.raises(TransientError):
        nobody.answered(None)
