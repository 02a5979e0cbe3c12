"""Who may do what over HTTP."""

from pathlib import Path
from typing import Any

import pytest

from homeostat.adapters.memory import MemoryLedger, MemoryRegistry
from homeostat.api import Gate, Limits, Served, build_app, gate_of
from homeostat.api.decisions import DecisionRoutes
from homeostat.api.roles import ROLES, Caller, Right
from homeostat.errors import HomeostatError, ModelError, TransientError
from homeostat.ports import ModelPackage, OperatorDecision
from homeostat.settings import Settings
from tests.homeostat.api.conftest import Client, Clock, Door, told

TOKENS = {role: f"{role}-0123456789abcdef" for role in ROLES}
GATE = Gate(tuple((token, Caller(f"{role}-ann", ROLES[role])) for role, token in TOKENS.items()))
ASKS = (
    ("POST", "/v1/calls/events", {"events": []}, Right.SEND),
    ("POST", "/v1/calls/predict", {"rows": []}, Right.SEND),
    ("GET", "/v1/calls/status", None, Right.VIEW),
    ("GET", "/v1/calls/ledger", None, Right.VIEW),
    ("GET", "/v1/clock", None, Right.VIEW),
    ("PUT", "/v1/clock", {"now": "2031-01-01T00:00:00Z"}, Right.STEER),
    ("POST", "/v1/calls/decisions", {"decision": "hold"}, Right.DECIDE),
)


class Desk(MemoryRegistry):
    """A registry whose healer answers as it was told to."""

    def __init__(self, says: str | None = "done: it was") -> None:
        super().__init__()
        self.says, self.asked = says, []  # type: tuple[str | None, list[OperatorDecision]]
        for alias in ("champion", "challenger"):
            self.set_alias(alias, self.register(ModelPackage({}), alias))

    def decide(self, decision: OperatorDecision) -> None:
        self.asked.append(decision)
        super().decide(decision)
        if self.says:
            self.answer(decision, self.says)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def client(desk: Any = None, gate: Gate = GATE) -> Client:
    served = Served(Door(), lambda: {"champion": None}, MemoryLedger, desk)
    return Client(build_app({"calls": served}, Clock(), bytes, Limits(gate=gate)))


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_may_do_its_own_and_no_more(desk: Desk, role: str) -> None:
    for method, path, body, right in ASKS:
        answer = client(desk).request(method, path, json=body, headers=bearer(TOKENS[role]))
        if right in ROLES[role]:
            assert answer.status_code not in {401, 403}, (path, answer.text)
        else:
            detail = told(answer, 403)["detail"]
            assert f"{role}-ann may not {right}: that takes a token of the role" in detail
            assert "insufficient_scope" in answer.headers["www-authenticate"]


def test_an_operators_decision_is_handed_in_by_the_name_of_the_token(desk: Desk) -> None:
    answer = client(desk).post(
        "/v1/calls/decisions", json={"decision": "approve", "reason": "seen"}, headers=bearer(TOKENS["operator"])
    )
    assert answer.json() == {"decision": "approve", "version": "2", "by": "operator-ann", "answer": "done: it was"}
    assert desk.asked == [OperatorDecision("2", "approve", "operator-ann", "seen")]


@pytest.mark.parametrize(("word", "version"), [("rollback", "1"), ("retrain", "1"), ("reject", "2"), ("hold", "2")])
def test_a_decision_is_on_the_version_it_concerns(desk: Desk, word: str, version: str) -> None:
    client(desk).post("/v1/calls/decisions", json={"decision": word}, headers=bearer(TOKENS["admin"]))
    assert desk.asked[0].version == version


def test_a_refused_decision_is_a_conflict_with_the_healers_words() -> None:
    asked = {"json": {"decision": "approve"}, "headers": bearer(TOKENS["admin"])}
    assert (
        "refused: too late"
        in told(client(Desk("refused: too late")).post("/v1/calls/decisions", **asked), 409)["detail"]
    )
    alone = Desk()
    alone.set_alias("challenger", None)
    assert "no version to approve" in told(client(alone).post("/v1/calls/decisions", **asked), 409)["detail"]
    asked["json"] = {"decision": "approve", "version": "77"}
    told(client(alone).post("/v1/calls/decisions", **asked), 409)


def test_a_decision_not_carried_out_yet_has_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DecisionRoutes.__init__, "__defaults__", (0.0,))
    answer = client(Desk(None)).post(
        "/v1/calls/decisions", json={"decision": "hold"}, headers=bearer(TOKENS["operator"])
    )
    assert answer.json()["answer"] is None


