"""The obligations of Lead, over every adapter; and what PostgreSQL's does when its connection ends."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from time import monotonic, sleep

import psycopg
import pytest

from deploy.servers import Postgres, free_port
from homeostat.adapters.memory_lead import MemoryLead
from homeostat.adapters.sql import PostgresLead
from homeostat.bootstrap import Lead
from homeostat.errors import HomeostatError, LostLeadError, TransientError

from .conftest import ROOT

OURS = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s"
Make = Callable[[str], Lead]
LEADER = """
import sys
from homeostat.adapters.sql import PostgresLead
lead = PostgresLead(sys.argv[1], sys.argv[2])
print(lead.take(), flush=True)
sys.stdin.read()  # leads until it is killed, or its test has ended
"""


@pytest.fixture
def database(fresh_database: Callable[[str], str]) -> str:
    return fresh_database("postgres")


@pytest.fixture(params=["memory", "postgres"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Make one more that asks for what has a name."""
    seats: dict[str, list[MemoryLead]] = {}
    made: list[Lead] = []
    url = request.getfixturevalue("database") if request.param == "postgres" else ""

    def one(name: str) -> Lead:
        made.append(PostgresLead(url, name) if url else MemoryLead(seats.setdefault(name, [])))
        return made[-1]

    yield one
    for lead in made:
        lead.leave()


def test_one_leads_and_others_are_told_so(make: Make) -> None:
    first, second, third = (make("healer") for _ in range(3))
    assert first.take()
    assert not second.take()
    assert not third.take()
    first.check()


def test_who_leads_may_take_it_again(make: Make) -> None:
    first, second = make("healer"), make("healer")
    assert first.take()
    assert first.take()
    first.leave()
    assert soon(second.take)


def test_who_has_not_taken_it_does_not_lead(make: Make) -> None:
    first, second = make("healer"), make("healer")
    with pytest.raises(LostLeadError):
        first.check()
    first.take()
    second.take()
    with pytest.raises(LostLeadError):
        second.check()


def test_who_leaves_lets_the_next_one_lead_at_once_and_may_come_back(make: Make) -> None:
    first, second = make("healer"), make("healer")
    first.take()
    second.take()
    first.leave()
    assert soon(second.take)
    with pytest.raises(LostLeadError):
        first.check()
    assert not first.take()
    second.leave()
    assert soon(first.take)
    first.check()


def test_who_never_led_leaves_without_harm(make: Make) -> None:
    first, second = make("healer"), make("healer")
    first.take()
    second.leave()
    first.check()
    assert not make("healer").take()


def test_each_name_has_a_leader_of_its_own(make: Make) -> None:
    assert make("homeostat parcels healer").take()
    assert make("homeostat letters healer").take()


def test_one_that_nobody_shares_is_alone() -> None:
    assert MemoryLead().take()
    assert MemoryLead().take()


def test_a_leader_that_is_killed_leaves_the_lead_to_the_next_one(database: str) -> None:
    other = PostgresLead(database, "healer")
    command, pipe = [sys.executable, "-c", LEADER, database, "healer"], subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe) as led:
        assert led.stdout is not None
        assert led.stdout.readline() == b"True\n"
        assert not other.take()
        os.kill(led.pid, signal.SIGKILL)
        assert soon(other.take)
    other.leave()


def test_a_leader_whose_session_is_ended_is_told_and_another_leads(database: str) -> None:
    first, second = PostgresLead(database, "healer"), PostgresLead(database, "healer")
    first.take()
    assert terminated(database, "healer") == 1
    assert soon(second.take)
    for _ in range(2):  # it never comes back by itself
        with pytest.raises(LostLeadError):
            first.check()
    assert not first.take()
    second.leave()
    assert soon(first.take)
    first.leave()


def test_one_that_waits_goes_on_when_its_own_session_is_ended(database: str) -> None:
    first, second = PostgresLead(database, "healer"), PostgresLead(database, "healer, another")
    second.take()
    first.take()
    terminated(database, "healer")
    with pytest.raises(TransientError):
        first.take()
    assert soon(first.take)
    for lead in (first, second):
        lead.leave()


def test_both_ends_of_a_session_look_for_a_dead_peer(database: str) -> None:
    """Within six seconds of silence, where Linux by itself takes two hours."""
    lead = PostgresLead(database, "healer")
    lead.take()
    assert lead._session is not None
    names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout")
    assert [lead._session.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names] == ["3", "1", "3", "6000"]
    assert lead._session.exec_driver_sql("SHOW idle_session_timeout").scalar_one() == "0"
    driver = lead._session.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    with socket.socket(fileno=os.dup(driver.fileno())) as ours:
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
        assert [ours.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [3, 1, 3, 6000]
    lead.leave()


def test_a_leader_says_nothing_that_keeps_vacuum_from_its_work(database: str) -> None:
    lead, waiting = PostgresLead(database, "healer"), PostgresLead(database, "healer")
    lead.take()
    waiting.take()
    with psycopg.connect(database.replace("+psycopg", "")) as connection:
        found = connection.execute(f"SELECT state, backend_xmin {OURS}", ("healer",)).fetchall()
    assert found == [("idle", None)] * 2
    for one in (lead, waiting):
        one.leave()


def test_a_server_that_is_away_may_come_back_and_a_refused_user_may_not(postgres: Postgres) -> None:
    with pytest.raises(TransientError):
        PostgresLead(postgres.url().replace(f":{postgres.port}/", f":{free_port()}/"), "healer").take()
    with pytest.raises(HomeostatError, match="HOMEOSTAT_SQL__URL") as refused:
        PostgresLead(postgres.url().replace(postgres.password, "guessed"), "healer").take()
    assert not isinstance(refused.value, TransientError)


def soon(take: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether it leads in the end: a server lets go of a lock when it notices that the session has ended."""
    deadline = monotonic() + seconds
    while not (leads := take()) and monotonic() < deadline:
        sleep(0.01)
    return leads


def terminated(database: str, application: str) -> int:
    """End the sessions of an application as an administrator does, and return how many there were."""
    with psycopg.connect(database.replace("+psycopg", "")) as connection:
        return len(connection.execute(f"SELECT pg_terminate_backend(pid, 5000) {OURS}", (application,)).fetchall())
