"""What a named scenario of `make chaos` came to."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """`figures` are printed in their order; `wrong` says, a line each, what should not be. `ok` with nothing wrong."""

    ok: bool
    figures: dict[str, object] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def line(self, name: str) -> str:
        """`scenario=NAME ok lost=0 … seconds=…`."""
        told = (f"{key}={_shown(value)}" for key, value in self.figures.items())
        return " ".join([f"scenario={name}", "ok" if self.ok else "FAILED", *told])


# Called with an empty folder and the seed.
Scenario = Callable[[Path, int], Outcome]


def _shown(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)
