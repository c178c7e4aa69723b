"""MON_BatchProcessing: its counters and its state are true after every single transaction."""

import itertools
import random
from functools import partial

import pytest

from connectors import errors
from connectors.tables.journal import Request
from connectors.tables.lease import Grant
from schemas import events, items
from schemas.versions import Version
from tests.contracts.engines import BATCH_1, batch
from tests.support import factories
from tests.support.factories import World, entity, identity

changed = partial(factories.changed, batch_id=BATCH_1)

ENDED = {"PROMOTED", "API_FAILED", "SUPERSEDED"}


@pytest.fixture
def grant(world: World) -> Grant:
    granted = world.lease("writer", seconds=10**6).acquire()
    assert granted is not None
    return granted


def open_batch(world: World, orders: int, batch_id: str = BATCH_1, version: int = 1) -> None:
    world.batches.open([(batch_id, "GREYSON CLOTHIERS", orders)], version=version, started_by="test")


def create(world: World, grant: Grant, key: str, *identities: tuple[int, int]) -> None:
    """The intent to make these items, committed."""
    mutations = tuple(
        items.CreateItem(record_uuid=identity(number), name="item", group_name="G", columns={})
        for number, _ in identities
    )
    versions = {identity(number): version for number, version in identities}
    world.journal.open(
        Request(key=key, body="{}", mutations=mutations, versions=versions, first_sent_at=world.clock()), grant
    )


def close(world: World, grant: Grant, key: str, *identities: tuple[int, int]) -> None:
    """The API confirmed these items."""
    world.journal.close(key, [(entity(number), version) for number, version in identities], {}, grant, outcome="DONE")


def test_a_batch_goes_through_its_states_one_by_one(world: World, grant: Grant) -> None:
    states: list[str] = []

    def look() -> None:
        world.check_batches()
        states.append(world.batch(BATCH_1)["status"])

    open_batch(world, 2)
    look()
    staged = world.stage(changed(1))
    look()
    staged += world.stage(changed(2))
    look()
    create(world, grant, "K1", (1, 1), (2, 1))
    look()
    close(world, grant, "K1", (1, 1), (2, 1))
    look()
    synced = world.arrive(staged)
    look()
    world.promote(synced[0])
    look()
    world.promote(synced[1])
    look()
    started = ["STARTED"] * 4
    assert states == [*started, "ITEMS_CREATED", "SUBITEMS_CREATED", "SUBITEMS_CREATED", "PROMOTED"]
    batch = world.batch(BATCH_1)
    moments = [
        batch[name]
        for name in (
            "start_time", "staging_load_completed", "items_creation_completed", "subitems_creation_completed",
            "promotion_completed",
        )
    ]  # fmt: skip
    assert moments == sorted(moments)
    assert len(set(moments)) == 5
    assert (batch["orders_processed"], batch["subitems_processed"], batch["end_time"]) == (2, 4, moments[-1])
    assert batch["batch_type"] == "FULL_BATCH"
    assert batch["started_by"] == "test"
    assert batch["error_summary"] is None


def test_one_failed_order_fails_its_batch_only_when_the_others_have_ended(world: World) -> None:
    open_batch(world, 2)
    one, two = world.stage(changed(1), changed(2))
    world.record(world.refuse(one))
    world.check_batches()
    assert world.batch(BATCH_1)["status"] == "STARTED"
    world.promote(*world.arrive([two]))
    batch = world.batch(BATCH_1)
    assert (batch["status"], batch["error_summary"]) == ("FAILED", "1 of 2 orders failed: see the ERR tables")
    world.check_batches()


def test_a_failed_order_with_an_item_is_not_taken_for_another_ones_item(world: World, grant: Grant) -> None:
    open_batch(world, 2)
    one, two = world.stage(changed(1), changed(2))
    create(world, grant, "K1", (1, 1), (2, 1))
    close(world, grant, "K1", (1, 1))
    world.record(world.refuse(one, size_label="S"))
    assert world.batch(BATCH_1)["status"] == "STARTED"
    create(world, grant, "K2", (2, 1))
    close(world, grant, "K2", (2, 1))
    assert world.batch(BATCH_1)["status"] == "ITEMS_CREATED"
    world.promote(*world.arrive([two]))
    assert world.batch(BATCH_1)["status"] == "FAILED"


