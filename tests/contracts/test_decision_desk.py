"""What MLflow's REST API takes, the registry sees: over a real server of `homeostat up`'s kind."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

from homeostat.adapters.mlflow_page import MlflowPage
from homeostat.errors import ModelError, TransientError
from homeostat.ports import ModelPackage, ModelRegistry, OperatorDecision

START_S = 120  # MLflow takes seconds to import, on a busy machine many

SERVE = """
import sys, uvicorn
from mlflow.server.fastapi_app import app
from mlflow.server.handlers import initialize_backend_stores
initialize_backend_stores()
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
"""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture(scope="module")
def registry(uri: str) -> ModelRegistry:
    from homeostat.adapters.mlflow_registry import MlflowRegistry  # noqa: PLC0415 - takes seconds

    made = MlflowRegistry(uri, Path(uri.removeprefix("sqlite:///")).parent / "artifacts", "toys")
    made.register(ModelPackage({"model.txt": b"tree"}), "first")
    return made


@pytest.fixture(scope="module")
def url(uri: str, registry: ModelRegistry) -> Iterator[str]:
    port = free_port()
    stores = {"_MLFLOW_SERVER_FILE_STORE": uri, "_MLFLOW_SERVER_REGISTRY_STORE": uri}
    server = subprocess.Popen([sys.executable, "-c", SERVE, str(port)], env={**os.environ, **stores})
    try:
        page = MlflowPage(f"http://127.0.0.1:{port}", "toys")
        deadline = monotonic() + START_S
        while not page.is_there():
            assert server.poll() is None
            assert monotonic() < deadline
            sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture
def page(url: str) -> MlflowPage:
    return MlflowPage(url, "toys")


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


def test_a_server_that_knows_another_product_or_is_not_there_is_not_it(url: str) -> None:
    assert MlflowPage(url, "toys").is_there()
    assert not MlflowPage(url, "others").is_there()
    nobody = MlflowPage(f"http://127.0.0.1:{free_port()}", "toys")
    assert not nobody.is_there()
    with pytest.raises(TransientError):
        nobody.answered(None)
