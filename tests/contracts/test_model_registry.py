"""What every model registry promises (homeostat.ports.ModelRegistry)."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from homeostat.adapters.memory import MemoryRegistry
from homeostat.errors import HomeostatError, ModelError
from homeostat.ports import Aliases, ModelPackage, ModelRegistry

PACKAGE = ModelPackage(
    files={"model.txt": b"tree\nv4\n", "profile.json": b'{"rows": 3}'},
    metrics={"log_loss": 0.5, "auc": 0.75},
    params={"trees": "200"},
    tags={"seed": "7", "cause": "drift in 'weight'"},
)
OTHER = ModelPackage(files={"model.txt": b"another"})


@pytest.fixture(scope="module")
def mlflow_registries(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], ModelRegistry]:
    from homeostat.adapters.mlflow_registry import MlflowRegistry  # noqa: PLC0415 - takes seconds

    root: Path = tmp_path_factory.mktemp("mlflow")
    products = count()
    return lambda: MlflowRegistry(f"sqlite:///{root / 'mlflow.db'}", root / "artifacts", f"product{next(products)}")


@pytest.fixture(params=["memory", "mlflow"])
def registry(request: pytest.FixtureRequest) -> ModelRegistry:
    return MemoryRegistry() if request.param == "memory" else request.getfixturevalue("mlflow_registries")()


def test_a_package_comes_back_as_it_was_registered(registry: ModelRegistry) -> None:
    assert registry.load(registry.register(PACKAGE, "r1")) == PACKAGE


def test_a_second_request_gets_another_version(registry: ModelRegistry) -> None:
    first, second = registry.register(PACKAGE, "r1"), registry.register(OTHER, "r2")
    assert first != second
    assert registry.load(first).files == PACKAGE.files
    assert registry.load(second).files == OTHER.files


def test_a_request_registered_again_gets_its_version_and_stores_nothing(registry: ModelRegistry) -> None:
    version = registry.register(PACKAGE, "r1")
    assert registry.register(OTHER, "r1") == version
    assert registry.load(version) == PACKAGE
    with pytest.raises(ModelError):
        registry.load(str(int(version) + 1))


@pytest.mark.parametrize("version", ["1", "99", "none"])
def test_a_version_that_is_not_there_is_a_model_error(registry: ModelRegistry, version: str) -> None:
    with pytest.raises(ModelError):
        registry.load(version)


def test_no_alias_is_set_at_first(registry: ModelRegistry) -> None:
    assert registry.aliases() == Aliases()


def test_an_alias_points_to_the_version_set_last(registry: ModelRegistry) -> None:
    first, second = registry.register(PACKAGE, "r1"), registry.register(OTHER, "r2")
    registry.set_alias("champion", first)
    assert registry.aliases() == Aliases(champion=first)
    registry.set_alias("champion", second)
    registry.set_alias("previous", first)
    assert registry.aliases() == Aliases(champion=second, previous=first)


def test_an_alias_can_be_cleared_also_twice(registry: ModelRegistry) -> None:
    version = registry.register(PACKAGE, "r1")
    registry.set_alias("challenger", version)
    for _ in range(2):
        registry.set_alias("challenger", None)
        assert registry.aliases() == Aliases()


def test_an_alias_can_not_point_to_a_version_that_is_not_there(registry: ModelRegistry) -> None:
    with pytest.raises(ModelError):
        registry.set_alias("champion", "7")
    assert registry.aliases() == Aliases()


def test_an_unknown_alias_is_refused(registry: ModelRegistry) -> None:
    with pytest.raises(HomeostatError, match="expected champion, challenger or previous"):
        registry.set_alias("winner", registry.register(PACKAGE, "r1"))


def test_tags_are_added_and_replaced_and_the_rest_stays(registry: ModelRegistry) -> None:
    version = registry.register(PACKAGE, "r1")
    registry.load(version)
    registry.tag(version, {"approved_by": "a person", "seed": "8"})
    loaded = registry.load(version)
    assert loaded.tags == {**PACKAGE.tags, "approved_by": "a person", "seed": "8"}
    assert loaded.files == PACKAGE.files


def test_a_version_that_is_not_there_can_not_be_tagged(registry: ModelRegistry) -> None:
    with pytest.raises(ModelError):
        registry.tag("7", {"a": "b"})
