"""validate on a server that hashes: the columns it cannot hash, and the faster side. SQLite runs its T-SQL."""

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from connectors.monday.board_values import BoardIdentity
from connectors.tables import orders
from mappings import columns, hashing, sizes
from schemas.bindings import Creates
from streams import resources
from streams.cli import main as cli
from streams.commands import pushdown, validate
from streams.resources import utcnow
from streams.runtime import connect
from streams.settings import Settings
from tests.support import transpiled
from tests.support.factories import World, row


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with transpiled.world(tmp_path) as made:
        yield made


def validated(world: World, found: tuple[str, ...] = (), **given: Any) -> validate.Validation:
    """The report of validate about push-down detection, with the tables of `world` as the server's."""
    given_settings = Settings(database="mssql://u@h/d", database_password=SecretStr("p"), **given)
    parts = resources.Resources(given_settings)
    parts.__dict__["db"] = world.db
    return validate.check_pushdown(parts, list(found))


def check(world: World, clock: Callable[[], float]) -> pushdown.PushdownCheck:
    return pushdown.PushdownCheck(
        transpiled.orders_of(world), orders.Orders(world.db, world.clock), hashing.RowHasher, clock
    )


def watched(world: World) -> tuple[str, ...]:
    return columns.watched(world.mappings, sizes.size_columns(world.orders.columns(), world.mappings.board.sizes))


def test_every_watched_column_that_cannot_be_hashed_is_named(world: World) -> None:
    transpiled.database_of(world).types = {
        "NOTES": "XML",
        "EX FACTORY DATE": "DATETIMEOFFSET",
        "record_uuid": "SQL_VARIANT",
    }
    said = [
        "the server cannot hash [NOTES] of ORDERS_UNIFIED, which is XML",
        "the server cannot hash [EX FACTORY DATE] of ORDERS_UNIFIED, which is DATETIMEOFFSET",
    ]
    advice = ": change its type, or set detect_hash to client"
    assert "NOTES" in watched(world)
    assert "record_uuid" not in watched(world)
    found = validated(world, ("a mistake",))
    assert (found.mistakes[0], found.notes) == ("a mistake", [])
    assert sorted(found.mistakes[1:]) == sorted(f"{line}{advice}" for line in said)
    # Compared here, nothing is wrong with them.
    found = validated(world, detect_hash="client")
    assert (found.mistakes, sorted(found.notes)) == ([], sorted(said))


def test_on_sqlite_there_is_no_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = Settings(home=tmp_path)
    with connect.database(local) as parts:
        parts.db.apply_schema(utcnow())
    board = parts.mappings.board
    of_board: dict[str, list[Any]] = {
        board.board.id: [*board.columns, board.key],
        board.board.subitem_board_id: [board.subitem.size, board.subitem.quantity],
    }

    class SoundTopics:
        """Topics that are as they should be."""

        def compare(self, specs: object) -> list[str]:
            return []

    monkeypatch.setattr(connect, "everything", connect.database)
    monkeypatch.setattr(resources.Resources, "admin", SoundTopics())
    monkeypatch.setattr(
        validate, "_columns", lambda _, board_id: [(one.id, one.title, one.type) for one in of_board[board_id]]
    )
    identity = BoardIdentity(account_id="1", account_name="ACME", board_id="9", board_name="Orders", items=0)

    async def asked(*_: object) -> BoardIdentity:
        return identity

    monkeypatch.setattr(connect, "ask_board", asked)
    found = validate.validate(local, lambda: datetime(2026, 12, 1, tzinfo=UTC))
    assert found.mistakes == []
    assert [note.partition(";")[0] for note in found.notes] == ["not bound yet"]
    with connect.database(local) as parts:
        binding = parts.bindings.add(connect.new_binding(parts, identity, Creates.FREE, "ONE"))
    found = validate.validate(local, lambda: datetime(2026, 12, 1, tzinfo=UTC))
    assert (found.mistakes, found.notes) == ([], [f"bound to {binding.text}"])
    identity = identity.model_copy(update={"account_id": "2", "account_name": "Other"})
    (mistake,) = validate.validate(local, lambda: datetime(2026, 12, 1, tzinfo=UTC)).mistakes
    assert "account 1 (ACME), not to account 2 (Other)" in mistake
    identity = identity.model_copy(update={"account_id": "1"})
    of_board[board.board.id].pop()
    found = validate.validate(local, lambda: datetime(2027, 1, 31, tzinfo=UTC))
    (mistake,), (_, note) = found.mistakes, found.notes
    assert note.startswith("Monday.com supports the API version 2026-10 for 60 more days")
    assert "has no key column" in mistake


