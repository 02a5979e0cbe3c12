"""Where a contract may have a vector: as an event field, and as a feature that is this field as it stands."""

from collections.abc import Mapping

from homeostat.contract.document import Path
from homeostat.contract.model import MAX_SIZE, FieldSpec
from homeostat.contract.schema import Draft

_SIZES = f"a whole number from 1 to {MAX_SIZE}"


def is_vector(spec: FieldSpec | None) -> bool:
    """Return whether a field is known to be a vector."""
    return spec is not None and spec.type == "vector"


def check_sizes(draft: Draft, base: Path, specs: Mapping[str, FieldSpec | None]) -> None:
    """Report a vector without its size, a size of anything else, and a vector among the facts of a label."""
    for name, spec in specs.items():
        if spec is None:
            continue
        path = (*base, name)
        if is_vector(spec) and base[0] == "label":
            draft.document.report(path, "a vector - facts serve aggregates alone, and no aggregate takes a vector")
        elif is_vector(spec) and spec.size is None:
            draft.document.report(path, f"a vector without a size - expected {{type: vector, size: N}}, N {_SIZES}")
        elif spec.size is not None and not is_vector(spec):
            draft.document.report(path, f"size of the type {spec.type} - expected on vectors alone")


def no_vector(named: Mapping[str, FieldSpec | None]) -> None:
    """Refuse vectors among the fields that an expression names.

    Raises:
        ValueError: There is one.
    """
    for name in sorted(named):
        if is_vector(named[name]):
            raise ValueError(f"'{name}' is a vector, which no expression takes - expected {{field: {name}}}")
