"""Imports Feast without the run-time type checks that it compiles into its own methods: 3 of 5.5 s of CPU a process.

``python -O`` leaves them out too, but takes every ``assert`` with them.
"""

import prometheus_client  # noqa: F401 - before Feast: that would turn it to files of Feast's own, for good
import typeguard

_typechecked = typeguard.typechecked
typeguard.typechecked = lambda target: target  # type: ignore[assignment] # Feast has it as a bare decorator only
try:
    import feast  # noqa: F401
finally:
    typeguard.typechecked = _typechecked
