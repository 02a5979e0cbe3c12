"""The front door of a product: events and labels made durable, predictions in micro-batches."""

from homeostat.serving.build import Deployed, build_front
from homeostat.serving.front import Front, Limits

__all__ = ["Deployed", "Front", "Limits", "build_front"]
