"""The outline of the board, read again when a user has changed labels or groups while the writer runs."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from connectors.monday import board_values
from connectors.simulator.faults import Kind, Rule
from connectors.tables import journal
from schemas import events, items
from schemas.mappings import BoardMapping, Groups, Owner
from schemas.orders import StagedOrder
from streams.sync import outline, plan
from tests.streams.sync.test_refresh import arrived, replayed
from tests.support.virtual import timeless
from tests.support.writer_desk import GROUP, OTHER_GROUP, Desk, desk, order, synced

RETRY, REPLAY = events.Cause.RETRY, events.Cause.REPLAY
SHOWN = "Spring!"


def people(board: BoardMapping) -> BoardMapping:
    return board.model_copy(update={"groups": Groups(owner=Owner.PEOPLE)})


def bad(number: int, label: str = "BUSHEL") -> StagedOrder:
    """An order with a label that the board does not have, and that sync does not create."""
    return order(number, values={"UNIT OF MEASURE": label})


def add_label(at: Desk, source: str, label: str) -> None:
    column = next(one for one in at.world.mappings.board.columns if one.source == source)
    at.by_hand("add_label", column_id=column.id, label=label)


def kinds(at: Desk) -> list[str]:
    """The kinds of all mutations that the API carried out."""
    carried = journal.Journal(at.world.db, board_id="", now=at.world.clock.now).carried_out()
    return sorted(carried.elements())


def renames(at: Desk) -> int:
    return kinds(at).count("rename_group")


async def pause(at: Desk) -> None:
    await at.world.clock.sleep(outline.READ_EVERY)


# Labels and columns.


@timeless
async def test_a_label_made_on_the_board_is_known_to_a_retry_at_once(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        failed = await at.sync(bad(1))
        at.failed(*failed)
        assert isinstance(failed[0], events.OrderFailed)
        assert failed[0].code == "LABEL"
        add_label(at, "UNIT OF MEASURE", "BUSHEL")
        synced(*await at.again(bad(1), cause=RETRY, attempt=1))
        assert at.shown(1, "UNIT OF MEASURE") == {"label": "BUSHEL"}


@timeless
async def test_a_label_made_on_the_board_is_known_before_an_order_fails(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        add_label(at, "UNIT OF MEASURE", "BUSHEL")
        await pause(at)
        synced(*await at.sync(bad(1), order(2)))


@timeless
async def test_bad_labels_cost_one_call_in_ten_seconds(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(9))
        await pause(at)
        at.reset()
        for number in range(1, 5):
            (failed,) = await at.sync(bad(number))
            assert isinstance(failed, events.OrderFailed)
        assert at.requests == 1
        await pause(at)
        await at.sync(*(bad(number) for number in range(5, 9)))
        assert at.requests == 2


@timeless
async def test_a_label_that_a_user_removed_is_created_once_more(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        # Every other label of the order exists, so that nothing but the outline decides.
        await at.sync(order(9))
        # The outline knows a label that the board does not have (any more).
        style = next(one.id for one in at.world.mappings.board.columns if one.source == "CUSTOMER STYLE")
        at.syncer.outline.created({style: {"labels": ["POLO"]}})
        assert synced(*await at.sync(order(1, values={"STYLE": "POLO"}))) == [4]
        assert at.shown(1, "CUSTOMER STYLE") == {"labels": ["POLO"]}


@timeless
async def test_a_status_label_that_a_user_removed_fails_with_advice(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(9))
        unit = next(one.id for one in at.world.mappings.board.columns if one.source == "UNIT OF MEASURE")
        at.syncer.outline.created({unit: {"labels": ["BUSHEL"]}})
        (failed,) = await at.sync(bad(1))
        assert isinstance(failed, events.OrderFailed)
        assert (failed.code, "Add it on the board" in failed.message) == ("LABEL", True)


@timeless
@pytest.mark.parametrize("code", ["ColumnValueException", "InvalidColumnIdException"])
async def test_a_refusal_stands_if_the_outline_is_as_it_was(tmp_path: Path, code: str) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1, sizes={}))
        at.trouble(Rule(kind=Kind.PARTIAL_ALIASES, rate=1.0, aliases=(0,), code=code))
        at.reset()
        (failed,) = await at.sync(order(2, sizes={}))
        assert isinstance(failed, events.OrderFailed)
        # Columns, and columns with groups: a read each.
        assert (failed.code, at.requests) == (code, 3)


# A renamed group that gets its name back.


@timeless
async def test_a_renamed_group_gets_its_name_back_with_one_mutation(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        orders = [order(number) for number in range(1, 6)]
        await arrived(at, *orders)
        at.by_hand("rename_group", group=GROUP, title=SHOWN)
        assert await replayed(at, *orders) == [0] * 5
        assert (at.mutations, renames(at)) == (1, 1)
        assert (GROUP in at.groups(), SHOWN in at.groups()) == (True, False)
        assert await replayed(at, *orders) == [0] * 5
        assert at.mutations == 1


@timeless
async def test_a_group_that_was_renamed_while_no_writer_ran_gets_its_name_back(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1))
        at.by_hand("rename_group", group=GROUP, title=SHOWN)
        await at.restart()
        at.reset()
        assert synced(*await at.sync(order(2, sizes={}))) == [1]
        assert (at.mutations, at.groups().count(GROUP)) == (2, 1)
        assert at.item(2)["group"] == GROUP


@timeless
async def test_an_order_that_arrives_before_the_rename_is_noticed_goes_into_its_group(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1))
        at.by_hand("rename_group", group=GROUP, title=SHOWN)
        await at.sync(order(2))
        assert at.item(2)["group"] == SHOWN
        await at.syncer.refresh_outline()
        assert {at.item(number)["group"] for number in (1, 2)} == {GROUP}


@timeless
async def test_a_rename_without_an_answer_is_found_on_the_board(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await arrived(at, order(1))
        at.by_hand("rename_group", group=GROUP, title=SHOWN)
        at.trouble(Rule(kind=Kind.LOST_RESPONSE, at=(1,)))
        # The order does not wait for it.
        assert await replayed(at, order(1)) == [0]
        assert len(at.unfinished()) == 1
        assert await at.life.recover() == 1
        assert (at.mutations, GROUP in at.groups()) == (1, True)


@timeless
async def test_a_rename_in_doubt_is_not_sent_a_second_time_until_it_has_ended(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await arrived(at, order(1))
        at.by_hand("rename_group", group=GROUP, title=SHOWN)
        at.trouble(Rule(kind=Kind.RESET, at=(1,)))
        for _ in range(3):
            assert await replayed(at, order(1)) == [0]
        assert (at.mutations, len(at.unfinished())) == (0, 1)
        await at.life.recover()
        assert (at.mutations, GROUP in at.groups()) == (1, True)


@timeless
async def test_a_refused_rename_is_logged_and_stops_no_order(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with desk(tmp_path) as at:
        await arrived(at, order(1))
        at.by_hand("rename_group", group=GROUP, title=SHOWN)
        at.trouble(Rule(kind=Kind.PARTIAL_ALIASES, at=(1,), aliases=(0,), code="RecordInvalidException"))
        assert await replayed(at, order(1)) == [0]
        assert f"group {GROUP} stays {SHOWN} on the board" in caplog.text
        assert at.syncer.outline.renames == ()
        # The next reading tries it once more.
        await at.syncer.refresh_outline()
        assert GROUP in at.groups()


@timeless
async def test_a_dry_run_has_the_rename_once(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1), order(2), order(3, group_name=OTHER_GROUP))
        at.by_hand("rename_group", group=GROUP, title=SHOWN)
        ledger = at.syncer.ledger
        read = await outline.read(at.syncer.outline.board, at.syncer.outline.ledger, at.world.mappings)
        changed = [order(3, 2, group_name=OTHER_GROUP), order(1, 2, item_name="NEW"), order(2, 2, item_name="NEW")]
        known = ledger.known([one.record_uuid for one in changed])
        wanted = [
            plan.Wanted(event, one, known[one.record_uuid])
            for event, one in zip(at.stage(*changed), changed, strict=True)
        ]
        plans = plan.Planner(at.world.mappings, read, read.renames).plan_all(wanted, read.groups.ids)
        assert [[mutation.kind for mutation in one.mutations] for one in plans] == [
            [],
            ["rename_group", "update_item"],
            ["update_item"],
        ]
        assert SHOWN in at.groups()


# A renamed group that keeps its title.


@timeless
async def test_a_title_of_people_is_kept_and_orders_stay_in_its_group(tmp_path: Path) -> None:
    async with desk(tmp_path, mappings=people) as at:
        await arrived(at, order(1), order(2))
        at.by_hand("rename_group", group=GROUP, title=SHOWN)
        assert await replayed(at, order(1), order(2)) == [0, 0]
        assert at.mutations == 0
        await at.restart()
        synced(*await at.sync(order(3), order(1, 2, item_name="POLO NAVY")))
        assert {at.item(number)["group"] for number in (1, 2, 3)} == {SHOWN}
        assert GROUP not in at.groups()
        assert "move_item" not in kinds(at)
        assert await replayed(at, order(1, 2, item_name="POLO NAVY")) == [0]


# Other things that users do to groups.


@timeless
@pytest.mark.parametrize("owner", [people, lambda board: board], ids=["people", "source"])
async def test_a_deleted_group_is_created_once_more(
    tmp_path: Path, owner: Callable[[BoardMapping], BoardMapping], caplog: pytest.LogCaptureFixture
) -> None:
    async with desk(tmp_path, mappings=owner) as at:
        await arrived(at, order(1), order(2))
        await at.syncer.refresh_outline()
        at.by_hand("delete_group", group=GROUP)
        await at.syncer.refresh_outline()
        assert f"group {GROUP} (2 of our items) is not on the board any more" in caplog.text
        assert await replayed(at, order(1), order(2)) == [3, 3]
        assert (at.groups().count(GROUP), len(at.items(1))) == (1, 1)


@timeless
@pytest.mark.parametrize("owner", [people, lambda board: board], ids=["people", "source"])
async def test_the_group_that_took_the_old_name_is_the_one_of_the_orders(
    tmp_path: Path, owner: Callable[[BoardMapping], BoardMapping]
) -> None:
    async with desk(tmp_path, mappings=owner) as at:
        await arrived(at, order(1))
        at.by_hand("rename_group", group=GROUP, title=SHOWN)
        theirs = at.by_hand("add", name="theirs")
        at.by_hand("move", theirs, group=GROUP)
        assert await replayed(at, order(1)) == [1]
        assert (at.item(1)["group"], renames(at)) == (GROUP, 0)
        assert SHOWN in at.groups()


def groups(**titles: str) -> list[board_values.BoardGroup]:
    return [board_values.BoardGroup(id=group_id, title=title) for group_id, title in titles.items()]


def resolved(
    shown: list[board_values.BoardGroup], known: Mapping[str, str], ours: Mapping[str, int]
) -> tuple[Mapping[str, str], list[str], list[str]]:
    found = outline.resolve(shown, known, lambda names: {name: ours[name] for name in names if name in ours})
    return found.ids, list(found.renamed), list(found.lines)


def test_of_groups_of_one_title_the_one_that_we_know_counts_else_the_topmost() -> None:
    shown = groups(a="X", b="Y", c="X")
    assert resolved(shown, {"X": "c"}, {}) == ({"X": "c", "Y": "b"}, [], [])
    assert resolved(shown, {}, {}) == ({"X": "a", "Y": "b"}, [], [])
    line = "2 groups are called X on the board: new orders go into c"
    assert resolved(shown, {"X": "c"}, {"X": 4}) == ({"X": "c", "Y": "b"}, [], [line])


def test_a_renamed_group_with_our_items_is_known_by_its_id() -> None:
    line = "group X is called Y on the board"
    assert resolved(groups(a="Y"), {"X": "a"}, {"X": 4}) == ({"X": "a"}, ["X"], [line])


def test_a_renamed_group_without_our_items_belongs_to_users() -> None:
    assert resolved(groups(a="Y"), {"X": "a"}, {}) == ({"Y": "a"}, [], [])


def test_a_group_that_took_the_name_of_a_renamed_one_is_the_group_of_that_name() -> None:
    line = "group X (4 of our items) is called Y, and b has its name: new orders go into that one"
    assert resolved(groups(a="Y", b="X"), {"X": "a"}, {"X": 4}) == ({"Y": "a", "X": "b"}, [], [line])


def test_a_group_called_like_a_renamed_one_is_another_group() -> None:
    ids, renamed, _ = resolved(groups(a="Y", b="Y"), {"X": "a"}, {"X": 4})
    assert (ids, renamed) == ({"X": "a", "Y": "b"}, ["X"])


def test_a_group_that_left_the_board_is_forgotten() -> None:
    line = "group X (4 of our items) is not on the board any more: the next order creates it once more"
    assert resolved(groups(b="Z"), {"X": "a"}, {"X": 4}) == ({"Z": "b"}, [], [line])
    assert resolved(groups(b="Z"), {"X": "a"}, {}) == ({"Z": "b"}, [], [])


class Lagging:
    """A board whose readings are given, and a ledger."""

    def __init__(self, *readings: list[board_values.BoardGroup]) -> None:
        self.readings = list(readings)
        self.known: dict[str, str] = {}
        self.ours: dict[str, int] = {}

    async def outline(self, column_ids: object) -> board_values.BoardOutline:
        return board_values.BoardOutline(columns=(), groups=tuple(self.readings.pop(0)))

    def groups(self) -> dict[str, str]:
        return dict(self.known)

    def remember_groups(self, groups: Mapping[str, str]) -> None:
        self.known = dict(groups)

    def items_in_groups(self, names: object) -> dict[str, int]:
        return self.ours


@timeless
async def test_one_reading_may_not_show_a_group_that_was_just_created(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        world = Lagging(groups(a="A"), groups(a="A"), groups(a="A"))
        subject = outline.Outline(world, world, at.world.mappings)
        await subject.refresh()
        world.known["X"] = "x"
        subject.created_group("X", "x")
        await subject.refresh()
        assert world.known == {"A": "a", "X": "x"}
        await subject.refresh()
        assert world.known == {"A": "a"}


@timeless
async def test_a_reading_may_show_the_old_title_of_a_group_that_just_got_its_name_back(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        late = groups(a=SHOWN)
        world = Lagging(late, late, late, groups(a="X"))
        world.known, world.ours = {"X": "a"}, {"X": 4}
        subject = outline.Outline(world, world, at.world.mappings, at.world.clock.monotonic)
        await subject.refresh()
        (rename,) = subject.renames
        subject.tried([rename])
        await subject.refresh()
        assert not subject.renames
        await pause(at)
        await subject.refresh()
        assert list(subject.renames) == [rename]
        await subject.refresh()
        assert not subject.renames


@timeless
async def test_one_line_of_the_log_for_each_thing_that_users_did(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with desk(tmp_path, mappings=people) as at:
        await at.sync(order(1))
        at.by_hand("rename_group", group=GROUP, title=SHOWN)
        with caplog.at_level(logging.WARNING, logger=outline.__name__):
            for number in range(2, 5):
                await at.syncer.refresh_outline()
                await at.sync(order(number))
        assert [one.message for one in caplog.records] == [f"group {GROUP} is called {SHOWN} on the board"]


def test_a_rename_is_journalled_like_any_other_mutation() -> None:
    rename = items.RenameGroup(group_id="a", group_name="X", shown="Y")
    assert journal.MUTATIONS.validate_json(journal.MUTATIONS.dump_json([rename])) == [rename]
