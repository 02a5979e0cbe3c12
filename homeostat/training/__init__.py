"""Looks for a better model and proves it forward in time."""
