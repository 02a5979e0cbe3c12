"""Says how far a window has moved from a reference, and whether that is more than chance."""
