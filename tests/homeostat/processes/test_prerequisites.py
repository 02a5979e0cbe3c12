import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from homeostat.contract.load import DIGEST_FILE, contract_digest, load_contract
from homeostat.errors import ContractError, HomeostatError
from homeostat.processes.prerequisites import choose_ports, left_alone, read_contracts, store_contracts

TURBINES = (Path(__file__).parents[2] / "loop" / "turbines.yaml").read_text()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str, *changes: tuple[str, str]) -> Path:
        text = TURBINES
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return make


@pytest.fixture
def home(tmp_path: Path, write: Callable[..., Path]) -> Path:
    """An instance that has run turbines."""
    folder = tmp_path / "live"
    store_contracts({"turbines": write("first.yaml")}, folder)
    return folder


def test_every_problem_of_every_contract_is_named(tmp_path: Path, write: Callable[..., Path]) -> None:
    files = [
        write("a.yaml", ("wind: {field: wind}", "wind: {field: wnd}")),
        write("b.yaml", ("delay: 10h", "delay: x")),
    ]
    with pytest.raises(ContractError) as caught:
        read_contracts(files, tmp_path / "live")
    assert len(caught.value.problems) == 2
    assert all(str(file) in problem for file, problem in zip(files, caught.value.problems, strict=True))


def test_two_contracts_of_one_product_are_refused(tmp_path: Path, write: Callable[..., Path]) -> None:
    with pytest.raises(ContractError, match=r"b\.yaml.*product.*turbines.*a\.yaml"):
        read_contracts([write("a.yaml"), write("b.yaml")], tmp_path / "live")


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('"load * wind"', '"load + wind"', "features.gust.expression"),
        ("maturity: 1d", "maturity: 2d", "label.maturity"),
        ("over: 2d", "over: 3d", "features.fails_maker_2d.over"),
        ("  wind: {field: wind}\n", "", "features.wind"),
        ("{type: number, nullable: true}", "number", "event.fields.wind.nullable"),
        ("  load: {field: load}\n  wind: {field: wind}\n", "  wind: {field: wind}\n  load: {field: load}\n", "order"),
    ],
)
def test_what_stored_rows_were_made_by_must_not_change(
    home: Path, write: Callable[..., Path], old: str, new: str, field: str
) -> None:
    with pytest.raises(ContractError) as caught:
        read_contracts([write("second.yaml", (old, new))], home)
    (problem,) = caught.value.problems
    assert field in problem
    assert "another product" in problem


def test_policies_may_change_and_are_kept(home: Path, write: Callable[..., Path]) -> None:
    files = read_contracts([write("second.yaml", ("trials: 3", "trials: 9"), ("Will a", "Does a"))], home)
    store_contracts(files, home)
    assert load_contract(home / "products" / "turbines" / "contract.yaml").training.trials == 9


def test_the_digest_is_that_of_the_contract_which_was_given(home: Path, write: Callable[..., Path]) -> None:
    stored = home / "products" / "turbines" / "contract.yaml"
    noted = stored.with_name(DIGEST_FILE)
    given = noted.read_text()
    assert given.strip() == contract_digest(load_contract(stored))
    stored.write_text(stored.read_text().replace("trials: 3", "trials: 4"))
    store_contracts(read_contracts([], home), home)
    assert noted.read_text() == given, "an edit of the copy is nothing that was given"
    store_contracts({"turbines": write("second.yaml", ("trials: 3", "trials: 9"))}, home)
    assert noted.read_text().strip() == contract_digest(load_contract(stored)) != given.strip()


def test_without_a_contract_the_products_of_the_folder_run(home: Path) -> None:
    assert list(read_contracts([], home)) == ["turbines"]


def test_a_product_of_the_folder_that_no_contract_names_is_told(home: Path, write: Callable[..., Path]) -> None:
    other = write("other.yaml", ("product: turbines", "product: windmills"))
    assert left_alone(home, read_contracts([other], home)) == ["turbines"]
    assert left_alone(home, read_contracts([], home)) == []


def test_without_any_product_a_contract_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(HomeostatError, match="--contract FILE"):
        read_contracts([], tmp_path)


def test_a_taken_port_is_named_with_its_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = [one.getsockname()[1], two.getsockname()[1]]
        with pytest.raises(HomeostatError) as caught:
            choose_ports([("--port", "127.0.0.1", ports[0]), ("--mlflow-port", "127.0.0.1", ports[1])])
    assert all(f"port {port} on 127.0.0.1 is taken" in str(caught.value) for port in ports)
    assert "--mlflow-port" in str(caught.value)


def test_port_zero_takes_free_ones_that_differ() -> None:
    ports = choose_ports([("--port", "127.0.0.1", 0), ("--mlflow-port", "127.0.0.1", 0)])
    assert len(set(ports)) == 2
    with pytest.raises(HomeostatError, match="twice"):
        choose_ports([("--port", "127.0.0.1", ports[0]), ("--mlflow-port", "127.0.0.1", ports[0])])


def test_an_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(HomeostatError, match="can't be listened on"):
        choose_ports([("--port", "203.0.113.1", 0)])
