"""Runs a recorded stream through the whole loop on a virtual clock, and reports."""
