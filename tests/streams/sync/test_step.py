"""The sync step on a real database and a real board: what is staged is shown, and no more is said than needed."""

import json
from pathlib import Path

import pytest

from connectors import errors
from connectors.simulator.faults import Kind, Rule
from schemas import events, items
from schemas import mappings as shapes
from schemas.batches import StagingStatus
from schemas.failures import FailureType
from schemas.versions import Version
from streams.sync import plan, select
from tests.support.virtual import timeless
from tests.support.writer_desk import GROUP, OTHER_GROUP, Desk, desk, event, order, refusal, synced, uuid


def failed(*emitted: events.OrderEvent) -> list[tuple[str, str | None]]:
    """Code and size of each failure."""
    return [(one.code, one.size_label) for one in emitted if isinstance(one, events.OrderFailed)]


@timeless
async def test_a_new_order_becomes_an_item_with_its_sizes_in_its_group(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        (emitted,) = await at.sync(order(1))
        assert isinstance(emitted, events.OrderSynced)
        assert emitted.item_id == at.item(1)["id"]
        assert (at.item(1)["name"], at.item(1)["group"]) == ("POLO 1", GROUP)
        assert at.shown(1, "PATTERN ID") == "P-1"
        assert at.sizes(1) == {"S": 1, "M": 2}
        assert at.syncer.staging.versions([uuid(1)])[uuid(1)][1].status is StagingStatus.API_SUCCESS


@timeless
async def test_no_difference_is_no_call(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1))
        at.reset()
        assert synced(*await at.sync(order(1, 2))) == [0]
        assert at.world.simulator.service.stats.requests == 0


@timeless
async def test_only_changed_columns_are_told_and_blank_ones_are_cleared(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1, values={"CUSTOMER ALT PO": "ALT"}))
        second = order(1, 2, values={"PATTERN ID": "P-2"})
        at.stage(second)
        (planned,) = at.planned(event(second))
        (update,) = planned.mutations
        assert isinstance(update, items.UpdateItem)
        assert sorted(update.columns.values(), key=str) == [None, "P-2"]
        assert synced(*await at.again(second)) == [1]
        assert (at.shown(1, "PATTERN ID"), at.shown(1, "CUSTOMER ALT PO")) == ("P-2", None)


@timeless
async def test_a_name_and_a_group_follow_the_order(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1))
        before = at.item(1)["id"]
        await at.sync(order(1, 2, item_name="POLO NAVY", group_name=OTHER_GROUP))
        item = at.item(1)
        assert (item["id"], item["name"], item["group"]) == (before, "POLO NAVY", OTHER_GROUP)


@timeless
async def test_groups_are_made_once_and_before_their_items(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1), order(2), order(3, group_name=OTHER_GROUP))
        await at.sync(order(4, group_name=OTHER_GROUP))
        assert [name for name in at.groups() if name in (GROUP, OTHER_GROUP)] == [OTHER_GROUP, GROUP]


@timeless
async def test_a_size_that_left_goes_to_zero_and_is_staged_as_zero(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1))
        assert synced(*await at.sync(order(1, 2, sizes={"M": 5, "L": 1}))) == [3]
        assert at.sizes(1) == {"S": 0, "M": 5, "L": 1}
        version = Version(uuid(1), 2)
        loaded = at.syncer.staging.load([version])[version]
        assert loaded.sizes == {"M": 5, "L": 1, "S": 0}
        assert synced(*await at.sync(order(1, 3, sizes={"M": 5, "L": 1}))) == [0]


@timeless
@pytest.mark.parametrize(("policy", "state"), [("archive", "archived"), ("delete", "deleted"), ("keep", "active")])
async def test_an_order_that_left_the_source_leaves_by_the_policy(tmp_path: Path, policy: str, state: str) -> None:
    async with desk(tmp_path, mappings=removing(policy)) as at:
        await at.sync(order(1))
        assert synced(*await at.sync(order(1, 2, removed=True))) == [int(policy != "keep")]
        assert len(at.items(1, state)) == 1


