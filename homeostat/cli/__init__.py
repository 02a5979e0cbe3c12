"""The command line: one module for each kind of work, put together in ``main``."""
