"""Who decided, on a real server that knows who asks: the name in the ledger is of whoever has logged in."""

from collections.abc import Callable, Iterator
from secrets import token_hex

import httpx
import pytest
from mlflow.server.auth.client import AuthServiceClient

from deploy.servers import Mlflow

from .operated import CONTRACT, House
from .running import until

FOLLOWS_S = 120
Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def house(mlflow_server: Mlflow, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    contract = CONTRACT.model_copy(update={"product": f"toys_{token_hex(4)}"})
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MLFLOW_TRACKING_USERNAME", mlflow_server.username)
        patched.setenv("MLFLOW_TRACKING_PASSWORD", mlflow_server.password)
        with House(mlflow_server.url, tmp_path_factory.mktemp("house"), contract) as house:
            house.first_champion()
            yield house


@pytest.fixture(scope="module")
def ask(mlflow_server: Mlflow, house: House) -> Ask:
    """Ask the server as somebody: ``ann`` may edit the model, ``mallory`` may not."""
    password, api = token_hex(12), f"{mlflow_server.url}/api/2.0/mlflow"
    names = {name: f"{name}_{token_hex(4)}" for name in ("ann", "mallory")}

    def one(who: str, what: str, body: dict[str, str], method: str = "POST") -> httpx.Response:
        login = (names[who], password) if who in names else (mlflow_server.username, mlflow_server.password)
        return httpx.request(method, f"{api}/{what}", json={"name": house.product, **body}, auth=login, timeout=60)

    admin = AuthServiceClient(mlflow_server.url)
    for name in names.values():
        admin.create_user(name, password)
    admin.grant_user_permission(
        names["ann"], "registered_model", house.product, "MANAGE"
    )  # to take an alias away is to delete
    return one


def decision(version: str, value: str) -> dict[str, str]:
    return {"version": version, "key": "homeostat.decision", "value": value}


def ended(house: House, kind: str) -> str:
    """Wait until the last change is of a kind, and return who made it."""
    until(lambda: house.last().kind == kind and not house.registry.decisions(), FOLLOWS_S, house.story)
    return house.last().actor


def test_a_decision_is_of_whoever_has_logged_in_whatever_name_it_says(house: House, ask: Ask) -> None:
    version = house.canary()
    refused = ask("mallory", "model-versions/set-tag", decision(version, "approve"))
    assert refused.status_code == 403
    assert house.registry.decisions() == []
    assert ask("ann", "model-versions/set-tag", decision(version, "approve by bob: seen with sales")).is_success
    assert ended(house, "promote").startswith("operator:ann_")
    assert ": seen with sales" in house.last().payload["reason"]


def test_an_alias_moved_says_who_moved_it(house: House, ask: Ask) -> None:
    assert ask("ann", "model-versions/set-tag", decision(house.canary(), "approve")).is_success
    ended(house, "promote")
    before = house.registry.aliases()
    target = {"alias": "champion", "version": str(before.previous)}
    assert ask("mallory", "registered-models/alias", target).status_code == 403
    assert house.registry.mover("champion", before.previous) is None
    assert ask("ann", "registered-models/alias", target).is_success
    assert ended(house, "rollback").startswith("operator:ann_")
    house.canary()
    assert ask("ann", "registered-models/alias", {"alias": "challenger"}, "DELETE").is_success
    assert ended(house, "reject").startswith("operator:ann_")


def test_the_user_that_speaks_for_others_says_whose_word_it_brings(house: House, ask: Ask) -> None:
    version = house.canary()
    assert ask("admin", "model-versions/set-tag", decision(version, "reject by carl")).is_success
    assert ended(house, "reject") == "operator:carl"
