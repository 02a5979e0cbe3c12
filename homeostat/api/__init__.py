"""The HTTP face of an instance."""

from homeostat.api.app import build_app
from homeostat.api.bodies import Limits
from homeostat.api.door import ClockDesk, FrontDoor, Served
from homeostat.api.instance import build_watched
from homeostat.api.measuring import Measured

__all__ = ["ClockDesk", "FrontDoor", "Limits", "Measured", "Served", "build_app", "build_watched"]
