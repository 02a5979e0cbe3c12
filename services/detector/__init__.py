"""The detector, one process of the map."""