def removing(policy: str):  # type: ignore[no-untyped-def]
    def changed(board: shapes.BoardMapping) -> shapes.BoardMapping:
        return board.model_copy(update={"board": board.board.model_copy(update={"removal": items.Removal(policy)})})

    return changed


@timeless
async def test_an_order_that_returns_has_exactly_one_active_item(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1))
        await at.sync(order(1, 2, removed=True))
        await at.sync(order(1, 3, sizes={"L": 9}))
        assert at.sizes(1) == {"L": 9}
        assert len(at.items(1, "archived")) == 1


@timeless
async def test_an_order_that_never_came_can_leave(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        assert synced(*await at.sync(order(1, removed=True))) == [0]
        assert at.calls == 0


@timeless
async def test_an_event_that_comes_again_costs_no_call(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        first = order(1)
        (once,) = await at.sync(first)
        at.reset()
        (twice,) = await at.again(first)
        assert isinstance(once, events.OrderSynced)
        assert isinstance(twice, events.OrderSynced)
        assert (twice.item_id, twice.mutations) == (once.item_id, 0)
        assert at.world.simulator.service.stats.requests == 0


@timeless
async def test_an_older_version_is_superseded_and_never_written(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        old, new = order(1, 1), order(1, 2, values={"PATTERN ID": "P-2"})
        at.stage(old, new)
        assert synced(*await at.again(new, old)) == [3]
        assert await at.again(old) == []
        assert at.shown(1, "PATTERN ID") == "P-2"
        assert at.syncer.staging.versions([uuid(1)])[uuid(1)][1].status is StagingStatus.SUPERSEDED


@timeless
async def test_a_version_that_we_refused_lets_the_older_one_through(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        good, bad = order(1), order(1, 2, problems=(refusal(),))
        at.stage(good, bad)
        assert len(await at.again(good, bad)) == 1
        assert at.shown(1, "PATTERN ID") == "P-1"


@timeless
async def test_a_version_that_the_api_refused_keeps_the_older_one_out(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        old, new = order(1), order(1, 2, values={"PATTERN ID": "P-2", "UNIT OF MEASURE": "PCE"})
        at.stage(old)
        at.trouble(Rule(kind=Kind.PARTIAL_ALIASES, at=(3,), aliases=(0,)))
        at.failed(*await at.sync(new))
        assert at.shown(1, "PATTERN ID") == "P-2"
        assert await at.again(old, cause=events.Cause.RETRY) == []
        assert at.shown(1, "PATTERN ID") == "P-2"


@timeless
async def test_an_unknown_status_label_fails_its_order_alone_and_without_a_call(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        emitted = await at.sync(order(1, values={"UNIT OF MEASURE": "BUSHEL"}), order(2))
        assert failed(*emitted) == [("LABEL", None)]
        assert emitted[0].failure is FailureType.VALIDATION_ERROR  # type: ignore[attr-defined]
        assert at.items(1) == []
        assert at.sizes(2) == {"S": 1, "M": 2}


@timeless
async def test_what_failed_is_left_alone_until_it_is_retried(tmp_path: Path) -> None:
    async with desk(tmp_path, Rule(kind=Kind.PARTIAL_ALIASES, at=(2,), aliases=(0,))) as at:
        one = order(1)
        emitted = await at.sync(one)
        assert failed(*emitted) == [("RecordInvalidException", None)]
        at.failed(*emitted)
        assert await at.again(one) == []
        assert synced(*await at.again(one, cause=events.Cause.RETRY, attempt=1)) == [3]
        assert at.sizes(1) == {"S": 1, "M": 2}


@timeless
async def test_one_size_that_is_refused_fails_with_its_label_and_the_others_stay(tmp_path: Path) -> None:
    async with desk(tmp_path, Rule(kind=Kind.PARTIAL_ALIASES, at=(3,), aliases=(1,))) as at:
        one = order(1)
        emitted = await at.sync(one)
        assert failed(*emitted) == [("RecordInvalidException", "M")]
        assert at.sizes(1) == {"S": 1}
        at.failed(*emitted)
        assert synced(*await at.again(one, cause=events.Cause.RETRY, attempt=1)) == [1]
        assert at.sizes(1) == {"S": 1, "M": 2}


@timeless
async def test_an_item_that_a_person_deleted_is_made_again_with_all_of_its_sizes(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1))
        at.by_hand("delete", at.item(1)["id"])
        synced(*await at.sync(order(1, 2, values={"PATTERN ID": "P-2"})))
        assert at.shown(1, "PATTERN ID") == "P-2"
        assert at.sizes(1) == {"S": 1, "M": 2}


@timeless
async def test_a_deleted_item_is_found_out_by_its_sizes_too(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1))
        at.by_hand("archive", at.item(1)["id"])
        synced(*await at.sync(order(1, 2, sizes={"S": 1, "M": 2, "L": 3})))
        assert at.sizes(1) == {"S": 1, "M": 2, "L": 3}


@timeless
async def test_a_subitem_that_a_person_deleted_is_made_again_alone(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1))
        before = at.item(1)["id"]
        at.by_hand("delete", at.item(1)["subitems"][0]["id"])
        synced(*await at.sync(order(1, 2, sizes={"S": 7, "M": 2})))
        assert at.item(1)["id"] == before
        assert at.sizes(1) == {"S": 7, "M": 2}


@timeless
async def test_an_item_that_a_person_deleted_can_still_leave(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1))
        at.by_hand("delete", at.item(1)["id"])
        synced(*await at.sync(order(1, 2, removed=True)))
        assert at.items(1) == []


@timeless
async def test_a_board_that_never_settles_is_a_failure_that_is_tried_again(tmp_path: Path) -> None:
    async with desk(tmp_path, Rule(kind=Kind.NULL_ALIAS, rate=1.0, executed=False)) as at:
        at.syncer.ledger.remember_groups({GROUP: "topics"})  # type: ignore[attr-defined]
        (emitted,) = await at.sync(order(1))
        assert isinstance(emitted, events.OrderFailed)
        assert (emitted.code, emitted.retryable) == ("UNSETTLED", True)
        assert at.calls == 4
        at.failed(emitted)
        at.trouble()
        synced(*await at.again(order(1), cause=events.Cause.RETRY, attempt=1))
        assert at.sizes(1) == {"S": 1, "M": 2}


@timeless
@pytest.mark.parametrize(
    ("code", "retryable"),
    [("ResourceNotFoundException", True), ("RESOURCE_NOT_FOUND", True)]
    + [(code, False) for code in ("ColumnValueException", "RecordInvalidException", "ItemNameTooLongException")],
)
async def test_only_what_the_api_misses_though_the_board_shows_it_is_tried_again_by_itself(
    tmp_path: Path, code: str, retryable: bool
) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1))
        newer = order(1, 2, values={"PATTERN ID": "P-2"})
        at.trouble(Rule(kind=Kind.PARTIAL_ALIASES, at=(1,), aliases=(0,), code=code))
        (emitted,) = await at.sync(newer)
        assert isinstance(emitted, events.OrderFailed)
        assert (emitted.code, emitted.retryable) == (code, retryable)
        at.failed(emitted)
        assert synced(*await at.again(newer, cause=events.Cause.RETRY, attempt=1)) == [1]
        assert at.shown(1, "PATTERN ID") == "P-2"


