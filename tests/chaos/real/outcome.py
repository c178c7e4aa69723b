"""What a named scenario of `make chaos` came to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol


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


class OnEither(Protocol):
    """A scenario that plays on either build of Faust; `pure` chooses the pure-Python one."""

    def __call__(self, folder: Path, seed: int, /, *, pure: bool) -> Outcome: ...


def every_second_pure(named: Mapping[str, OnEither]) -> dict[str, Scenario]:
    """Place and seed decide on the build, and the line says which it was: the next seed plays each on the other."""
    return {name: _either(play, place) for place, (name, play) in enumerate(named.items())}


def _either(play: OnEither, place: int) -> Scenario:
    def run(folder: Path, seed: int) -> Outcome:
        # The first scenario of the first seed plays on the compiled build.
        pure = (place + seed) % 2 == 0
        played = play(folder, seed, pure=pure)
        return replace(played, figures={"build": "pure" if pure else "compiled", **played.figures})

    return run


def _shown(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)
