"""The trainer, one process of the map."""
