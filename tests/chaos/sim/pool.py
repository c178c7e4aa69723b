"""Schedules over all cores: each process makes its templates once, and plays one story after the other."""

import gc
import multiprocessing
import os
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.chaos.judge import Verdict
from tests.chaos.sim import play, world
from tests.chaos.sim.script import schedule

_templates: list[world.Templates] = []


def verdicts(seeds: Iterable[int], jobs: int = 0) -> Iterator[tuple[int, Verdict]]:
    """Seed and verdict, in the order of the seeds. `jobs` of 0: one process a core."""
    with (
        play.folder() as folder,
        ProcessPoolExecutor(
            jobs or os.cpu_count(), multiprocessing.get_context("spawn"), initializer=_prepare, initargs=(folder,)
        ) as processes,
    ):
        try:
            yield from processes.map(_verdict, seeds, chunksize=5)
        finally:
            processes.shutdown(cancel_futures=True)


def _prepare(folder: Path) -> None:
    world.silent()
    _templates.append(world.templates(Path(tempfile.mkdtemp(dir=folder))))
    # The modules and templates are never garbage, and a story's is collected after it.
    gc.freeze()
    gc.disable()


def _verdict(seed: int) -> tuple[int, Verdict]:
    return seed, play.verdict(schedule(seed), _templates[0])
