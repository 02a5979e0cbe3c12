"""The outside world: technology and role in each name."""
