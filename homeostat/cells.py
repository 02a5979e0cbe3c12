"""What a cell of a row may hold; standard library only."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SparseVector:
    """A vector of which most numbers are 0: the others alone, packed, as a float takes 32 bytes in a tuple.

    ``homeostat.vectors`` reads and writes it.
    """

    size: int  # of the whole vector
    indices: bytes  # of the numbers that are told: each once, 16 bits, little-endian
    values: bytes  # theirs, in the same order: floats of 64 bits, little-endian

    def __len__(self) -> int:
        return self.size


Vector = tuple[float, ...] | SparseVector
"""Finite numbers, as many as the contract says; what a sparse event leaves out is 0."""

Cell = float | int | str | bool | Vector | None
"""One cell: a number, a text, a truth value, a vector, or missing."""
