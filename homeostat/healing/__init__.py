"""The healing case and the rules by which it moves."""
