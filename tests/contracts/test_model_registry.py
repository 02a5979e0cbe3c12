"""What every model registry promises (homeostat.ports.ModelRegistry)."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

import pytest

from homeostat.adapters.memory import MemoryRegistry
from homeostat.errors import HomeostatError, ModelError
from homeostat.healing.tags import VOUCHED_TAG, vouched_tag
from homeostat.ports import Aliases, ModelPackage, ModelRegistry, OperatorDecision

PACKAGE = ModelPackage(
    files={"model.txt": b"tree\nv4\n", "profile.json": b'{"rows": 3}'},
    metrics={"log_loss": 0.5, "auc": 0.75},
    params={"trees": "200"},
    tags={"seed": "7", "cause": "drift in 'weight'"},
)
NOW = datetime(2030, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
OTHER = ModelPackage(files={"model.txt": b"another"})


@pytest.fixture(scope="module")
def uris(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Where MLflow is: in an SQLite file of this module, or at a server with its database."""
    root: Path = tmp_path_factory.mktemp("mlflow")
    sqlite = f"sqlite:///{root / 'mlflow.db'}"
    return lambda kind: sqlite if kind == "sqlite" else request.getfixturevalue("mlflow_login").url


@pytest.fixture(params=["memory", "sqlite", "server"])
def registry(request: pytest.FixtureRequest, uris: Callable[[str], str], tmp_path: Path) -> ModelRegistry:
    if request.param == "memory":
        return MemoryRegistry()
    from homeostat.adapters.mlflow_registry import MlflowRegistry  # noqa: PLC0415 - takes seconds

    return MlflowRegistry(uris(request.param), tmp_path / "artifacts", f"product_{token_hex(6)}")


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


def test_the_challengers_share_is_read_with_the_aliases_and_is_no_other_versions(registry: ModelRegistry) -> None:
    first, second = registry.register(PACKAGE, "r1"), registry.register(OTHER, "r2")
    registry.set_alias("challenger", first, 0.05)
    registry.set_alias("challenger", first, 0.25)
    assert registry.aliases() == Aliases(challenger=first, share=0.25)
    registry.set_alias("champion", first)
    registry.set_alias("challenger", second)
    assert registry.aliases() == Aliases(champion=first, challenger=second)
    registry.set_alias("challenger", None)
    assert registry.aliases() == Aliases(champion=first)


def test_whom_the_loop_vouches_for_is_read_with_the_aliases(registry: ModelRegistry) -> None:
    version = registry.register(PACKAGE, "r1")
    registry.set_alias("champion", version)
    assert registry.aliases().vouched is None
    registry.tag(None, vouched_tag(Aliases("7", previous=version, since=NOW)))
    assert registry.aliases() == Aliases(version)
    assert registry.aliases().vouched == Aliases("7", None, version, since=NOW)
    registry.tag(None, {VOUCHED_TAG: "whoever you like"})
    assert registry.aliases().vouched is None


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


def test_a_description_takes_the_place_of_an_older_one_and_the_package_stays(registry: ModelRegistry) -> None:
    version = registry.register(PACKAGE, "r1")
    for text in ("**first** look", "second look, «later»"):
        registry.describe(version, text, {"card.html": f"<h1>{text}</h1>"})
    registry.describe(version, None, {"drift.html": "a page beside the text that is there"})
    assert registry.load(version) == PACKAGE
    with pytest.raises(ModelError):
        registry.describe("7", "nobody", {})


APPROVE = OperatorDecision("1", "approve", "ann", "looks fine")


def test_no_decision_is_open_at_first(registry: ModelRegistry) -> None:
    assert registry.decisions() == []
    assert registry.answered(None) is None
    assert registry.answered(registry.register(PACKAGE, "r1")) is None


def test_a_decision_is_open_until_it_is_answered(registry: ModelRegistry) -> None:
    registry.register(PACKAGE, "r1")
    registry.decide(APPROVE)
    assert registry.decisions() == [APPROVE]
    assert registry.answered("1") is None
    registry.answer(APPROVE, "done: promoted")
    assert registry.decisions() == []
    assert registry.answered("1") == "done: promoted"
    assert registry.load("1").tags == {**PACKAGE.tags, "homeostat.decision_answer": "done: promoted"}


