"""mapping_files: a process ends for a new mapping, goes on despite a mistake, and never stages with an old mapping."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from connectors import errors
from mappings import loading
from schemas import events
from streams.delivery.mapping_files import MappingFiles
from tests.support import factories
from tests.support.factories import World, row


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "mapping"
    made.mkdir()
    for name in ("board.yaml", "customers.csv", "values.csv"):
        shutil.copy(loading.BUNDLED / name, made / name)
    return made


def files(world: World, folder: Path) -> MappingFiles:
    return MappingFiles(folder, loading.read(folder), world.state)


def mend(folder: Path, line: str) -> None:
    with (folder / "customers.csv").open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")


def test_another_mapping_ends_the_process_and_the_same_one_does_not(world: World, folder: Path) -> None:
    known = files(world, folder)
    known.require_unchanged()
    (folder / "values.csv").write_bytes((folder / "values.csv").read_bytes() + b"\n")
    known.require_unchanged()
    mend(folder, "Greysn,GREYSON CLOTHIERS")
    with pytest.raises(errors.Outdated):
        known.require_unchanged()
    files(world, folder).require_unchanged()


def test_a_mistake_is_named_until_it_is_corrected(world: World, folder: Path) -> None:
    known = files(world, folder)
    before = (folder / "customers.csv").read_bytes()
    mend(folder, "a line with, too, many, cells")
    known.require_unchanged()
    told = world.state.get("attention.mapping")
    assert "customers.csv" in told["reason"]
    assert "cells" in told["reason"]
    (folder / "customers.csv").write_bytes(before)
    known.require_unchanged()
    assert world.state.get("attention.mapping") is None


def test_a_worker_stages_nothing_that_was_detected_with_a_newer_mapping(world: World, folder: Path) -> None:
    worker = files(world, folder)
    stager = replace(world.stager, require_newest=worker.require_newest, mappings=worker.mappings)
    world.use(worker.mappings)
    world.add(row(1), row(2, CUSTOMER_NAME="Greysn"))
    first = world.passed()
    assert len(stager.run(first)) == 2
    mend(folder, "Greysn,GREYSON CLOTHIERS")
    world.use(loading.read(folder))
    world.promote(*world.arrive([e for e in world.stage(*first) if isinstance(e, events.OrderStaged)]))
    (event,) = world.passed()
    assert event.cause is events.Cause.REMAP
    with pytest.raises(errors.Outdated):
        stager.run([event])
    # Another machine, whose files have not changed: it must not guess.
    shutil.copy(loading.BUNDLED / "customers.csv", folder / "customers.csv")
    with pytest.raises(errors.Misconfigured, match="another mapping than this worker"):
        stager.run([event])
    # A worker that is newer than the event converts it: the newest mapping is right.
    assert len(world.stage(event)) == 1


def test_an_older_event_is_converted_with_the_newest_mapping(world: World, folder: Path) -> None:
    world.use(loading.read(folder))
    world.add(row(1, CUSTOMER_NAME="Greysn"))
    old = world.passed()
    mend(folder, "Greysn,GREYSON CLOTHIERS")
    worker = files(world, folder)
    world.use(worker.mappings)
    world.passed()
    (staged,) = replace(world.stager, require_newest=worker.require_newest).run(old)
    assert isinstance(staged, events.OrderStaged)
