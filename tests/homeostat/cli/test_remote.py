"""Decisions on an instance elsewhere, over its real API."""

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from threading import Thread
from typing import Any

import pytest
import uvicorn
from typer.testing import CliRunner, Result

from homeostat.adapters.memory import MemoryLedger
from homeostat.api import Gate, Limits, Served, build_app
from homeostat.api.roles import ROLES, Caller
from homeostat.cli.main import app
from homeostat.errors import LedgerError
from homeostat.ports import OperatorDecision
from tests.homeostat.api.conftest import Clock, Door
from tests.homeostat.api.test_roles import Desk

STATUS = {"product": "calls", "champion": "2"}
TOKENS = {role: f"{role}-0123456789abcdef" for role in ROLES}


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def history() -> MemoryLedger:
    ledger = MemoryLedger()
    for day, (kind, actor) in enumerate((("start", "homeostat"), ("promote", "ann")), 1):
        payload = {"version": "2", "champion": "12"[day - 1], "share": 0.1, "reason": "because"}
        ledger.append(kind, datetime(2030, 1, day, tzinfo=UTC), kind, payload, actor)
    return ledger


@pytest.fixture
def url(desk: Desk, history: MemoryLedger) -> Iterator[str]:
    gate = Gate(tuple((token, Caller("ann", ROLES[role])) for role, token in TOKENS.items()))
    served = {"calls": Served(Door(), lambda: STATUS, lambda: history, desk)}
    server = uvicorn.Server(uvicorn.Config(build_app(served, Clock(), bytes, Limits(gate=gate)), log_level="error"))
    listening = socket.create_server(("127.0.0.1", 0))
    thread = Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()


def run(*arguments: str, token: str | None = TOKENS["operator"]) -> Result:
    return CliRunner(env={"HOMEOSTAT_TOKEN": token}).invoke(app, list(arguments))


def test_an_operator_decides_on_an_instance_elsewhere_in_the_name_of_the_token(desk: Desk, url: str) -> None:
    result = run("approve", "--url", url, "--product", "calls", "--reason", "seen", "--json")
    assert result.exit_code == 0, result.stderr
    told: dict[str, Any] = json.loads(result.stdout)
    assert (told["state"], told["by"], told["version"], told["product"]) == ("done", "ann", "2", "calls")
    assert desk.asked == [OperatorDecision("2", "approve", "ann", "seen")]


def test_what_the_healer_there_refuses_fails_here(desk: Desk, url: str) -> None:
    desk.says = "refused: too late"
    result = run("reject", "--url", url, "--product", "calls")
    assert (result.exit_code, result.stderr.strip()) == (1, "refused: too late")


@pytest.mark.parametrize(
    ("token", "why"),
    [
        (TOKENS["viewer"], "403: ann may not decide who serves"),
        ("somebody-elses-token", "401: expected a bearer token"),
        (None, "HOMEOSTAT_TOKEN is not set"),
    ],
)
def test_who_may_not_decide_is_told_why(desk: Desk, url: str, token: str | None, why: str) -> None:
    result = run("rollback", "--url", url, "--product", "calls", token=token)
    assert result.exit_code == 1
    assert why in result.stderr
    assert desk.asked == []


def test_a_viewer_looks_at_an_instance_elsewhere(url: str) -> None:
    found = run("status", "--url", url, "--product", "calls", "--json", token=TOKENS["viewer"])
    assert json.loads(found.stdout) == STATUS
    told = run("log", "--url", url, "--product", "calls", token=TOKENS["viewer"])
    assert "promote          ann: because" in told.stdout
    assert "2 entries, the chain is whole" in run("log", "--url", url, "--product", "calls", "--verify").stdout
    then = run("log", "--url", url, "--product", "calls", "--at", "2030-01-03")
    assert "version 2 answered 100%" in then.stdout


def test_whom_the_token_does_not_do_for_sees_nothing(url: str) -> None:
    for command in ("status", "log"):
        result = run(command, "--url", url, "--product", "calls", token="somebody-elses-token")  # noqa: S106
        assert (result.exit_code, "401" in result.stderr, result.stdout) == (1, True, "")
        assert "--product" in run(command, "--url", url).stderr


def test_an_edit_on_the_way_is_found(url: str, history: MemoryLedger) -> None:
    history._entries[0] = replace(history._entries[0], actor="eve")
    assert isinstance(run("log", "--url", url, "--product", "calls", "--verify").exception, LedgerError)


def test_another_server_is_no_homeostat() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi")

        thread = Thread(target=answer)
        thread.start()
        result = run("status", "--url", url, "--product", "calls")
        thread.join()
    assert (result.exit_code, "no Homeostat answers" in result.stderr) == (1, True)


def test_an_address_where_nobody_answers_and_a_half_command_are_one_clear_line() -> None:
    nobody = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    nobody.close()
    assert "no Homeostat answers at" in run("hold", "--url", url, "--product", "calls").stderr
    assert "--product" in run("hold", "--url", url).stderr
    assert "without --by" in run("hold", "--url", url, "--product", "calls", "--by", "eve").stderr
