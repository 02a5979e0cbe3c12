"""An operator decides in the stock MLflow UI: a real server, a real browser, clicks; serving follows."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from deploy.servers import Mlflow, Server
from homeostat.contract.model import Contract
from homeostat.metric_names import WEBHOOKS
from homeostat.ports import Aliases, ModelPackage
from tests.servers.keeper import make_server

from .mlflow_ui import Operator, launch
from .operated import CONTRACT, House
from .running import until

FOLLOWS_S = 60  # it takes two seconds; the machine may be busy with other tests


@pytest.fixture(scope="module")
def browser(program: Callable[[str, str], str]) -> Iterator[Browser]:
    with sync_playwright() as playwright, closing(launch(playwright, program("chromium", "chromium"))) as browser:
        yield browser


@pytest.fixture(scope="module")
def mlflow(shared_server: Callable[[str], Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    """A server of this module's own: it is killed."""
    server = make_server("mlflow", tmp_path_factory.mktemp("server"), shared_server)
    assert isinstance(server, Mlflow)
    with server, pytest.MonkeyPatch.context() as patched:
        patched.setenv("MLFLOW_TRACKING_USERNAME", server.username)
        patched.setenv("MLFLOW_TRACKING_PASSWORD", server.password)
        yield server


@pytest.fixture(scope="module")
def house(mlflow: Mlflow, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(mlflow.url, tmp_path_factory.mktemp("house")) as house:
        house.first_champion()
        yield house


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(os.environ.get("HOMEOSTAT_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def meet(browser: Browser, mlflow: Mlflow, house: House, screenshots: Path) -> Iterator[Callable[[], Operator]]:
    met: list[Operator] = []

    def one() -> Operator:
        met.append(Operator(browser, mlflow, house.product, screenshots))
        return met[-1]

    yield one
    for operator in met:
        operator.close()


@pytest.fixture(scope="module")
def ann(meet: Callable[[], Operator]) -> Operator:
    return meet()


def followed(house: House, champion: str, challenger: str | None = None) -> None:
    """Wait until what is served is who the aliases name, and no decision is open."""
    until(
        lambda: (
            house.champion() == champion
            and house.cases.load().on_trial == (challenger is not None)
            and house.registry.aliases().challenger == challenger
            and not house.registry.decisions()
        ),
        FOLLOWS_S,
        house.story,
    )


def decided(house: House, ann: Operator, version: str, word: str) -> str:
    """Set the decision on a version's page and return the answer that the page shows then."""
    before = house.registry.answered(version)
    ann.decide(version, word)
    until(lambda: house.registry.answered(version) not in {None, before}, FOLLOWS_S, house.story)
    return ann.answer(version)


def replaced(house: House) -> tuple[str, str]:
    """Let a challenger take the champion's place, and return both."""
    champion, version = str(house.champion()), house.canary()
    house.asked("approve", version)
    followed(house, version)
    return champion, version


def test_a_challenger_approved_on_its_page_serves_and_the_page_says_so(house: House, ann: Operator) -> None:
    champion, version = house.champion(), house.canary()
    ann.decide(version, "approve by ann: seen on the page")
    followed(house, version)
    assert ann.answer(version) == f"done: version {version} was promoted and serves now"
    ann.shoot("approved")
    assert house.registry.aliases() == Aliases(version, None, champion)
    assert (house.last().kind, house.last().actor) == ("promote", "operator:ann")


def test_the_decision_card_shows_what_is_known_so_far_and_what_is_still_needed(house: House, ann: Operator) -> None:
    champion, version = str(house.champion()), house.canary()
    house.outcomes()
    until(lambda: "difference" in house.description(version), FOLLOWS_S, house.story)
    text = ann.card(*house.run_of(version))
    ann.shoot("decision-card")
    assert f"toys: version {version} in place of version {champion}?" in text
    for told in ("a training was asked for", "90,284 rows", "lightgbm uniform", "rows still needed", "colour "):
        assert told in text
    ann.open(version)
    ann.page.get_by_text("rows compared").wait_for()
    ann.shoot("description")
    house.asked("reject", version)
    followed(house, champion)


def test_serving_follows_within_five_seconds_for_mlflow_tells_the_healer_by_a_signed_message(house: House) -> None:
    version = house.canary()
    heard = house.telemetry.totals(WEBHOOKS, "fate", product=house.product)["heard"]
    house.asked("approve", version)
    until(lambda: house.champion() == version, 5, house.story)
    fates = house.telemetry.totals(WEBHOOKS, "fate", product=house.product)
    assert fates.keys() == {"heard"}
    assert fates["heard"] > heard
    followed(house, version)


def test_a_rollback_on_the_champions_page_brings_the_one_before_back_and_a_second_one_is_refused(
    house: House, ann: Operator
) -> None:
    previous, champion = replaced(house)
    answer = decided(house, ann, champion, "rollback")
    assert answer == f"done: version {champion} was rolled back, version {previous} serves again"
    followed(house, previous)
    before = house.decisions()
    assert "the way back was taken already" in decided(house, ann, previous, "rollback")
    ann.shoot("no-way-back")
    assert (house.champion(), house.decisions()) == (previous, before)


def test_a_canary_is_held_and_then_rejected(house: House, ann: Operator) -> None:
    champion, version = house.champion(), house.canary()
    assert decided(house, ann, version, "hold").startswith(f"done: version {version} stays in its canary")
    answer = decided(house, ann, version, "reject")
    assert answer == f"done: version {version} was rejected, version {champion} goes on serving"
    assert [entry.kind for entry in house.decisions()[-2:]] == ["hold", "reject"]


def test_champion_moved_to_the_challenger_promotes_it_and_moved_back_rolls_it_back(house: House, ann: Operator) -> None:
    champion, version = str(house.champion()), house.canary()
    ann.add_alias(version, "champion")
    followed(house, version)
    assert house.registry.aliases() == Aliases(version, None, champion)
    ann.open(version).shoot("champion-moved")
    ann.add_alias(champion, "champion")
    until(lambda: house.last().kind == "rollback", FOLLOWS_S, house.story)
    followed(house, champion)
    assert [(e.kind, e.actor) for e in house.decisions()[-2:]] == [("promote", "operator"), ("rollback", "operator")]


def test_the_challengers_alias_taken_away_rejects_it(house: House, ann: Operator) -> None:
    champion, version = str(house.champion()), house.canary()
    ann.remove_alias(version, "challenger")
    followed(house, champion)
    assert (house.last().kind, house.last().payload["version"]) == ("reject", version)


def test_a_version_that_was_never_validated_is_not_let_on_the_champions_alias(house: House, ann: Operator) -> None:
    champion = str(house.champion())
    stranger = house.registry.register(ModelPackage({"model.txt": b"mine"}), "by hand")
    ann.add_alias(stranger, "champion")
    served = set()
    until(lambda: served.add(house.champion()) or house.last().kind == "put_back", FOLLOWS_S, house.story)
    assert served == {champion}  # nobody was answered by it
    assert "was never validated" in ann.answer(stranger)
    ann.shoot("never-validated")
    followed(house, champion)


def test_a_challenger_climbs_its_steps_and_a_person_stops_it_on_the_way_and_lets_it_serve(
    mlflow: Mlflow, browser: Browser, screenshots: Path, tmp_path: Path
) -> None:
    steps = {"steps": [0.05, 0.25, 1.0], "step_time": "1s"}
    said = CONTRACT.model_dump(exclude_unset=True)
    contract = Contract.model_validate({**said, "product": "games", "canary": {**said["canary"], **steps}})
    with (
        House(mlflow.url, tmp_path, contract) as house,
        closing(Operator(browser, mlflow, "games", screenshots)) as bob,
    ):
        house.first_champion()
        version = house.canary()
        assert house.registry.aliases().share == 0.05
        house.outcomes()
        until(lambda: house.served.aliases().share == 0.25, FOLLOWS_S, house.story)
        until(lambda: "share of traffic: 25%, steps 5%, 25%, 100%" in house.description(version), FOLLOWS_S)
        bob.open(version)
        bob.page.get_by_text("share of traffic").wait_for()
        bob.shoot("second-step")
        assert decided(house, bob, version, "hold").startswith(f"done: version {version} stays in its canary")
        house.outcomes(gain=0.2)
        until(lambda: "better than the champion; 100% of traffic" in house.description(version), FOLLOWS_S, house.story)
        bob.open(version)
        bob.page.get_by_text("A person holds it in its canary").wait_for()
        bob.shoot("held")
        assert (house.served.aliases().share, house.cases.load().held) == (0.25, True)
        assert decided(house, bob, version, "approve by bob") == f"done: version {version} was promoted and serves now"
        followed(house, version)
        assert [(e.kind, e.actor) for e in house.decisions()[-4:]] == [
            ("start", "homeostat"), ("step", "homeostat"), ("hold", "operator"), ("promote", "operator:bob"),
        ]  # fmt: skip


def test_two_operators_at_once_come_to_one_end_that_the_ledger_tells_once(
    house: House, ann: Operator, meet: Callable[[], Operator]
) -> None:
    champion, version = str(house.champion()), house.canary()
    bob, before = meet(), len(house.decisions())
    for operator in (ann, bob):
        operator.open(version)
    ann.tag("homeostat.decision", "reject")
    bob.tag("homeostat.decision", "approve")  # on a page that still shows none
    until(lambda: not house.registry.decisions() and not house.cases.load().on_trial, FOLLOWS_S, house.story)
    (entry,) = [entry for entry in house.decisions()[before:] if entry.kind != "put_back"]
    assert entry.kind in {"promote", "reject"}
    followed(house, version if entry.kind == "promote" else champion)
    assert bob.answer(version) == ann.answer(version)


def test_a_click_while_the_server_is_down_is_refused_and_serving_goes_on_until_it_is_back(
    house: House, ann: Operator, mlflow: Mlflow
) -> None:
    champion, version = str(house.champion()), house.canary()
    ann.open(version)
    mlflow.kill()
    ann.tag("homeostat.decision", "approve")
    ann.page.get_by_text("Failed to add tag").wait_for()
    ann.shoot("server-down")
    assert house.champion() == champion
    mlflow.start()
    assert house.registry.decisions() == []
    ann.decide(version, "approve")
    followed(house, version)
    known = len(house.ledger.entries())  # the healer may write one more before the next line
    assert house.ledger.verify() >= known
