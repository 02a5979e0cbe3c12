"""Decides between champion and challenger on paired evidence that may be looked at all the time."""
