"""A column that a user deleted or changed stops the board once: no order fails, and the lane goes on by itself."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from connectors import errors
from connectors.monday import board_values
from connectors.simulator.faults import Kind, Rule
from mappings import checks
from schemas import events
from streams.sync import outline
from tests.support.virtual import timeless
from tests.support.writer_desk import Desk, desk, order, synced

Target = Callable[[Desk], tuple[str, str, str, str]]


@dataclass
class Counted:
    """A board that counts the reads of its columns."""

    board: outline.Columns
    reads: int = 0

    async def columns_of(self, board_ids: Sequence[str]) -> Mapping[str, Sequence[board_values.BoardColumn]]:
        self.reads += 1
        return await self.board.columns_of(board_ids)


def column(at: Desk, source: str = "PATTERN ID") -> tuple[str, str, str, str]:
    """Board, id, title and type of the column that is filled from this source column."""
    board = at.world.mappings.board
    found = next(one for one in board.columns if one.source == source)
    return board.board.id, found.id, found.title, found.type.value


def quantity(at: Desk) -> tuple[str, str, str, str]:
    board = at.world.mappings.board
    field = board.subitem.quantity
    return board.board.subitem_board_id, field.id, field.title, field.type.value


def key(at: Desk) -> tuple[str, str, str, str]:
    board = at.world.mappings.board
    return board.board.id, board.key.id, board.key.title, board.key.type.value


def delete(at: Desk, target: tuple[str, str, str, str]) -> None:
    at.by_hand("delete_column", board_id=target[0], column_id=target[1])


def restore(at: Desk, target: tuple[str, str, str, str], kind: str = "") -> None:
    at.by_hand("restore_column", board_id=target[0], column_id=target[1], title=target[2], type=kind or target[3])


@pytest.mark.parametrize("target", [column, quantity, key])
@timeless
async def test_a_deleted_column_stops_the_board_until_it_is_restored(tmp_path: Path, target: Target) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1))
        gone = target(at)
        delete(at, gone)
        staged = at.stage(*(order(number) for number in range(2, 6)))
        for _ in range(2):
            with pytest.raises(errors.Misconfigured) as stopped:
                await at.life.step(staged)
            assert stopped.value.code == checks.COLUMN_MISSING
            for words in (repr(gone[1]), f"[{gone[2]}]", "restore it"):
                assert words in str(stopped.value)
            at.reset()
        assert at.calls == 0
        restore(at, gone)
        emitted = await at.life.step(staged)
        assert len(synced(*emitted)) == 4
        assert at.sizes(5) == {"S": 1, "M": 2}
        assert at.shown(5, "PATTERN ID") == "P-1"


@timeless
async def test_a_column_of_another_type_stops_the_board(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1))
        changed = column(at)
        restore(at, changed, "numbers")
        with pytest.raises(errors.Misconfigured, match="is of type numbers, the mapping says text") as stopped:
            await at.sync(order(2))
        assert stopped.value.code == checks.COLUMN_TYPE
        restore(at, changed)
        assert len(synced(*await at.again(order(2)))) == 1


@timeless
async def test_a_refused_value_with_sound_columns_stays_the_failure_of_its_order(tmp_path: Path) -> None:
    # The group of the first request changed the outline, so the order is planned once more.
    rule = Rule(kind=Kind.PARTIAL_ALIASES, at=(2, 3), aliases=(0,), code="ColumnValueException")
    async with desk(tmp_path, rule) as at:
        emitted = await at.sync(order(1, sizes={}), order(2, sizes={}))
        assert [type(one) for one in emitted] == [events.OrderFailed, events.OrderSynced]


@timeless
async def test_columns_are_read_every_ten_seconds_at_most(tmp_path: Path) -> None:
    rules = [
        Rule(kind=Kind.PARTIAL_ALIASES, at=(number,), aliases=(0,), code="ColumnValueException") for number in (2, 3, 4)
    ]
    async with desk(tmp_path, *rules) as at:
        counted = at.writer.columns.board = Counted(at.writer.columns.board)
        await at.sync(order(1, sizes={}))
        await at.sync(order(2, sizes={}))
        await asyncio.sleep(11)
        await at.sync(order(3, sizes={}))
        assert counted.reads == 2


@timeless
async def test_a_column_that_the_api_does_not_know_is_looked_up_even_right_after_a_read(tmp_path: Path) -> None:
    rule = Rule(kind=Kind.PARTIAL_ALIASES, at=(2,), aliases=(0,), code="ColumnValueException")
    async with desk(tmp_path, rule) as at:
        await at.sync(order(1, sizes={}))
        delete(at, column(at))
        began = asyncio.get_running_loop().time()
        with pytest.raises(errors.Misconfigured):
            await at.sync(order(2, sizes={}))
        assert 9 < asyncio.get_running_loop().time() - began < 11


@timeless
async def test_a_refusal_of_the_whole_request_is_looked_up_too(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1, sizes={}))
        delete(at, column(at))
        await at.writer.columns.refused(["SomethingElse"])
        with pytest.raises(errors.Misconfigured):
            await at.writer.columns.refused(["InvalidColumnIdException"])
        with pytest.raises(errors.Misconfigured):
            await at.writer.columns.before_writing()
        restore(at, column(at))
        await at.writer.columns.before_writing()


@timeless
async def test_validate_says_the_same_words(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        delete(at, column(at))
        delete(at, quantity(at))
        with pytest.raises(errors.Misconfigured) as stopped:
            await at.writer.columns.read()
        ids = at.world.mappings.board.board
        columns = await at.writer.columns.board.columns_of([ids.id, ids.subitem_board_id])
        described = {name: [(one.id, one.title, one.type) for one in found] for name, found in columns.items()}
        mistakes = checks.check(
            at.world.mappings,
            table_columns=[],
            staging_columns=[],
            board_columns=described[ids.id],
            subitem_columns=described[ids.subitem_board_id],
        )
        assert str(stopped.value) == "; ".join(mistakes[-2:])
