"""Handing a decision in and waiting for what becomes of it."""

from threading import Timer

import pytest

from homeostat.adapters.memory import MemoryRegistry
from homeostat.errors import ModelError
from homeostat.healing.asking import ask
from homeostat.ports import ModelPackage, OperatorDecision


@pytest.fixture
def registry() -> MemoryRegistry:
    registry = MemoryRegistry()
    registry.register(ModelPackage({}), "first")
    return registry


HOLD = OperatorDecision("1", "hold", "ann")


def test_an_answer_that_comes_later_is_waited_for(registry: MemoryRegistry) -> None:
    healer = Timer(0.3, registry.answer, (HOLD, "done: held"))
    healer.start()
    assert ask(registry, HOLD, 30) == "done: held"
    healer.join()


def test_without_an_answer_the_decision_stays_open(registry: MemoryRegistry) -> None:
    assert ask(registry, HOLD, 0) is None
    assert registry.decisions() == [HOLD]


def test_a_version_that_there_is_not_can_not_be_decided_on(registry: MemoryRegistry) -> None:
    with pytest.raises(ModelError):
        ask(registry, OperatorDecision("7", "hold"), 0)
