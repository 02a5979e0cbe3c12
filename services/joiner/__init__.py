"""The joiner, one process of the map."""
