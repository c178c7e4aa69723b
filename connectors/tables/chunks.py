"""Values in slices that fit the parameters of one statement."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

# A statement takes 2,000 parameters on every engine.
PARAMETERS_PER_CHUNK = 500


def batched(values: Sequence[T], size: int = PARAMETERS_PER_CHUNK) -> Iterator[Sequence[T]]:
    """Slices of at most `size` values, in order."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