@pytest.mark.parametrize(
    "body", [{}, {"decision": "fire"}, {"decision": "hold", "by": "bob"}, {"decision": "hold", "version": 3}, [], 7]
)
def test_a_decision_in_no_known_words_is_refused(desk: Desk, body: object) -> None:
    answer = client(desk).post("/v1/calls/decisions", json=body, headers=bearer(TOKENS["operator"]))
    assert "expected" in told(answer, 422)["detail"]
    assert desk.asked == []


def test_where_nobody_has_a_token_nobody_decides(desk: Desk) -> None:
    opened = client(desk, Gate())
    assert opened.get("/v1/calls/status").status_code == 200
    assert "operator" in told(opened.post("/v1/calls/decisions", json={"decision": "hold"}), 403)["detail"]


def test_without_a_server_of_mlflow_decisions_are_handed_in_elsewhere() -> None:
    asked = {"json": {"decision": "hold"}, "headers": bearer(TOKENS["operator"])}
    told(client(None).post("/v1/calls/decisions", **asked), 503)


class Provider:
    """Vouches as it was told to."""

    def __init__(self, said: Any) -> None:
        self.said = said

    def identity(self, token: str) -> tuple[str, frozenset[str]] | None:
        if isinstance(self.said, Exception):
            raise self.said
        found: tuple[str, frozenset[str]] | None = self.said
        return found


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (("ann", frozenset({"operator"})), 200),
        (("ann", frozenset({"viewer", "operator", "something else"})), 200),
        (("ann", frozenset({"viewer"})), 403),
        (("ann", frozenset({"boss"})), 403),
        (("ann", frozenset()), 403),
        (None, 401),
        (TransientError("the issuer is away"), 503),
    ],
)
def test_an_issuer_may_vouch_for_callers_and_nobody_passes_while_it_can_not(
    desk: Desk, said: object, status: int
) -> None:
    gate = Gate(GATE.tokens, Provider(said))
    asked = {"json": {"decision": "hold"}, "headers": bearer("made.by.others")}
    assert client(desk, gate).post("/v1/calls/decisions", **asked).status_code == status
    assert [decision.by for decision in desk.asked] == ["ann"] * (status == 200)
    told(client(desk, gate).get("/v1/calls/status"), 401)  # no token at all


def test_tokens_come_from_the_environment_and_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tokens"
    file.write_text("# people\noperator ann ann-0123456789abc  # on duty\n\nviewer bob bob-0123456789abc\n")
    monkeypatch.setenv("HOMEOSTAT_TOKEN", "short")
    monkeypatch.setenv("HOMEOSTAT_TOKENS", "admin eve eve-0123456789abc; client shop shop-0123456789ab")
    monkeypatch.setenv("HOMEOSTAT_TOKENS_FILE", str(file))
    found = {caller.name: caller.rights for _, caller in gate_of(Settings()).tokens}
    roles = {"client": "client", "eve": "admin", "shop": "client", "ann": "operator", "bob": "viewer"}
    assert found == {name: ROLES[role] for name, role in roles.items()}


@pytest.mark.parametrize("line", ["boss ann ann-0123456789abc", "viewer ann short", "viewer ann", "viewer a b c d"])
def test_a_line_of_tokens_that_is_wrong_is_named_without_its_token(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_TOKENS", f"viewer bob bob-0123456789abc;{line}")
    with pytest.raises(HomeostatError, match="HOMEOSTAT_TOKENS, line 2: expected `ROLE NAME TOKEN`") as caught:
        gate_of(Settings())
    assert "bob-" not in str(caught.value)
    assert line not in str(caught.value)


def test_an_empty_token_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEOSTAT_TOKEN", "")
    monkeypatch.setenv("HOMEOSTAT_TOKENS", "")
    assert gate_of(Settings()) == Gate()


def test_one_token_for_two_and_a_file_that_is_not_there_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEOSTAT_TOKENS", "viewer bob bob-0123456789abc; admin ann bob-0123456789abc")
    with pytest.raises(HomeostatError, match="the same token"):
        gate_of(Settings())
    monkeypatch.setenv("HOMEOSTAT_TOKENS_FILE", str(tmp_path / "none"))
    with pytest.raises(HomeostatError, match="can't be read"):
        gate_of(Settings())


def test_a_version_that_is_not_there_is_no_server_error(desk: Desk) -> None:
    with pytest.raises(ModelError):
        desk.decide(OperatorDecision("77", "approve"))
