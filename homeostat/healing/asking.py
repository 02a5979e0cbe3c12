"""Hands an operator's decision in and waits for the healer's answer, for the command line and the API alike."""

from time import monotonic, sleep
from typing import Final

from homeostat.ports import DecisionDesk, OperatorDecision

_POLL_S: Final = 0.2


def ask(desk: DecisionDesk, decision: OperatorDecision, wait_s: float) -> str | None:
    """Open a decision and return what became of it, None when nobody has answered in time.

    Args:
        desk: Where decisions go.
        decision: On a version that there is, or on the model itself.
        wait_s: How long to wait, in seconds; the healer looks for decisions every few.

    Raises:
        ModelError: There is no such version.
    """
    desk.decide(decision)
    deadline = monotonic() + wait_s
    while (answer := desk.answered(decision.version)) is None and monotonic() < deadline:
        sleep(_POLL_S)
    return answer