def test_a_retry_reopens_a_failed_batch_and_may_complete_it(world: World, grant: Grant) -> None:
    open_batch(world, 1)
    (staged,) = world.stage(changed(1))
    world.record(world.refuse(staged))
    assert world.batch(BATCH_1)["status"] == "FAILED"
    assert world.batches.active() == []
    world.retries.retry_now(world.failures.waiting(), world.clock())
    world.check_batches()
    assert [line["batch_id"] for line in world.batches.active()] == [BATCH_1]
    create(world, grant, "K1", (1, 1))
    world.check_batches()
    world.promote(*world.arrive([staged]))
    batch = world.batch(BATCH_1)
    assert (batch["status"], batch["failed_records"], batch["error_summary"]) == ("PROMOTED", 0, None)
    world.check_batches()


def ends_with(world: World) -> tuple[str, int]:
    """State of the batch and orders that failed for good; the counters are true."""
    world.check_batches()
    batch = world.batch(BATCH_1)
    return batch["status"], batch["failed_records"]


@pytest.mark.parametrize("size", [None, "S"])
def test_a_batch_has_failed_only_when_no_retry_is_left(world: World, size: str | None) -> None:
    open_batch(world, 2)
    one, two = world.stage(changed(1), changed(2))
    world.promote(*world.arrive([two]))
    for attempt in range(world.retrier.tries + 1):
        failed = world.refuse(one, retryable=True, attempt=attempt, size_label=size)
        world.record(failed)
        assert ends_with(world) == ("STARTED", 0), "its time is being set"
        world.retrier.schedule([failed])
        world.clock.advance(10**6)
        if attempt < world.retrier.tries:
            assert ends_with(world) == ("STARTED", 0)
            assert [event.version for event in world.retrier.due()] == [1]
    assert ends_with(world) == ("FAILED", 1)
    assert world.batch(BATCH_1)["error_summary"] == "1 of 2 orders failed: see the ERR tables"


def test_a_retried_size_leaves_its_item_counted(world: World, grant: Grant) -> None:
    open_batch(world, 1)
    (one,) = world.stage(changed(1))
    create(world, grant, "K1", (1, 1))
    close(world, grant, "K1", (1, 1))
    world.record(world.refuse(one, retryable=True, size_label="S"))
    assert ends_with(world) == ("ITEMS_CREATED", 0)


def test_a_dismissed_retry_has_failed_for_good(world: World) -> None:
    open_batch(world, 1)
    (one,) = world.stage(changed(1))
    world.record(world.refuse(one, retryable=True))
    assert ends_with(world) == ("STARTED", 0)
    assert world.failures.dismiss(world.failures.waiting()[0]["err_id"], reason="the customer is gone", by="ada")
    assert ends_with(world) == ("FAILED", 1)


@pytest.mark.parametrize("arrives", [True, False])
def test_a_newer_version_ends_the_retries_of_an_older_batch(world: World, arrives: bool) -> None:
    open_batch(world, 1)
    open_batch(world, 1, batch(2), 2)
    (one,) = world.stage(changed(1))
    world.record(world.refuse(one, retryable=True))
    (two,) = world.stage(changed(1, 2, batch_id=batch(2)))
    assert ends_with(world) == ("STARTED", 0)
    if arrives:
        world.promote(*world.arrive([two]))
    else:
        world.record(world.refuse(two))
    assert ends_with(world) == ("FAILED", 1)


def test_a_repeated_event_counts_once(world: World) -> None:
    open_batch(world, 2)
    staged = world.stage(changed(1), changed(2))
    world.stage(changed(1), changed(2))
    synced = world.arrive(staged)
    world.arrive(staged)
    world.promote(*synced)
    world.promote(*synced)
    batch = world.batch(BATCH_1)
    assert (batch["successful_records"], batch["orders_processed"], batch["subitems_processed"]) == (2, 2, 4)
    world.check_batches()


def test_a_batch_is_opened_once_and_kept_as_it_is(world: World) -> None:
    open_batch(world, 1)
    world.settle(changed(1))
    open_batch(world, 7)
    assert world.batch(BATCH_1)["total_records"] == 1
    assert world.batch(BATCH_1)["status"] == "PROMOTED"


def test_only_unconfirmed_batches_of_older_passes_are_closed(world: World) -> None:
    old, sure, now = batch(1), batch(2), batch(3)
    for batch_id, version in ((old, 1), (sure, 1), (now, 2)):
        open_batch(world, 3, batch_id, version)
    world.batches.confirm([sure])
    world.stage(changed(1, batch_id=old))
    assert world.batches.close_unconfirmed(2) == 1
    assert [world.batch(name)["total_records"] for name in (old, sure, now)] == [1, 3, 3]
    assert world.batches.close_unconfirmed(2) == 0
    # Its event was on Kafka after all.
    world.stage(changed(2, batch_id=old))
    assert world.batch(old)["total_records"] == 2
    world.check_batches()