@timeless
async def test_a_dry_run_tells_what_a_run_then_sends_and_sends_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.sync(order(1))
        at.reset()
        orders = (order(1, 2, group_name=OTHER_GROUP, sizes={"S": 4}), order(2, group_name=OTHER_GROUP))
        at.stage(*orders)
        planned = at.planned(*(event(one) for one in orders))
        assert at.world.simulator.service.stats.requests == 0
        kinds = [[mutation.kind for mutation in one.mutations] for one in planned]
        assert kinds == [
            ["create_group", "move_item", "update_subitem", "update_subitem"],
            ["create_item", "create_subitem", "create_subitem"],
        ]
        assert synced(*await at.again(*orders)) == [3, 3]
        assert at.mutations == sum(map(len, kinds))


@timeless
async def test_a_dry_run_tells_why_an_order_would_be_refused(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        bad = order(1, values={"UNIT OF MEASURE": "BUSHEL"})
        at.stage(bad)
        (planned,) = at.planned(event(bad))
        assert planned.mutations == ()
        assert "BUSHEL" in str(planned.problems[0])


@timeless
async def test_a_column_that_people_own_is_told_once_when_the_item_is_made(tmp_path: Path) -> None:
    async with desk(tmp_path, mappings=owned("PATTERN ID")) as at:
        await at.sync(order(1))
        assert at.shown(1, "PATTERN ID") == "P-1"
        assert synced(*await at.sync(order(1, 2, values={"PATTERN ID": "P-2"}))) == [0]
        changed = order(1, 3, values={"PATTERN ID": None, "CUSTOMER ALT PO": "ALT"})
        assert synced(*await at.sync(changed)) == [1]
        assert (at.shown(1, "PATTERN ID"), at.shown(1, "CUSTOMER ALT PO")) == ("P-1", "ALT")


def owned(source: str):  # type: ignore[no-untyped-def]
    def changed(board: shapes.BoardMapping) -> shapes.BoardMapping:
        columns = tuple(
            one.model_copy(update={"owner": shapes.Owner.PEOPLE}) if one.source == source else one
            for one in board.columns
        )
        return board.model_copy(update={"columns": columns})

    return changed


@timeless
async def test_live_changes_go_before_retries_before_new_mappings_before_replays(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        orders = [order(1), order(2), order(3), order(4)]
        at.stage(*orders)
        causes = (events.Cause.REPLAY, events.Cause.REMAP, events.Cause.RETRY, events.Cause.LIVE)
        assert sorted(causes) == sorted(events.Cause), "each has its turn"
        batch = [event(one, cause) for one, cause in zip(orders, causes, strict=True)]
        chosen = select.choose(batch, at.syncer.staging)
        assert [one.order.record_uuid for one in chosen.work] == [uuid(4), uuid(3), uuid(2), uuid(1)]
        await at.life.step(batch)
        ids = [int(at.item(number)["id"]) for number in (4, 3, 2, 1)]
        assert ids == sorted(ids)


@timeless
async def test_an_account_stop_holds_the_batch_and_a_later_run_ends_right(tmp_path: Path) -> None:
    async with desk(tmp_path, Rule(kind=Kind.UNAUTHORIZED, at=(2,))) as at:
        with pytest.raises(errors.Misconfigured):
            await at.sync(order(1))
        synced(*await at.again(order(1)))
        assert at.sizes(1) == {"S": 1, "M": 2}


@timeless
async def test_a_lost_lease_sends_nothing_more(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        with at.world.db.write() as session:
            session.execute("UPDATE SYNC_Lease SET owner = 'another', token = token + 1")
        with pytest.raises(errors.LeaseLost):
            await at.sync(order(1))
        assert at.calls == 0
        assert at.unfinished() == []


@timeless
async def test_a_subitem_whose_board_nobody_told_is_on_the_one_of_the_mapping(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        known = items.Entity(record_uuid=uuid(1), size_label="S", item_id="7", board_id="", name="Size S")
        planner = plan.Planner(at.syncer.mappings, at.syncer.outline)
        item = items.Entity(record_uuid=uuid(1), item_id="6", board_id="1", name="an item")
        update, _ = planner.size_wave(order(1), item, [known])
        assert isinstance(update, items.UpdateSubitem)
        assert update.board_id == at.syncer.mappings.board.board.subitem_board_id


async def sized(at: Desk, count: int) -> list[int]:
    """How many mutations each request of a new order with so many sizes has."""
    await at.sync(order(1, sizes={f"{n}": n for n in range(1, count + 1)}))
    with at.world.db.read() as session:
        rows = session.query("SELECT mutations FROM SYNC_Requests ORDER BY created_at, request_key")
    return [len(json.loads(row["mutations"])["mutations"]) for row in rows]


@timeless
async def test_the_sizes_of_one_order_may_take_several_requests_of_equal_length(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        assert await sized(at, 60) == [1, 1, 20, 20, 20]
        assert len(at.sizes(1)) == 60
