"""Turns events into features: one implementation for online and offline."""
