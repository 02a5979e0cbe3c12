"""Examines an installation from the disk up: what is wrong, and what to do about it."""

from homeostat.inspection.doctor.examine import examine
from homeostat.inspection.doctor.finding import Finding, Level

__all__ = ["Finding", "Level", "examine"]
