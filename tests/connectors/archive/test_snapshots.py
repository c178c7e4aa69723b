"""snapshot_archive on SQLite and on a real PostgreSQL: the same promises, and the errors of a server."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from connectors import database, errors
from connectors.archive import parquet
from connectors.archive import postgres as archive_postgres
from connectors.archive import snapshots as archived_snapshots
from connectors.database import sqlite
from sql import ddl, tables
from tests.connectors.conftest import Server
from tests.support import fakes

GREYSON = "GREYSON CLOTHIERS"
AT = datetime(2026, 11, 21, 10, 0, 0, 123456, tzinfo=UTC)
FILE = parquet.write([("A", 7, "HASH", "IN_SYNC", "ARCTIC", 3)], [("COLOUR", "NVARCHAR"), ("S", "INT")])


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.processes)])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[database.Database]:
    made: database.Database
    if request.param == "sqlite":
        made = sqlite.SqliteDatabase(tmp_path / "orders.db")
    else:
        made = archive_postgres.PostgresDatabase(request.getfixturevalue("postgres"))
    yield made
    made.close()


@pytest.fixture
def store(db: database.Database) -> archived_snapshots.Archive:
    made = archived_snapshots.Archive(db, days=30, now=fakes.Clock())
    assert "table snapshot_archive" in made.prepare()
    return made


def change(db: database.Database, statement: str, *params: database.Value) -> None:
    with db.write() as session:
        assert session.execute(statement, params) == 1


def test_a_snapshot_is_read_as_it_was_stored(store: archived_snapshots.Archive) -> None:
    store.store(GREYSON, 7, AT, FILE)
    (entry,) = store.entries()
    assert (entry.customer, entry.version, entry.taken_at, entry.rows) == (GREYSON, 7, AT, 1)
    assert (entry.size, entry.checksum) == (len(FILE.payload), FILE.checksum)
    assert store.entry(entry.id) == entry
    assert store.payload(entry) == FILE.payload


def test_a_pass_is_archived_once(store: archived_snapshots.Archive) -> None:
    assert not store.has(GREYSON, 7)
    store.store(GREYSON, 7, AT, FILE)
    store.store(GREYSON, 7, AT + timedelta(hours=1), FILE)
    assert store.has(GREYSON, 7)
    assert not store.has("OTHER", 7)
    assert [entry.taken_at for entry in store.entries(GREYSON)] == [AT]


def test_entries_are_in_order_of_time_and_go_one_by_one(store: archived_snapshots.Archive) -> None:
    for hour in (2, 0, 1):
        store.store(GREYSON, hour + 1, AT + timedelta(hours=hour), FILE)
    store.store("OTHER", 1, AT, FILE)
    assert [entry.version for entry in store.entries(GREYSON)] == [1, 2, 3]
    store.remove([entry.id for entry in store.entries(GREYSON)[:2]])
    assert [(entry.customer, entry.version) for entry in store.entries()] == [(GREYSON, 3), ("OTHER", 1)]


def test_a_snapshot_that_was_changed_is_refused(store: archived_snapshots.Archive, db: database.Database) -> None:
    store.store(GREYSON, 7, AT, FILE)
    (entry,) = store.entries()
    damaged = FILE.payload[:-9] + bytes(9)
    change(db, "UPDATE snapshot_archive SET parquet_data = ? WHERE id = ?", damaged, entry.id)
    with pytest.raises(errors.Misconfigured, match=f"snapshot {entry.id} of {GREYSON} is damaged"):
        store.payload(entry)


def test_a_snapshot_of_another_form_is_refused(store: archived_snapshots.Archive, db: database.Database) -> None:
    store.store(GREYSON, 7, AT, FILE)
    change(db, "UPDATE snapshot_archive SET schema_version = '9'")
    (entry,) = store.entries()
    with pytest.raises(errors.Misconfigured, match="has form 9, this version of ordersync reads form 1"):
        store.payload(entry)


def test_a_removed_snapshot_is_reported(store: archived_snapshots.Archive) -> None:
    store.store(GREYSON, 7, AT, FILE)
    (entry,) = store.entries()
    store.remove([entry.id])
    assert store.entry(entry.id) is None
    with pytest.raises(errors.Misconfigured, match="is no longer in the archive"):
        store.payload(entry)


def test_a_second_prepare_creates_nothing(store: archived_snapshots.Archive) -> None:
    assert store.prepare() == []


def test_an_archive_of_an_earlier_version_gets_the_column_it_lacks(postgres: str) -> None:
    declared = tables.get(tables.ARCHIVE)
    before = replace(declared, columns=tuple(c for c in declared.columns if c.origin == "contract"))
    with psycopg.connect(postgres) as admin:
        admin.execute(ddl.create_table(before, "postgresql"))
    older = archive_postgres.PostgresDatabase(postgres)
    made = older.apply_schema(AT)
    assert "column [version] of snapshot_archive" in made
    assert "table snapshot_archive" not in made
    assert [column.name for column in older.columns("snapshot_archive")] == list(declared.names)
    assert older.apply_schema(AT) == []


def test_a_server_that_is_away_is_transient_until_it_returns(postgres_server: Server, postgres: str) -> None:
    store = archived_snapshots.Archive(archive_postgres.PostgresDatabase(postgres), days=30, now=fakes.Clock())
    store.prepare()
    postgres_server.stop()
    try:
        with pytest.raises(errors.Transient, match="does not answer"):
            store.store(GREYSON, 7, AT, FILE)
    finally:
        postgres_server.start()
    store.store(GREYSON, 7, AT, FILE)
    assert store.has(GREYSON, 7)


def test_an_archive_without_tables_says_what_to_do(postgres: str) -> None:
    empty = archived_snapshots.Archive(archive_postgres.PostgresDatabase(postgres), days=30, now=fakes.Clock())
    with pytest.raises(errors.Misconfigured, match="has no tables yet"):
        empty.entries()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@127.0.0.1:1/orders",
        "postgresql://me@127.0.0.1:1/orders?password=hunter2",
        "postgresql://me:hunter2/x@[bad",
        "postgresql://me@127.0.0.1/orders?unknown=hunter2",
    ],
)
def test_no_error_shows_the_password(url: str) -> None:
    with pytest.raises(errors.OrdersyncError) as raised:
        archive_postgres.PostgresDatabase(url).columns("snapshot_archive")
    chain: BaseException | None = raised.value
    while chain is not None:
        assert "hunter2" not in str(chain)
        chain = chain.__cause__


def test_a_mistake_in_a_statement_is_not_taken_for_trouble(postgres: str) -> None:
    with pytest.raises(psycopg.errors.SyntaxError), archive_postgres.PostgresDatabase(postgres).read() as session:
        session.query("SELEC 1")
