import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.telemetry import get_telemetry_client

from homeostat.adapters.mlflow_registry import MlflowRegistry
from homeostat.ports import Aliases, ModelPackage

PACKAGE = ModelPackage(files={"model.txt": b"tree"}, metrics={"auc": 0.7}, params={"trees": "9"}, tags={"seed": "1"})


class CrashError(BaseException):
    """Stands for a kill -9."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture
def product(request: pytest.FixtureRequest) -> str:
    return request.node.name


def opened(root: Path, product: str) -> MlflowRegistry:
    return MlflowRegistry(uri(root), root / "artifacts", product)


def uri(root: Path) -> str:
    return f"sqlite:///{root / 'mlflow.db'}"


@pytest.mark.parametrize("crash_in", ["log_batch", "log_artifacts", "set_terminated", "create_model_version"])
def test_a_crash_while_registering_leaves_one_run_and_one_version_in_the_end(
    root: Path, product: str, crash_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = product.translate(str.maketrans("[]", "__"))

    def crash(*_args: object, **_kwargs: object) -> None:
        raise CrashError

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, crash_in, crash)
        with pytest.raises(CrashError):
            opened(root, product).register(PACKAGE, "r1")
    registry = opened(root, product)
    version = registry.register(PACKAGE, "r1")
    assert registry.load(version) == PACKAGE
    client = MlflowClient(uri(root))
    experiment = client.get_experiment_by_name(f"homeostat/{product}")
    assert len(client.search_runs([experiment.experiment_id])) == 1
    assert [found.version for found in client.search_model_versions(f"name = '{product}'")] == [int(version)]


def test_an_alias_set_in_the_user_interface_is_seen_at_the_next_look(root: Path, product: str) -> None:
    registry = opened(root, product)
    first, second = registry.register(PACKAGE, "r1"), registry.register(PACKAGE, "r2")
    registry.set_alias("champion", first)
    assert registry.aliases() == registry.aliases() == Aliases(champion=first)
    person = MlflowClient(uri(root))
    person.set_registered_model_alias(product, "champion", second)
    assert registry.aliases() == Aliases(champion=second)
    person.delete_registered_model_alias(product, "champion")
    assert registry.aliases() == Aliases()


def test_aliases_are_not_asked_for_again_while_nobody_writes(
    root: Path, product: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = opened(root, product)
    before = registry.aliases()
    monkeypatch.setattr(MlflowClient, "get_registered_model", None)
    assert registry.aliases() == before


def test_a_registry_opened_again_has_its_versions(root: Path, product: str) -> None:
    version = opened(root, product).register(PACKAGE, "r1")
    assert opened(root, product).load(version) == PACKAGE


def test_products_do_not_share_versions(root: Path, product: str) -> None:
    opened(root, product).register(PACKAGE, "r1")
    other = opened(root, f"{product}_2")
    assert other.register(ModelPackage(files={"model.txt": b"other"}), "r1") == "1"
    assert other.load("1").files == {"model.txt": b"other"}


def test_a_version_is_a_run_with_its_metrics_and_files_for_the_user_interface(root: Path, product: str) -> None:
    version = opened(root, product).register(PACKAGE, "r1")
    client = MlflowClient(uri(root))
    run = client.get_run(client.get_model_version(product, version).run_id)
    assert run.data.metrics == {"auc": 0.7}
    assert run.data.params == {"trees": "9"}
    assert [item.path for item in client.list_artifacts(run.info.run_id, "model")] == ["model/model.txt"]
    assert run.info.status == "FINISHED"


def test_more_params_than_mlflow_takes_at_once_are_stored(root: Path, product: str) -> None:
    registry = opened(root, product)
    params = {f"p{i}": str(i) for i in range(250)}
    assert registry.load(registry.register(ModelPackage(files={"m": b""}, params=params), "r1")).params == params


def test_mlflow_tells_nobody_what_is_registered() -> None:
    assert get_telemetry_client() is None


def test_nothing_is_printed(root: Path, product: str, capfd: pytest.CaptureFixture[str]) -> None:
    registry = opened(root, product)
    registry.load(registry.register(PACKAGE, "r1"))
    registry.set_alias("champion", "1")
    assert capfd.readouterr() == ("", "")


def test_a_process_that_opens_it_is_told_of_no_warning_of_mlflow_s(tmp_path: Path) -> None:
    code = (
        "import sys, warnings; from pathlib import Path\n"
        "from homeostat.adapters.mlflow_registry import MlflowRegistry\n"
        "warnings.simplefilter('always', DeprecationWarning)\n"
        "MlflowRegistry('sqlite:///' + sys.argv[1] + '/mlflow.db', Path(sys.argv[1]), 'demo')"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "SADeprecationWarning" not in done.stderr
