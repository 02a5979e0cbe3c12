"""The HTTP face of an instance."""

from homeostat.api.app import build_app
from homeostat.api.bodies import Limits
from homeostat.api.door import ClockDesk, FrontDoor, Served

__all__ = ["ClockDesk", "FrontDoor", "Limits", "Served", "build_app"]
