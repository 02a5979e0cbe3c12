"""The HTTP face of an instance."""

from homeostat.api.app import build_app
from homeostat.api.bodies import Limits
from homeostat.api.door import ClockDesk, FrontDoor, Served
from homeostat.api.instance import build_watched
from homeostat.api.measuring import Measured
from homeostat.api.roles import Gate, gate_of, guarded_gate
from homeostat.api.webhook import PATH as WEBHOOK_PATH
from homeostat.api.webhook import Knocks, add_webhook

__all__ = [
    "WEBHOOK_PATH",
    "ClockDesk",
    "FrontDoor",
    "Gate",
    "Knocks",
    "Limits",
    "Measured",
    "Served",
    "add_webhook",
    "build_app",
    "build_watched",
    "gate_of",
    "guarded_gate",
]
