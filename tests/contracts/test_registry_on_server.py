"""The model registry over HTTP: a server that restarts, and one that doesn't know us."""

from collections.abc import Callable
from pathlib import Path
from secrets import token_hex

import pytest

from deploy.servers import Mlflow, free_port
from homeostat.errors import HomeostatError, TransientError
from homeostat.ports import Aliases, ModelPackage, ModelRegistry, OperatorDecision

PACKAGE = ModelPackage({"model.txt": b"tree"}, {"auc": 0.7}, {"trees": "9"}, {"seed": "1"})
OTHER = ModelPackage({"model.txt": b"another"})


def opened(server: Mlflow, folder: Path, product: str) -> ModelRegistry:
    from homeostat.adapters.mlflow_registry import MlflowRegistry  # noqa: PLC0415 - takes seconds

    return MlflowRegistry(server.url, folder, product)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("away", ["mlflow", "its database"])
def test_a_restart_in_the_middle_asks_for_patience_and_all_goes_on(
    own_server: Callable[[str], Mlflow], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, away: str
) -> None:
    database = own_server("postgres")
    server = own_server("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", server.username)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", server.password)
    registry = opened(server, tmp_path, "parcels")
    version = registry.register(PACKAGE, "r1")
    registry.set_alias("champion", version)
    gone = server if away == "mlflow" else database
    gone.kill()
    for use in (
        registry.aliases,
        registry.decisions,
        lambda: registry.load(version),
        lambda: registry.register(OTHER, "r2"),
        lambda: registry.set_alias("challenger", version),
        lambda: registry.tag(version, {"a": "b"}),
        lambda: registry.describe(version, "text", {"card.html": "page"}),
        lambda: registry.decide(OperatorDecision(version, "hold")),
        lambda: registry.answered(version),
        lambda: opened(server, tmp_path, "parcels"),
    ):
        with pytest.raises(TransientError, match="doesn't answer"):
            use()
    gone.start()
    assert registry.aliases() == Aliases(champion=version)
    assert registry.load(version) == PACKAGE
    assert registry.register(PACKAGE, "r1") == version
    assert registry.load(registry.register(OTHER, "r2")) == OTHER
    assert registry.decisions() == []


def test_a_refused_user_names_the_variables(
    mlflow_server: Mlflow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for password in ("guessed", ""):
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", mlflow_server.username)
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)
        with pytest.raises(HomeostatError, match="MLFLOW_TRACKING_PASSWORD") as refused:
            opened(mlflow_server, tmp_path, f"product_{token_hex(6)}")
        assert not isinstance(refused.value, TransientError)


def test_a_port_that_nobody_listens_on_may_heal(tmp_path: Path) -> None:
    from homeostat.adapters.mlflow_registry import MlflowRegistry  # noqa: PLC0415 - takes seconds

    with pytest.raises(TransientError):
        MlflowRegistry(f"http://127.0.0.1:{free_port()}", tmp_path, "parcels")
