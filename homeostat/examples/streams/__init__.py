"""Synthetic streams with a known truth: what a loop should notice, and how well it could do at best."""
