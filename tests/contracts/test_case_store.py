"""The obligations of CaseStore, over every adapter."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Barrier, Thread

import pytest

from homeostat.adapters.memory import MemoryCases
from homeostat.adapters.sql.cases import SqlCases
from homeostat.errors import StaleCaseError
from homeostat.ports import CaseStore
from homeostat.records import Case, CaseState, DriftReport, DriftStatus


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def cases(request: pytest.FixtureRequest, fresh_database: Callable[[str], str]) -> CaseStore:
    return MemoryCases() if request.param == "memory" else SqlCases(fresh_database(request.param), "parcels")


def test_a_store_that_never_saw_a_case_has_a_stable_one(cases: CaseStore) -> None:
    assert cases.load() == Case(state=CaseState.STABLE, revision=0)


def test_a_saved_case_comes_back_whole_with_the_next_revision(cases: CaseStore, at: datetime) -> None:
    case = Case(
        state=CaseState.CANARY,
        request_id="r1",
        report=DriftReport("d1", at, at - timedelta(days=7), at, 900, DriftStatus.DRIFTED, "2", reasons=("PSI",)),
        reason="PSI 0.3 > 0.1 on «weight»",
        since=at,
        drift_since=at - timedelta(days=7),
        challenger="3",
        cooldown_until=at + timedelta(days=1),
        trained_at=(at - timedelta(days=2), at),
        actor="operator:ann",
        held=True,
        unanswered="done: a case was opened",
        fruitless=2,
        fruitless_against="2",
    )
    saved = cases.save(case)
    assert saved == replace(case, revision=1)
    assert cases.load() == saved


def test_a_revision_follows_each_save(cases: CaseStore) -> None:
    case = cases.load()
    for revision in (1, 2, 3):
        case = cases.save(case)
        assert case.revision == revision


def test_the_second_saver_of_a_revision_is_told(cases: CaseStore) -> None:
    seen = cases.save(cases.load())
    kept = cases.save(replace(seen, state=CaseState.TRAINING))
    with pytest.raises(StaleCaseError):
        cases.save(replace(seen, state=CaseState.COOLDOWN))
    assert cases.load() == kept


def test_the_second_saver_of_the_first_case_is_told(cases: CaseStore) -> None:
    kept = cases.save(Case(reason="first"))
    with pytest.raises(StaleCaseError):
        cases.save(Case(reason="second"))
    assert cases.load() == kept


def test_a_revision_from_the_future_is_refused(cases: CaseStore) -> None:
    with pytest.raises(StaleCaseError):
        cases.save(Case(revision=7))
    assert cases.load() == Case()


def test_of_savers_at_the_same_moment_one_wins(cases: CaseStore) -> None:
    savers, rounds = 4, 5
    barrier = Barrier(savers)
    won: list[int] = []

    def save() -> None:
        for revision in range(rounds):
            barrier.wait()
            with suppress(StaleCaseError):
                won.append(cases.save(Case(revision=revision)).revision)

    threads = [Thread(target=save) for _ in range(savers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == list(range(1, rounds + 1))


def test_an_sql_case_is_there_after_reopening_and_its_product_s_own(sql_url: str) -> None:
    saved = SqlCases(sql_url, "parcels").save(Case(reason="kept"))
    assert SqlCases(sql_url, "parcels").load() == saved
    assert SqlCases(sql_url, "letters").load() == Case()


def test_an_sql_saver_is_told_of_a_save_by_another_process(sql_url: str) -> None:
    mine, theirs = SqlCases(sql_url, "parcels"), SqlCases(sql_url, "parcels")
    seen = mine.save(Case())
    theirs.save(theirs.load())
    with pytest.raises(StaleCaseError):
        mine.save(seen)
