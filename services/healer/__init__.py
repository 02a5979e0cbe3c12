"""The healer, one process of the map."""
