"""verify --fix on real tables without a board: which event repairs what, what is left alone, plans that are kept."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer import testing

from connectors import errors, kafka
from schemas import codec, detection, events
from schemas.batches import SyncState
from streams.cli import main as cli
from streams.commands import verify as verify_command
from streams.commands.fix import FixLoop
from streams.detect import plans
from streams.progress import silent
from streams.reconcile import audit, repair_plan
from streams.reconcile.repair_plan import Reason, Way
from streams.resources import Resources
from streams.runtime import connect
from streams.settings import Settings
from tests.support import factories
from tests.support.factories import World, identity, row

GREYSON, JOHNNIE = "GREYSON CLOTHIERS", "JOHNNIE O"
EDIT = "UPDATE MON_CustMasterSchedule SET NOTES = ? WHERE source_uuid = ?"


class Producer:
    """Keeps what was sent, as events."""

    def __init__(self) -> None:
        self.sent: list[events.OrderChanged] = []

    def send_all(self, messages: Sequence[kafka.OutgoingMessage]) -> None:
        self.sent += [codec.decode(events.OrderChanged, message.value) for message in messages]

    def take(self) -> list[events.OrderChanged]:
        sent, self.sent = self.sent, []
        return sent

    def close(self) -> None:
        """There is nothing to close."""


class Desk:
    """A world with four settled orders, and the command's parts on its database. The producer reaches no broker."""

    def __init__(self, world: World, parts: Resources) -> None:
        self.world, self.parts = world, parts
        self.producer = Producer()
        parts.__dict__["producer"] = self.producer
        world.add(row(1), row(2), row(3), row(4, CUSTOMER_NAME=JOHNNIE))
        world.flow()
        self.loop = FixLoop(parts, silent, within=1.0)

    def plan(self, *drift: audit.Drift, loop: FixLoop | None = None) -> repair_plan.RepairPlan:
        """The plan of a check of the tables, and of this drift on the board."""
        report = audit.BoardReport(items=4, compared=4, unkeyed=0, drift=drift)
        return (loop or self.loop).plan(self.parts.verifier().check(thorough=True), report)

    def fix(self, *drift: audit.Drift) -> list[events.OrderChanged]:
        """One attempt; what it emits has not arrived yet."""
        self.loop.emit(self.loop.build_events(self.plan(*drift)), wait=False)
        return self.producer.take()

    def tables(self) -> list[Any]:
        """Everything that a repair writes."""
        return [
            self.world.query(f"SELECT * FROM {table}")
            for table in ("ORDERS_UNIFIED_SNAPSHOT", "MON_BatchProcessing", "SYNC_State", "SYNC_Actions")
        ]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with factories.world(tmp_path) as world:
        parts = Resources(Settings(home=tmp_path))
        try:
            yield Desk(world, parts)
        finally:
            parts.close()


def drift(number: int, kind: audit.Kind = audit.Kind.EDITED, **given: Any) -> audit.Drift:
    fields = {"item_id": "77", "field": "(name)", "expected": "as it was", "shown": "by hand"} | given
    return audit.Drift(kind=kind, record_uuid=identity(number), **fields)


def test_the_event_of_a_repair_follows_from_what_differs(desk: Desk) -> None:
    desk.world.run(EDIT, "by hand", identity(1))
    desk.world.remove(3)
    desk.world.flow()
    desk.world.run("INSERT INTO SYNC_Ledger VALUES (?, '', '5', '9', 'x', 'G', '{}', 1, 1, '')", identity(3))
    newest = desk.parts.state.get("detect.pass")
    new, again, gone = desk.fix(drift(2))
    # The source row as a new version, for the tables are wrong.
    assert (new.record_uuid, new.change, new.row["PO NUMBER"]) == (identity(1), events.Change.UPDATED, "4755")
    assert new.sizes == {"S": 1, "M": 2}
    assert new.version > newest
    # The settled version, for only the board is wrong.
    settled = desk.world.snapshot(2)
    assert (again.record_uuid, again.version, again.row_hash) == (identity(2), 1, settled["row_hash"])
    assert (gone.record_uuid, gone.change, gone.row_hash) == (identity(3), events.Change.DELETED, detection.DELETED)
    assert {one.cause for one in (new, again, gone)} == {events.Cause.REPLAY}
    # Each waits now, so the sweep finds an event that gets lost; and none is emitted twice.
    assert {desk.world.snapshot(n)["sync_state"] for n in (1, 2, 3)} == {SyncState.WAITING}
    assert desk.fix() == []
    desk.world.settle(new, again, gone)
    assert desk.parts.verifier().check(thorough=True).wrong == ()


