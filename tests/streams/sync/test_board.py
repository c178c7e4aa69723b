"""What the writer sees of a real board."""

from pathlib import Path

from streams.sync import board as board_view
from tests.support.virtual import timeless
from tests.support.writer_desk import GROUP, Desk, desk, order, uuid


def view(at: Desk) -> board_view.BoardView:
    board = at.writer.board_lookup.board
    assert isinstance(board, board_view.BoardView)
    return board


@timeless
async def test_orders_are_found_by_their_key_with_name_group_and_our_filled_columns(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1), order(2))
        found = await view(at).find([uuid(1), uuid(3)])
        assert found[uuid(3)] == []
        (item,) = found[uuid(1)]
        assert (item.id, item.name, item.group_title) == (at.item(1)["id"], "POLO 1", GROUP)
        assert set(item.columns) == set(at.item(1)["columns"])


@timeless
async def test_copies_that_a_person_made_are_all_found(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1))
        at.by_hand("duplicate", at.item(1)["id"])
        assert len((await view(at).find([uuid(1)]))[uuid(1)]) == 2


@timeless
async def test_sizes_are_found_by_parent_and_label_and_only_active_ones(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1), order(2, sizes={"S": 5}))
        one, two = at.item(1), at.item(2)
        at.by_hand("delete", one["subitems"][0]["id"])
        found = await view(at).find_sizes([one["id"], two["id"]])
        assert sorted(found) == [(one["id"], "M"), (two["id"], "S")]
        (size,) = found[two["id"], "S"]
        assert size.name == "Size S"
        assert size.board_id == at.syncer.mappings.board.board.subitem_board_id


@timeless
async def test_what_is_archived_deleted_or_unknown_is_gone(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1), order(2), order(3))
        ids = {number: at.item(number)["id"] for number in (1, 2, 3)}
        at.by_hand("archive", ids[1])
        at.by_hand("delete", ids[2])
        assert await view(at).present([*ids.values(), "1"]) == (frozenset({ids[3]}), frozenset())


@timeless
async def test_an_item_on_another_board_is_not_present_nor_are_its_subitems(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1), order(2))
        ids = {number: [at.item(number)["id"], at.item(number)["subitems"][0]["id"]] for number in (1, 2)}
        at.by_hand("move_to_board", ids[1][0])
        present = await view(at).present([*ids[1], *ids[2]])
        assert present == (frozenset(ids[2][:1]), frozenset(ids[2][1:]))
        assert sorted(await view(at).find_sizes([ids[1][0], ids[2][0]])) == [(ids[2][0], "M"), (ids[2][0], "S")]


@timeless
async def test_groups_are_known_by_their_titles(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1))
        assert set(await view(at).groups()) == set(at.groups())
