"""How a long command reports its progress."""

from collections.abc import Callable

# Called with the work in words, how much of it is done, and of how much if that is known.
Progress = Callable[[str, int, int | None], None]


def silent(what: str, done: int, total: int | None) -> None:
    """Reports nothing."""
