"""The ingestor, one process of the map."""
