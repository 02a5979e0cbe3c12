"""The judge, one process of the map."""
