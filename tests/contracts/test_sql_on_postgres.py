"""What the SQL adapters do while PostgreSQL is away: they ask for patience, lose nothing, and go on by themselves."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import Event

import psycopg
import pytest

from deploy.servers import Postgres, free_port
from homeostat.adapters.sql import PostgresLead, SqlCases, SqlLedger
from homeostat.errors import HomeostatError, LostLeadError, TransientError
from homeostat.records import Case


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restart_in_the_middle_asks_for_patience_and_all_goes_on(
    own_server: Callable[[str], Postgres], at: datetime, end: str
) -> None:
    server = own_server("postgres")
    url = server.url()
    cases, ledger = SqlCases(url, "parcels"), SqlLedger(url, "parcels")
    saved = cases.save(Case(reason="kept"))
    first = ledger.append("a", at, "open", {})
    lead = PostgresLead(url, "healer")
    assert lead.take()
    getattr(server, end)()
    for use in (
        cases.load,
        lambda: cases.save(saved),
        ledger.entries,
        ledger.verify,
        lambda: ledger.append("b", at, "open", {}),
        lambda: SqlCases(url, "parcels"),
        lambda: SqlLedger(url, "parcels"),
    ):
        with pytest.raises(TransientError, match="busy or away"):
            use()
    with pytest.raises(LostLeadError, match="the connection that held it is gone"):
        lead.check()
    with pytest.raises(TransientError, match="busy or away"):
        lead.take()
    server.start()
    with pytest.raises(LostLeadError):
        lead.check()
    assert lead.take()
    lead.leave()
    assert cases.load() == saved
    assert cases.save(saved).revision == 2
    assert ledger.append("a", at, "open", {}) == first
    assert ledger.append("b", at, "close", {}).seq == ledger.verify() == 2


def test_what_was_acknowledged_before_the_server_was_killed_is_there_once(
    own_server: Callable[[str], Postgres], at: datetime
) -> None:
    server = own_server("postgres")
    ledger = SqlLedger(server.url(), "parcels")
    many = Event()

    def append_until_it_is_gone() -> int:
        done = 0
        while True:
            try:
                ledger.append(f"entry {done}", at, "decide", {})
            except TransientError:
                return done
            done += 1
            if done == 20:
                many.set()

    with ThreadPoolExecutor(1) as pool:
        acknowledged = pool.submit(append_until_it_is_gone)
        assert many.wait(60)
        server.kill()
        done = acknowledged.result(60)
    server.start()
    # the one on its way when the server died may have been stored: it is appended again under its id
    ledger.append(f"entry {done}", at, "decide", {})
    assert [entry.entry_id for entry in ledger.entries()] == [f"entry {i}" for i in range(done + 1)]
    assert ledger.verify() == done + 1


def test_a_connection_that_died_while_nobody_used_it_costs_no_call(fresh_database: Callable[[str], str]) -> None:
    url = fresh_database("postgres")
    cases = SqlCases(url, "parcels")
    saved = cases.save(Case(reason="kept"))
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        ours = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        assert connection.execute(f"SELECT pg_terminate_backend(pid, 5000) {ours}").fetchall() == [(True,)]
    assert cases.load() == saved


def test_a_refused_user_and_a_database_that_is_not_there_name_the_setting(postgres: Postgres) -> None:
    for url in (postgres.url().replace(postgres.password, "guessed"), postgres.url("nowhere")):
        with pytest.raises(HomeostatError, match="HOMEOSTAT_SQL__URL") as refused:
            SqlCases(url, "parcels")
        assert not isinstance(refused.value, TransientError)
        assert postgres.password not in str(refused.value)


def test_a_port_that_nobody_listens_on_may_heal(postgres: Postgres) -> None:
    with pytest.raises(TransientError):
        SqlCases(postgres.url().replace(f":{postgres.port}/", f":{free_port()}/"), "parcels")


@pytest.mark.parametrize("url", ["nowhere", "oracle9://user@host/db", "postgresql+nothing://user@host/db"])
def test_what_is_no_url_of_a_database_names_the_setting_and_is_not_waited_for(url: str) -> None:
    with pytest.raises(HomeostatError, match="HOMEOSTAT_SQL__URL: expected postgresql") as refused:
        SqlCases(url, "parcels")
    assert not isinstance(refused.value, TransientError)
