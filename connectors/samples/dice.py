"""Random choices from one seed."""

import random
import uuid
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """One stream of random numbers.

    Every method but `uuid` uses `random()` alone: Python guarantees its numbers for a seed.
    """

    def __init__(self, seed: int | str) -> None:
        self._generator = random.Random(seed)
        self.roll = self._generator.random

    def chance(self, share: float) -> bool:
        """True in this share of the calls."""
        return self.roll() < share

    def below(self, limit: int) -> int:
        """A whole number from 0 to `limit` - 1."""
        return int(self.roll() * limit)

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices, all equally likely."""
        return choices[int(self.roll() * len(choices))]

    def uuid(self) -> str:
        """A random uuid, upper-case, as the server writes it."""
        return str(uuid.UUID(int=self._generator.getrandbits(128), version=4)).upper()
