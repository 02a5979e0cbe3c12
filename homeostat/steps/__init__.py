"""The steps of the loop: each turns records into records."""
