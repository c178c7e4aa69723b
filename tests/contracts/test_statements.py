"""The engine runs every portable statement, on the tables as they are."""

import re
from collections.abc import Iterator
from contextlib import suppress

import pytest

import sql
from connectors import database, errors
from connectors.database import odbc_driver
from tests.contracts import engines

# Placeholders: columns that staging and production, or the source, really have.
SAMPLES = {"column": "ACTIVE", "columns": ("STYLE", "COLOR"), "texts": "s.[ACTIVE], s.[All]", "table": "SYNC_State"}
SAMPLES |= {"key": "name", "holder": "value"}
SAMPLES |= dict.fromkeys(
    [
        "uuid_text", "key_text", "group_text", "plain_text", "shown_text", "name_text", "number_text", "po_text",
        "value_text",
    ],
    "s.record_uuid",
)  # fmt: skip
PORTABLE = {
    f"{step}-{block.name}": block
    for step in sql.files()
    # The archive is in PostgreSQL or in a SQLite file.
    if step not in ("archive", "postgresql")
    for block in sql.blocks(step)
    if block.engine is None
}


@pytest.fixture(scope="module")
def db(
    engine: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[database.Database]:
    """One database for all statements, because none is kept."""
    with engines.opened(engine, tmp_path_factory.mktemp("statements"), request) as opened:
        yield opened


class Undone(Exception):
    """Ends a transaction that is not to be kept."""


def run(db: database.Database, engine: str, block: sql.Block) -> None:
    """Runs a block with NULL for every parameter, and keeps no change."""
    text = sql.expand(
        block.text,
        **{
            name: SAMPLES.get(name, "s.record_uuid" if name.endswith("_text") else 2)
            for name in sql.placeholders(block.text)
        },
    )
    nothing = [None] * re.sub(r"'[^']*'", "", text).count("?")
    refused = odbc_driver.load().Error if engine == "odbc" else errors.Rejected
    if text.startswith("SELECT"):
        with db.read() as session:
            assert isinstance(session.query(text, nothing), list)
        return
    with suppress(Undone), db.write() as session:
        try:
            assert session.execute(text, nothing) >= 0
        except refused:
            # A key must not be NULL, so the engine has understood the statement.
            assert text.startswith("INSERT")
        raise Undone


def test_the_engine_runs_every_statement(db: database.Database, engine: str) -> None:
    failed = {}
    for name, block in PORTABLE.items():
        try:
            run(db, engine, block)
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"
    assert failed == {}