def test_a_decision_may_stand_on_the_model_itself(registry: ModelRegistry) -> None:
    asked = OperatorDecision(None, "retrain", reason="a new market")
    registry.decide(asked)
    assert registry.decisions() == [asked]
    registry.answer(asked, "refused: the budget is spent")
    assert registry.decisions() == []
    assert registry.answered(None) == "refused: the budget is spent"


def test_decisions_come_by_version_and_the_models_own_first(registry: ModelRegistry) -> None:
    for i in range(11):
        registry.register(OTHER, f"r{i}")
    wanted = [OperatorDecision(version, "hold", "ann") for version in (None, "2", "10")]
    for decision in reversed(wanted):
        registry.decide(decision)
    assert registry.decisions() == wanted


def test_a_later_decision_takes_the_place_of_an_earlier_one_and_of_its_answer(registry: ModelRegistry) -> None:
    registry.register(PACKAGE, "r1")
    registry.decide(APPROVE)
    registry.answer(APPROVE, "refused: no canary")
    registry.decide(APPROVE)
    registry.decide(OperatorDecision("1", "reject"))
    assert registry.decisions() == [OperatorDecision("1", "reject")]
    assert registry.answered("1") is None


def test_an_answer_to_a_decision_that_is_another_one_by_now_is_left(registry: ModelRegistry) -> None:
    registry.register(PACKAGE, "r1")
    registry.answer(APPROVE, "done: nobody asked")
    assert registry.answered("1") is None
    registry.decide(OperatorDecision("1", "reject", "bob"))
    registry.answer(APPROVE, "done: promoted")
    assert registry.decisions() == [OperatorDecision("1", "reject", "bob")]


def test_a_version_that_is_not_there_can_not_be_decided_on(registry: ModelRegistry) -> None:
    with pytest.raises(ModelError):
        registry.decide(OperatorDecision("7", "approve"))
    assert registry.decisions() == []


def test_a_tag_set_by_itself_is_a_decision_whatever_it_says(registry: ModelRegistry) -> None:
    version = registry.register(PACKAGE, "r1")
    registry.tag(version, {"homeostat.decision": " Yes please"})
    assert registry.decisions() == [OperatorDecision(version, " Yes please")]
    registry.tag(version, {"homeostat.decision": ""})
    assert registry.decisions() == [OperatorDecision(version, "")]


@pytest.mark.parametrize("kind", ["sqlite", "server"])
def test_what_a_person_does_in_mlflow_is_seen_at_the_next_look(
    uris: Callable[[str], str], tmp_path: Path, kind: str
) -> None:
    from mlflow import MlflowClient  # noqa: PLC0415 - takes seconds

    from homeostat.adapters.mlflow_registry import MlflowRegistry  # noqa: PLC0415

    uri, product = uris(kind), f"product_{token_hex(6)}"
    registry = MlflowRegistry(uri, tmp_path / "artifacts", product)
    other = MlflowRegistry(uri, tmp_path / "artifacts", f"{product}_2")
    version = registry.register(PACKAGE, "r1")
    other.register(PACKAGE, "r1")
    assert registry.decisions() == other.decisions() == []
    page = MlflowClient(tracking_uri=uri, registry_uri=uri)  # what the UI's server does for it
    page.set_model_version_tag(product, version, "homeostat.decision", "approve")
    page.set_model_version_tag(product, version, "homeostat.decision_by", "ann")
    assert registry.decisions() == [OperatorDecision(version, "approve", "ann")]
    assert other.decisions() == []
    page.set_registered_model_tag(product, "homeostat.decision", "retrain")
    assert registry.decisions()[0] == OperatorDecision(None, "retrain")
    page.delete_model_version_tag(product, version, "homeostat.decision")
    page.set_registered_model_alias(product, "champion", version)
    assert registry.decisions() == [OperatorDecision(None, "retrain")]
    assert registry.aliases() == Aliases(champion=version)
    registry.answer(OperatorDecision(None, "retrain"), "done: a case was opened")
    assert page.get_registered_model(product).tags == {"homeostat.decision_answer": "done: a case was opened"}
    page.set_model_version_tag(product, version, "homeostat.decision", "hold")
    page.delete_model_version(product, version)
    registry.answer(OperatorDecision(version, "hold"), "too late")
    assert registry.decisions() == []
