import logging

import pytest

from homeostat.adapters.memory import MemoryTelemetry
from homeostat.errors import HomeostatError, TransientError
from homeostat.metric_names import WAITING
from homeostat.processes.patience import Patience, Waits


def test_what_passes_is_tried_until_it_goes_through_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    shown: list[bool] = []
    patience, said = Patience(shown.append), []
    answers = iter([*(TransientError(f"the database is away, try {i}", 0.0) for i in range(50)), "open"])

    def act():
        said.append(patience.missing)
        if isinstance(answer := next(answers), TransientError):
            raise answer
        return answer

    with caplog.at_level(logging.INFO):
        assert patience.until_done(act) == "open"
    assert [record.getMessage() for record in caplog.records] == [
        "waiting until this passes: the database is away, try 0",
        "it has passed: going on",
    ]
    assert said[0].startswith("starting")
    assert said[50] == "waiting until this passes: the database is away, try 49"
    assert patience.missing == said[0]
    assert shown == [True, False]


def test_what_goes_through_at_once_is_not_worth_a_word(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert Patience().until_done(lambda: 1) == 1
    assert not caplog.records


def test_a_wrong_setting_is_not_waited_for() -> None:
    def refused():
        raise HomeostatError("the database refuses us")

    with pytest.raises(HomeostatError, match="refuses us"):
        Patience().until_done(refused)


def test_what_each_product_waits_for_is_said_in_words_and_as_a_number() -> None:
    telemetry = MemoryTelemetry()
    waits = Waits(telemetry, ["turbines", "parcels"], "trainer")

    def shown() -> list[float | None]:
        return [telemetry.value(WAITING, product=name, process="trainer") for name in ("turbines", "parcels")]

    assert (shown(), waits.troubles) == ([0, 0], {})
    waits("turbines", "the disk is full")
    waits("parcels", "the database is away")
    assert (shown(), waits.troubles) == ([1, 1], {"turbines": "the disk is full", "parcels": "the database is away"})
    waits("turbines", None)
    assert (shown(), waits.troubles) == ([0, 1], {"parcels": "the database is away"})
