"""What people are told while the whole loop heals a product."""

from collections.abc import Callable

from homeostat.adapters.memory_alerts import MemoryAlerts
from homeostat.bootstrap import Stack
from homeostat.contract.model import Contract
from homeostat.replay.driver import Replay, ReplayOptions
from homeostat.replay.live import LiveView
from homeostat.replay.recording import Recording


def test_people_are_told_of_the_drift_its_cure_and_its_end_each_once(
    contract: Contract, stack: Stack, view: LiveView, make_stream: Callable[..., Recording]
) -> None:
    Replay(contract, make_stream(days=22, change_day=10), stack, ReplayOptions(seed=1)).run(view)
    assert isinstance(stack.alerts, MemoryAlerts)
    kinds = [alert.kind for alert in stack.alerts.alerts]
    assert kinds[0] == "promoted"  # the first champion
    assert kinds.index("drift_began") < kinds.index("canary_started") < len(kinds) - kinds[::-1].index("promoted")
    assert kinds.count("canary_started") == kinds.count("promoted") - 1 + kinds.count("rejected")
    assert kinds.count("drift_began") - kinds.count("drift_ended") in {0, 1}
    assert "labels_stale" not in kinds
    assert len({alert.alert_id for alert in stack.alerts.alerts}) == len(kinds)


def test_a_calm_stream_alarms_nobody(
    contract: Contract, stack: Stack, view: LiveView, make_stream: Callable[..., Recording]
) -> None:
    Replay(contract, make_stream(days=16), stack, ReplayOptions(seed=1)).run(view)
    assert isinstance(stack.alerts, MemoryAlerts)
    assert [alert.kind for alert in stack.alerts.alerts] == ["promoted"]
