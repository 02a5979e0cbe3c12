"""The predictor, one process of the map."""
