"""The HTTP face of an instance."""