def test_both_sides_are_measured_on_a_sample(world: World) -> None:
    assert validated(world).notes == ["ORDERS_UNIFIED is empty: nothing was measured"]
    world.add(*(row(n) for n in range(30)))
    found = validated(world)
    assert found.mistakes == []
    (note,) = found.notes
    assert note.startswith("a sample of 30 rows: the server compares them in 0.")
    assert "detect_hash is not set, the server compares" in note
    assert validated(world, ("a mistake",)) == validate.Validation(["a mistake"], [])


def test_the_medians_are_of_runs_after_the_first(world: World) -> None:
    world.add(*(row(n) for n in range(3)))
    # Of both ways in turn; the first run of each opens plans and pages.
    durations = [90.0, 90.0, 3.0, 8.0, 1.0, 8.0, 2.0, 9.0]
    ticks = itertools.accumulate(itertools.chain.from_iterable((0.0, seconds) for seconds in durations))
    timing = check(world, lambda: next(ticks)).timing(watched(world))
    assert timing == pushdown.Timing(rows=3, server=2.0, client=8.0)


def test_the_sample_ends_where_it_should(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushdown, "SAMPLE", 2)
    world.add(*(row(n) for n in range(3)))
    timing = check(world, itertools.count().__next__).timing(watched(world))
    assert timing is not None
    assert timing.rows == 2


def test_the_server_hashes_each_row_of_the_sample(world: World) -> None:
    world.add(*(row(n, NOTES=f"note {n}") for n in range(6)))
    uuids = list(transpiled.orders_of(world).identities())
    hash_rows = transpiled.orders_of(world).hasher(watched(world))
    assert hash_rows(uuids) == 6
    assert hash_rows(uuids[:2]) == 2


@pytest.mark.parametrize(
    ("server", "client", "on_server", "setting", "chosen", "quicker"),
    [
        (1.0, 2.0, True, None, "detect_hash is not set, the server compares", ""),
        (1.0, 2.0, False, "client", "detect_hash is client, the client compares", "server"),
        (3.0, 2.0, True, "server", "detect_hash is server, the server compares", "client"),
        (3.0, 2.0, False, "client", "detect_hash is client, the client compares", ""),
        (2.1, 2.0, True, None, "detect_hash is not set, the server compares", ""),
    ],
)
def test_the_ratio_is_printed_with_the_side_that_the_setting_chooses(
    server: float, client: float, on_server: bool, setting: str | None, chosen: str, quicker: str
) -> None:
    said = pushdown.Timing(1000, server, client).describe(on_server=on_server, setting=setting)
    assert said == (
        f"a sample of 1,000 rows: the server compares them in {server:.3f} s, the client in {client:.3f} s "
        f"({server / client:.2f} times as long on the server); {chosen}"
        + (f"; `detect_hash: {quicker}` would be faster" if quicker else "")
    )


def test_notes_are_shown_and_only_mistakes_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    for mistakes, code in (([], 0), (["wrong"], 1)):
        monkeypatch.setattr(validate, "validate", lambda _, m=mistakes: validate.Validation(m, ["worth knowing"]))
        shown = CliRunner().invoke(cli.app, ["validate"])
        assert shown.exit_code == code
        assert shown.output.startswith("worth knowing\n")
        assert ("wrong" in shown.output) == bool(mistakes)
