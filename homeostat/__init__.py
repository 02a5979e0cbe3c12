"""Homeostat keeps tabular models healthy on a moving stream."""
