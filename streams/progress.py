"""The type of the functions to which long commands report their progress."""

from collections.abc import Callable

# Called with the name of the work, the amount done, and the total if it is known.
Progress = Callable[[str, int, int | None], None]


def silent(work: str, done: int, total: int | None) -> None:
    """Reports nothing."""