def test_an_order_whose_row_is_refused_gets_its_last_good_version(desk: Desk) -> None:
    desk.world.edit(1, {"CUSTOMER PRICE": "a lot"})
    desk.world.flow()
    desk.world.run(EDIT, "by hand", identity(1))
    (one,) = desk.plan(drift(1)).repairs
    assert (one.way, one.content) == (Way.RESEND, "1")
    (event,) = desk.fix(drift(1))
    assert (event.version, event.row["CUSTOMER PRICE"]) == (1, "12.5000")


def test_what_is_not_ours_or_held_or_unexplained_is_left_alone_with_its_reason(desk: Desk) -> None:
    desk.world.edit(2, {"CUSTOMER PRICE": "a lot"})
    desk.world.flow()
    desk.world.run("DELETE FROM ERR_MON_CustMasterSchedule")
    desk.world.state.set(f"hold.{JOHNNIE}", {"customer": JOHNNIE, "by": "test", "at": "2026-12-01T00:00:00Z"})
    strange = drift(99, audit.Kind.EXTRA, field=audit.ITEM, expected=None, shown="77")
    plan = desk.plan(strange, drift(4))
    assert {one.record_uuid: one.reason for one in plan.left} == {
        identity(2): Reason.PERSON,
        identity(4): Reason.HELD,
        identity(99): Reason.UNKNOWN,
    }
    assert plan.repairs == ()
    assert desk.fix(strange, drift(4)) == []
    assert (desk.loop.left_alone, desk.loop.held, desk.loop.failed) == ({identity(99)}, {identity(4)}, {})


def test_an_order_of_which_nothing_is_left_is_not_repaired(desk: Desk) -> None:
    desk.world.run("DELETE FROM STG_MON_CustMasterSchedule WHERE source_uuid = ?", identity(1))
    desk.world.remove(1)
    (left,) = desk.plan(drift(1)).left
    assert left.reason is Reason.NOTHING


def test_a_repair_that_changed_nothing_has_failed_and_is_not_emitted_in_the_same_words(desk: Desk) -> None:
    desk.world.run(EDIT, "by hand", identity(1))
    (event,) = desk.fix()
    desk.world.settle(event)
    desk.world.run(EDIT, "by hand", identity(1))
    assert desk.fix() == []
    ((uuid, text),) = desk.loop.failed.items()
    assert uuid == identity(1)
    assert "production 'by hand'" in text
    # Another cell is another finding, and another command tries once more.
    desk.world.run(EDIT, "by another hand", identity(1))
    assert [one.record_uuid for one in desk.fix()] == [identity(1)]


def test_a_plan_is_read_only_and_names_exactly_its_repairs(desk: Desk) -> None:
    desk.world.run(EDIT, "by hand", identity(1))
    before, plan = desk.tables(), desk.plan(drift(2))
    assert desk.plan(drift(2)).id == plan.id
    assert desk.tables() == before
    others = [
        desk.plan(),
        desk.plan(drift(2, shown="another name")),
        desk.plan(drift(2, audit.Kind.MISSING)),
        desk.plan(drift(2), drift(3)),
    ]
    desk.world.edit(1, {"PO NUMBER": "4756"})
    others.append(desk.plan(drift(2)))
    assert len({plan.id, *(one.id for one in others)}) == len(others) + 1