def test_the_newest_batches_are_first(world: World) -> None:
    for version in range(1, 6):
        open_batch(world, 1, batch(version), version)
    assert [line["batch_id"] for line in world.batches.newest(2)] == [batch(5), batch(4)]


def expected_state(world: World, batch_id: str) -> str:
    """The state of a batch, computed from its rows alone."""
    lines = world.query(
        "SELECT stg_status AS status, stg_monday_item_id AS item FROM STG_MON_CustMasterSchedule "
        "WHERE stg_batch_id = ?",
        batch_id,
    )
    complete = len(lines) == world.batch(batch_id)["total_records"]
    statuses = {line["status"] for line in lines}
    if complete and statuses <= ENDED:
        return "FAILED" if "API_FAILED" in statuses else "PROMOTED"
    if complete and statuses <= ENDED | {"API_SUCCESS"}:
        return "SUBITEMS_CREATED"
    waiting = [line for line in lines if line["status"] not in ENDED | {"API_SUCCESS"}]
    if complete and all(line["status"] == "INFLIGHT" and line["item"] for line in waiting):
        return "ITEMS_CREATED"
    return "STARTED"


class Walk:
    """Two orders in three versions each, to which everything happens in any order. `at` is an order and its version."""

    def __init__(self, world: World, grant: Grant, seed: int) -> None:
        self.world, self.grant = world, grant
        self.rng = random.Random(seed)
        self.keys = (f"K{n}" for n in itertools.count())
        self.told = {
            (number, version): changed(
                number,
                version,
                batch_id=batch(version),
                CUSTOMER_PRICE="cheap" if self.rng.random() < 0.2 else "12.5000",
            )
            for number in range(1, 3)
            for version in range(1, 4)
        }
        self.staged: dict[tuple[int, int], events.OrderEvent] = {}
        self.seen: set[str] = set()

    def step(self) -> None:
        """One random step of an order. Sync writes no version that is refused, closed, or older than a settled one."""
        at = self.rng.choice(list(self.told))
        what = self.rng.choice([self.stage, self.stage, self.write, self.arrive, self.refuse, self.supersede])
        settled = self.world.staging.settled_versions([identity(at[0])]).get(identity(at[0]), 0)
        if what != self.stage and (not isinstance(self.staged.get(at), events.OrderStaged) or at[1] <= settled):
            return
        what(at)
        self.check()

    def check(self) -> None:
        self.world.check_batches()
        for version in range(1, 4):
            status = self.world.batch(batch(version))["status"]
            assert status == expected_state(self.world, batch(version))
            self.seen.add(status)

    def stage(self, at: tuple[int, int]) -> None:
        for event in self.world.stage(self.told[at]):
            self.staged[at] = event
            if isinstance(event, events.OrderFailed):
                self.world.record(event)

    def write(self, at: tuple[int, int]) -> None:
        key = next(self.keys)
        create(self.world, self.grant, key, at)
        self.world.check_batches()
        if self.rng.random() < 0.7:
            close(self.world, self.grant, key, at)

    def arrive(self, at: tuple[int, int]) -> None:
        synced = self.world.arrive([self.staged[at]])
        self.world.check_batches()
        if self.rng.random() < 0.8:
            self.world.promote(*synced)

    def refuse(self, at: tuple[int, int]) -> None:
        self.world.record(self.world.refuse(self.staged[at], size_label=self.rng.choice([None, "S"])))

    def supersede(self, at: tuple[int, int]) -> None:
        self.world.staging.supersede([Version(identity(at[0]), at[1])])


@pytest.mark.parametrize("seed", range(8))
def test_every_interleaving_leaves_true_counters_behind_each_transaction(world: World, grant: Grant, seed: int) -> None:
    walk = Walk(world, grant, seed)
    for version in range(1, 4):
        open_batch(world, 2, batch(version), version)
    for _ in range(60):
        walk.step()
    for at in sorted(walk.told):
        walk.stage(at)
        world.promote(*world.arrive([e for e in [walk.staged.get(at)] if isinstance(e, events.OrderStaged)]))
        world.check_batches()
    assert {world.batch(batch(version))["status"] for version in range(1, 4)} <= {"PROMOTED", "FAILED"}
    assert len(walk.seen) > 2, "the walk saw too little of the states: give it another seed"


def test_an_intent_of_a_former_writer_changes_no_batch(world: World, grant: Grant) -> None:
    open_batch(world, 1)
    world.stage(changed(1))
    before = world.batch(BATCH_1)
    with pytest.raises(errors.LeaseLost):
        create(world, grant.model_copy(update={"token": grant.token - 1}), "K1", (1, 1))
    assert world.batch(BATCH_1) == before
    assert world.staged() == {1: "PENDING"}
