"""Jobs that a person or a scheduler runs to an end."""