def test_the_cost_counts_what_the_board_shows_otherwise(desk: Desk) -> None:
    desk.world.run(EDIT, "by hand", identity(1))
    desk.world.run(
        "UPDATE SYNC_Ledger SET name = 'x', group_name = 'y' WHERE record_uuid = ? AND size_label = ''", identity(2)
    )
    quantity = desk.world.mappings.board.subitem.quantity.id
    desk.world.run(
        "UPDATE SYNC_Ledger SET columns_json = REPLACE(columns_json, ?, ?) WHERE record_uuid = ? AND size_label = 'S'",
        f'"{quantity}": "1"',
        f'"{quantity}": "7"',
        identity(2),
    )
    missing = drift(3, audit.Kind.MISSING, field=audit.ITEM, expected="one item", shown=None)
    twice = [drift(4, audit.Kind.DUPLICATE, item_id=n, field=audit.ITEM, expected=None, shown=n) for n in ("7", "8")]
    plan = desk.plan(missing, *twice)
    # The board is right; name, group and a quantity; an item with two sizes; two copies.
    assert {one.record_uuid: one.mutations for one in plan.repairs} == {
        identity(1): 0,
        identity(2): 3,
        identity(3): 3,
        identity(4): 2,
    }
    cost = plan.cost(plans.Pace(per_minute=4.0, batch_size=5))
    assert (cost.mutations, cost.calls, cost.minutes) == (8, 2, 2.0)


# The command.


@pytest.fixture
def without_servers(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def everything(settings: Settings) -> Iterator[Resources]:
        yield desk.parts

    monkeypatch.setattr(connect, "everything", everything)


def type_(desk: Desk, *arguments: str) -> testing.Result:
    runner = testing.CliRunner(env={"COLUMNS": "200", "ORDERSYNC_HOME": str(desk.world.path.parent), "TERM": "dumb"})
    return runner.invoke(cli.app, ["verify", "--fix", *arguments])


@pytest.mark.usefixtures("without_servers")
def test_what_a_dry_run_shows_is_what_apply_emits_and_nothing_else(desk: Desk) -> None:
    desk.world.run(EDIT, "by hand", identity(1))
    shown = type_(desk, "--dry-run")
    plan_id = desk.plan().id
    assert shown.exit_code == 1
    assert "1 orders would be repaired" in shown.output
    assert "cost: about 0 mutations in 0 calls" in shown.output
    assert f"plan {plan_id}: `--fix --apply {plan_id}`" in shown.output
    assert desk.producer.take() == []
    assert desk.parts.actions.newest(1) == []
    desk.world.run(EDIT, "by another hand", identity(1))
    moved = type_(desk, "--apply", plan_id)
    assert isinstance(moved.exception, errors.Misconfigured)
    assert "the world has moved on" in str(moved.exception)
    assert (desk.producer.take(), desk.parts.actions.newest(1)) == ([], [])
    desk.world.run(EDIT, "by hand", identity(1))
    assert type_(desk, "--apply", plan_id, "--reason", "ticket 7").exit_code == 0
    assert [one.record_uuid for one in desk.producer.take()] == [identity(1)]
    (action,) = desk.parts.actions.newest(9)
    assert (action["action"], action["reason"]) == ("verify --fix", "ticket 7")
    assert (action["subject"], action["effect"]) == (f"plan {plan_id}: tables", "1 repairs emitted")


@pytest.mark.usefixtures("without_servers")
def test_a_plain_fix_is_noted_too_also_when_it_has_nothing_to_do(desk: Desk) -> None:
    assert type_(desk).exit_code == 0
    desk.world.run("DELETE FROM MON_CustMasterSchedule WHERE source_uuid = ?", identity(1))
    assert type_(desk).exit_code == 0
    effects = [one["effect"] for one in desk.parts.actions.newest(9)]
    assert effects == ["1 repairs emitted", "nothing to repair"]


@pytest.mark.usefixtures("without_servers")
def test_a_dry_run_as_json(desk: Desk) -> None:
    desk.world.run(EDIT, "by hand", identity(1))
    result = verify_command.dry_run(desk.parts.settings)
    assert result.plan is not None
    found = json.loads(type_(desk, "--dry-run", "--json").output)
    assert found["plan"]["id"] == result.plan.id
    assert found["plan"]["repairs"][0]["way"] == Way.NEW
