"""A first contract from a sample of data."""
