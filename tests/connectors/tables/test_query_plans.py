"""No statement of the hot path reads a big table from end to end; named values outlive the process."""

import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import sql
from sql import script, uuids
from tests.support import factories
from tests.support.factories import World

ROOT = Path(__file__).parents[3]
TABLES, SQL = ROOT / "connectors" / "tables", ROOT / "sql"
# An operator reads these tables as a whole, now and then.
BY_HAND = ("customers", "history", "identities", "lost_events", "orders_pushdown", "repairs", "row_states")
FILES = tuple(
    path.stem
    for path in sorted(TABLES.glob("*.py"))
    if (SQL / f"{path.stem}.sql").exists() and path.stem not in BY_HAND
)
SAMPLES = {"column": "ACTIVE", "columns": ("STYLE", "COLOR"), "texts": "s.[ACTIVE]", "table": "SYNC_Requests"}

# Indexes of the few rows that a statement is about: it reads them from end to end.
PARTIAL = ("IX_Requests_Unfinished", "IX_MON_Warnings")
SAMPLES_OF_ONE = {
    "uuid_text": uuids.canonical("sqlite", "s.record_uuid"),
    "key_text": uuids.key("sqlite", "s.record_uuid"),
    "group_text": uuids.key("sqlite", "s.record_uuid"),
    "plain_text": "s.record_uuid",
    "shown_text": "s.record_uuid",
    "name_text": "s.[CUSTOMER NAME]",
    "value_text": "s.[ACTIVE]",
}

# The statements that may read a table from end to end, and why.
WHOLE = {
    "orders.scan": "a pass reads every row",
    "orders.scan_chosen": "an operator asks, now and then",
    "orders.customers": "an operator asks, now and then",
    "orders.spellings": "an operator asks, now and then",
    "orders.rows": "the source has no index of ours: a pass reads admitted rows in chunks of 500",
    "orders.rows_without_identity": "once a pass, which reads every row",
    "orders.rows_spelled": "only rows that left since the scan, or whose spelling is a rare one",
    "orders.identity_spellings": "only while two rows share an identity",
    "orders.duplicates": "once a pass, which reads every row",
    "orders.deleted": "once a pass, which reads every row: both tables once, with or without indexes",
    "orders.with_numbers": "only while integer columns are undecided",
    "plans.of_state": "a table of few rows",
    "actions.newest": "an operator asks, now and then",
    "orders.source_rows": "an operator asks, now and then",
    "orders.known_rows": "once a pass",
    "orders.identities_of": "only while customers are on hold",
    "orders.states": "an operator asks, now and then",
    "ledger.items_in_groups": "only while a group does not have the name that we know",
    "ledger.items_of_others": "only for items of a replay that are there twice",
    "ledger.items_of_orders": "an operator takes over a board, once",
    "production.legacy_orders": "an operator takes over a board, once",
    "ledger.active_items": "once, to bind a home of an earlier version",
    "ledger.changed_since": "once an audit of the board",
    "cleanup.rows": "an operator asks, now and then",
    "batches.batches": "an operator asks, now and then",
    "batches.active_batches": "an operator asks, now and then",
    "journal.carried_out": "the demo's figures",
    "production.production_orders": "a comparison of everything",
    "production.production_count": "before a comparison of everything",
    "production.production_sizes": "a comparison of everything",
}


@pytest.fixture(scope="module")
def schema() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(script.text("sqlite"))
        yield connection


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        yield made


def whole_reads(connection: sqlite3.Connection, text: str) -> list[str]:
    """The tables that SQLite would read from end to end; a partial index is made to be read so."""
    statement = sql.expand(text, **{name: (SAMPLES | SAMPLES_OF_ONE).get(name, 2) for name in sql.placeholders(text)})
    marks = re.sub(r"'[^']*'", "", statement).count("?")
    plan = [line[3] for line in connection.execute(f"EXPLAIN QUERY PLAN {statement}", [None] * marks)]
    named = (re.match(r"SCAN (\w+)(?: USING .*INDEX (\w+))?", line) for line in plan)
    read = [(found[1], found[2]) for found in named if found]
    return [table for table, index in read if table not in ("CONSTANT", "q") and index not in PARTIAL]


@pytest.mark.parametrize("file", FILES)
def test_only_the_listed_statements_read_a_whole_table(schema: sqlite3.Connection, file: str) -> None:
    blocks = [block for block in sql.blocks(file) if block.engine in (None, "sqlite")]
    found = {f"{file}.{block.name}" for block in blocks if whole_reads(schema, block.text)}
    assert found == {name for name in WHOLE if name.startswith(f"{file}.")}


def test_the_anti_join_of_a_pass_takes_no_longer_than_the_pass(world: World) -> None:
    # It once ran a scan for each row of the snapshot: twenty thousand rows took minutes. Steps are counted, not time.
    numbers = [(factories.identity(n),) for n in range(3000)]
    with world.db.write() as session:
        session.execute_many("INSERT INTO ORDERS_UNIFIED (record_uuid) VALUES (?)", numbers)
        session.execute_many(
            "INSERT INTO ORDERS_UNIFIED_SNAPSHOT (record_uuid, row_hash, [AAG ORDER NUMBER], snapshot_date, version) "
            "VALUES (?, 'H', '', '', 1)",
            numbers,
        )
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    statement = sql.expand(sql.load("orders", "sqlite")["deleted"], key_text=uuids.key("sqlite", "s.record_uuid"))
    with closing(sqlite3.connect(world.path)) as connection:
        connection.set_progress_handler(count, 1000)
        assert connection.execute(statement).fetchall() == []
    assert steps < 3000 * 100 / 1000


def test_a_named_value_is_the_one_that_was_set_last(world: World) -> None:
    assert world.state.get("nothing") is None
    for value in ({"a": [1, "é", None]}, 0, "", False, None):
        world.state.set("value", value)
        assert world.state.get("value") == value


def test_a_named_value_can_be_part_of_another_transaction(world: World) -> None:
    world.state.set("value", "before")
    with pytest.raises(RuntimeError), world.db.write() as session:
        world.state.mark("value", "never")(session)
        raise RuntimeError
    assert world.state.get("value") == "before"
    world.orders.rebaseline([], world.state.mark("value", "after"))
    assert world.state.get("value") == "after"


def test_no_two_threads_get_the_same_number(world: World) -> None:
    numbers: list[int] = []
    gate = threading.Barrier(4)

    def ask() -> None:
        gate.wait()
        numbers.extend(world.state.next_number("pass") for _ in range(25))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 101))
