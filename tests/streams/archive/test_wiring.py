"""What the poller does between its passes: none of its trouble stops the pipeline, and all of it is made up for."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo
from pydantic import SecretStr

from connectors import errors
from connectors.archive import snapshots as archived_snapshots
from streams import resources, settings
from streams.archive import wiring as archive_wiring
from streams.commands import setup
from streams.detect import archive_queue, holds
from streams.runtime import connect as runtime_connect
from tests.support import factories
from tests.support.factories import World, identity, row

GREYSON, OTHER = "GREYSON CLOTHIERS", "JOHNNIE O"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        yield made


@contextlib.contextmanager
def between(world: World, archive: str = "") -> Iterator[archive_wiring.BetweenPasses]:
    given = settings.Settings(home=world.path.parent, database=str(world.path), archive=SecretStr(archive))
    parts = resources.Resources(given)
    try:
        yield archive_wiring.BetweenPasses(parts, world.topic, contextlib.nullcontext)
    finally:
        parts.close()


def test_an_archive_that_is_away_is_said_once_and_made_up_for(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.add(row(1), row(2, CUSTOMER_NAME=OTHER))
    world.flow()
    with between(world, "postgresql://me:hunter2@127.0.0.1:1/archive") as away:
        for _ in range(3):
            away.archive(lambda: True)
    (said,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "127.0.0.1:1/archive does not answer" in said
    assert "hunter2" not in said
    assert archive_queue.read(world.state).keys() == {GREYSON, OTHER}
    with between(world) as back:
        back.archive(lambda: True)
    assert archive_queue.read(world.state) == {}


def test_setup_tells_at_once_that_the_archive_does_not_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # The archive is asked before broker and board are.
    monkeypatch.setattr(runtime_connect, "everything", runtime_connect.database)
    wrong = SecretStr("postgresql://me:hunter2@127.0.0.1:1/archive")
    given = settings.Settings(home=world.path.parent, database=str(world.path), archive=wrong)
    with pytest.raises(errors.Transient, match=r"127\.0\.0\.1:1/archive does not answer") as told:
        setup.setup(given, sample_orders=0, seed=1)
    assert "hunter2" not in str(told.value)


def test_the_archives_password_may_be_in_a_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []

    def connect(text: str) -> None:
        given.append(text)
        raise psycopg.OperationalError("connection refused")

    monkeypatch.setattr(psycopg, "connect", connect)
    file = world.path.parent / "password"
    file.write_text("hunter 2\n")
    url = SecretStr("postgresql://me@h/archive")
    told = settings.Settings(database=str(world.path), archive=url, archive_password_file=file)
    with pytest.raises(errors.Transient, match="h:5432/archive does not answer") as caught:
        archive_wiring.snapshot_archive(resources.Resources(told)).prepare()
    assert conninfo.conninfo_to_dict(given[0])["password"] == "hunter 2"
    assert "hunter" not in str(caught.value)


def test_at_least_one_customer_is_archived_however_short_the_pause(world: World) -> None:
    world.add(row(1), row(2, CUSTOMER_NAME=OTHER))
    world.flow()
    with between(world) as poller:
        poller.archive(lambda: False)
        assert len(archive_queue.read(world.state)) == 1
        poller.archive(lambda: False)
        assert archive_queue.read(world.state) == {}


def test_a_snapshot_that_is_damaged_stops_its_own_roll_back_and_no_other(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.add(row(1), row(2, CUSTOMER_NAME=OTHER))
    world.flow()
    with between(world) as poller:
        poller.archive(lambda: True)
        world.edit(1, {"NOTES": "new"})
        world.edit(2, {"NOTES": "new"})
        world.flow()
        store = archived_snapshots.Archive(world.db, days=30, now=world.clock)
        for customer in (GREYSON, OTHER):
            (entry,) = store.entries(customer)
            told = holds.Hold(customer=customer, by="me", at=world.clock(), snapshot=entry.id, complete=False)
            holds.keep(world.state, told)
        world.run("UPDATE snapshot_archive SET file_checksum = 'x' WHERE customer_filter = ?", GREYSON)
        for _ in range(2):
            poller.go_on()
    assert [event.record_uuid for event in world.topic.take()] == [identity(2)]
    assert [one.complete for one in holds.holds(world.state).values()] == [False, True]
    (said,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert said.startswith(f"roll back of {GREYSON}: snapshot")
    assert "is damaged" in said
