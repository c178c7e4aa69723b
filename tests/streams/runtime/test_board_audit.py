"""The incremental audit at the simulated board, over HTTP: it reports what a full audit reports, and costs a few calls.

`people.People` and `Desk.by_hand` edit the board as a user does, past the API.
"""

import contextlib
import json
import math
import random
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import errors
from connectors.monday import budget, changes, client, limits
from schemas import mappings as mapping
from streams import settings
from streams.reconcile import audit, incremental
from streams.resources import Resources
from streams.runtime import board_audit, verify_timer
from tests.support import people
from tests.support.arrivals import arrived, told_again
from tests.support.board_facts import column
from tests.support.virtual import timeless
from tests.support.writer_desk import GROUP, OTHER_GROUP, Desk, desk, order, uuid

HOUR = 3600.0
MISSING, EXTRA = audit.Kind.MISSING, audit.Kind.EXTRA
DUPLICATE, EDITED = audit.Kind.DUPLICATE, audit.Kind.EDITED


class Audits:
    """The audits of one installation, on the clock of the desk."""

    def __init__(self, at: Desk, parts: Resources, api: client.Client) -> None:
        self.at, self.parts, self.api = at, parts, api

    async def run_audit(self, *, full: bool = False) -> audit.BoardReport:
        before = self.at.world.simulator.service.stats.requests
        report = await board_audit.audited(self.parts, self.api, full=full, now=self.at.world.clock.now)
        assert report.extent is not None
        assert report.extent.calls == self.at.world.simulator.service.stats.requests - before
        return report

    async def changed(self) -> audit.BoardReport:
        report = await self.run_audit()
        assert report.extent is not None
        assert report.extent.since is not None, report.extent.reason
        return report

    async def full_reason(self) -> str:
        extent = (await self.run_audit()).extent
        assert extent is not None
        assert extent.since is None
        return extent.reason

    async def passes(self, seconds: float) -> None:
        # Without a lease to renew every few seconds.
        await self.at.restart()
        await self.at.world.clock.sleep(seconds)

    async def settle(self) -> None:
        """A full audit at a board on which nothing differs, long after and long before anything else changes."""
        await self.passes(HOUR)
        assert (await self.run_audit(full=True)).drift == ()
        await self.passes(HOUR)

    def stored(self, **changed: Any) -> None:
        """Changes fields of the stored checkpoint."""
        checkpoint = self.checkpoint.model_copy(update=changed)
        self.parts.state.set(board_audit.SINCE, checkpoint.model_dump(mode="json"))

    def forget_log(self) -> None:
        """The API keeps no line of the log any more."""
        self.at.world.simulator.service.state._db.execute("DELETE FROM activity")

    @property
    def checkpoint(self) -> incremental.Checkpoint:
        return incremental.Checkpoint.model_validate(self.parts.state.get(board_audit.SINCE))


@contextlib.asynccontextmanager
async def audits(folder: Path, **chosen: Any) -> AsyncIterator[Audits]:
    mappings = chosen.pop("mappings", lambda same: same)
    async with desk(folder, mappings=mappings) as at:
        parts = Resources(settings.Settings(home=folder, database=str(at.world.path), **chosen))
        parts.db.apply_schema(at.world.clock.now())
        parts.__dict__["mappings"] = at.world.mappings
        async with at.world.client(budget.Budget(limits.preset("personal", "pro"))) as api:
            yield Audits(at, parts, api)
        parts.close()


def shown(report: audit.BoardReport) -> list[tuple[str, str, str, str]]:
    return sorted((one.record_uuid, one.kind.value, one.field, one.size) for one in report.drift)


@timeless
async def test_the_first_audit_is_full_and_the_next_reads_what_changed(tmp_path: Path) -> None:
    async with audits(tmp_path) as made:
        await arrived(made.at, order(1), order(2))
        await made.passes(HOUR)
        first = await made.run_audit()
        assert str(first.extent) == "board: all 2 items compared (full audit: there was no earlier one), 3 calls"
        await made.passes(HOUR)
        made.at.by_hand("set", made.at.item(2)["id"], column_id="name", value="by hand")
        second = await made.changed()
        assert second.orders == {uuid(2): EDITED}
        assert second.extent is not None
        since = f"{first.extent.last_full:%Y-%m-%d %H:%M:%S}" if first.extent else ""
        assert str(second.extent) == (
            f"board: 1 changed item of 2 compared since {since} UTC (last full audit: {since[:10]}), 3 calls"
        )
        assert made.parts.state.get(verify_timer.BOARD)["extent"] == str(second.extent)
        full = await made.run_audit(full=True)
        assert full.orders == second.orders
        assert full.extent is not None
        assert full.extent.reason == "--full"


@timeless
async def test_every_kind_of_edit_is_found_once(tmp_path: Path) -> None:
    async with audits(tmp_path) as made:
        at = made.at
        await arrived(at, *(order(n) for n in range(1, 9)))
        await made.settle()
        quantity, style = at.world.mappings.board.subitem.quantity.id, column(at, "PATTERN ID")
        label = next(one.id for one in at.world.mappings.board.columns if one.source == "CUSTOMER NAME")
        at.by_hand("set", at.item(1)["id"], column_id=style, value="by hand")
        at.by_hand("set", at.item(2)["subitems"][0]["id"], column_id=quantity, value="99")
        at.by_hand("delete", at.item(3)["id"])
        at.by_hand("archive", at.item(4)["id"])
        at.by_hand("move", at.item(5)["id"], group=OTHER_GROUP)
        at.by_hand("duplicate", at.item(6)["id"])
        at.by_hand("set", at.item(7)["id"], column_id=label, value={"labels": ["BY HAND"]})
        at.by_hand("delete", at.item(8)["subitems"][1]["id"])
        found = await made.changed()
        assert found.orders == {
            **{uuid(n): EDITED for n in (1, 2, 5, 7, 8)}, uuid(3): MISSING, uuid(4): MISSING, uuid(6): DUPLICATE
        }  # fmt: skip
        assert len(shown(found)) == len(set(shown(found)))
        assert shown(await made.run_audit(full=True)) == shown(found)


@timeless
async def test_each_edit_alone_is_found(tmp_path: Path) -> None:
    async with audits(tmp_path) as made:
        at = made.at
        await arrived(at, *(order(n) for n in range(1, 9)))
        await made.settle()
        quantity = at.world.mappings.board.subitem.quantity.id
        edits: list[tuple[Callable[[], str], tuple[int, audit.Kind]]] = [
            (lambda: at.by_hand("set", at.item(1)["id"], column_id="name", value="x"), (1, EDITED)),
            (lambda: at.by_hand("set", at.item(2)["subitems"][0]["id"], column_id=quantity, value="9"), (2, EDITED)),
            (lambda: at.by_hand("delete", at.item(3)["id"]), (3, MISSING)),
            (lambda: at.by_hand("archive", at.item(4)["id"]), (4, MISSING)),
            (lambda: at.by_hand("move", at.item(5)["id"], group=OTHER_GROUP), (5, EDITED)),
            (lambda: at.by_hand("duplicate", at.item(6)["id"]), (6, DUPLICATE)),
            (lambda: at.by_hand("archive", at.item(7)["subitems"][0]["id"]), (7, EDITED)),
            (lambda: at.by_hand("duplicate", at.item(8)["subitems"][0]["id"]), (8, DUPLICATE)),
        ]
        for act, expected in edits:
            act()
            found = (await made.changed()).orders
            number, kind = expected
            # And those before it, which nobody has repaired.
            assert len(found) == number
            assert found[uuid(number)] is kind
            await made.passes(HOUR)


@timeless
async def test_what_differs_is_named_until_it_is_repaired(tmp_path: Path) -> None:
    async with audits(tmp_path) as made:
        at = made.at
        await arrived(at, order(1), order(2))
        await made.settle()
        at.by_hand("delete", at.item(1)["id"])
        for _ in range(3):
            assert (await made.changed()).orders == {uuid(1): MISSING}
            await made.passes(HOUR)
        await told_again(at, order(1))
        await made.passes(HOUR)
        assert (await made.changed()).orders == {}
        await made.passes(HOUR)
        last = (await made.changed()).extent
        assert last is not None
        assert (last.read, last.calls) == (0, 2)


@timeless
async def test_an_edit_just_before_the_last_audit_is_found(tmp_path: Path) -> None:
    """The API shows it late: the last audit did not see it, and its time is before that audit."""
    async with audits(tmp_path) as made:
        at = made.at
        await arrived(at, order(1), order(2), order(3))
        await made.settle()
        at.by_hand("set", at.item(1)["id"], column_id="name", value="by hand")
        at.by_hand("delete", at.item(2)["id"])
        await made.passes(840.0)
        made.stored(at=at.world.clock.now())
        await made.passes(HOUR)
        assert (await made.changed()).orders == {uuid(1): EDITED, uuid(2): MISSING}


@timeless
async def test_an_order_that_ordersync_wrote_is_compared_though_the_board_tells_nothing_of_it(tmp_path: Path) -> None:
    async with audits(tmp_path) as made:
        at = made.at
        await arrived(at, order(1))
        await made.settle()
        await arrived(at, order(2))
        lost = at.item(2)
        state = at.world.simulator.service.state
        with state.transaction():
            for one in (lost, *lost["subitems"]):
                state.set_item(int(one["id"]), 0.0, state="deleted")
        made.forget_log()
        assert (await made.changed()).orders == {uuid(2): MISSING}


@timeless
async def test_an_edit_without_a_line_in_the_log_is_found_by_the_update(tmp_path: Path) -> None:
    async with audits(tmp_path) as made:
        at = made.at
        await arrived(at, order(1), order(2))
        await made.settle()
        at.by_hand("set", at.item(1)["id"], column_id="name", value="by hand")
        quantity = at.world.mappings.board.subitem.quantity.id
        at.by_hand("set", at.item(2)["subitems"][0]["id"], column_id=quantity, value="99")
        made.forget_log()
        assert (await made.changed()).orders == {uuid(1): EDITED, uuid(2): EDITED}


@timeless
async def test_an_order_whose_copy_goes_after_its_item_is_missing(tmp_path: Path) -> None:
    async with audits(tmp_path) as made:
        at = made.at
        await arrived(at, order(1), order(2))
        await made.settle()
        original = at.item(1)["id"]
        copy = at.by_hand("duplicate", original)
        at.by_hand("delete", original)
        for _ in range(2):
            assert shown(await made.changed()) == [(uuid(1), "edited", audit.ITEM, "")]
            await made.passes(HOUR)
        at.by_hand("delete", copy)
        assert shown(await made.changed()) == [(uuid(1), "missing", audit.ITEM, "")]


@timeless
async def test_a_removed_subitem_that_took_the_place_of_ours_is_found(tmp_path: Path) -> None:
    async with audits(tmp_path) as made:
        at = made.at
        await arrived(at, order(1))
        await made.settle()
        subitem, ours = at.world.mappings.board.subitem, at.item(1)["subitems"][0]
        at.by_hand("delete", ours["id"])
        same = {name: ours["columns"][name] for name in (subitem.size.id, subitem.quantity.id)}
        theirs = at.by_hand("add", name=ours["name"], parent_id=at.item(1)["id"], columns=same)
        for _ in range(2):
            assert (await made.changed()).orders == {}
            await made.passes(HOUR)
        # Neither its line in the log nor the ledger names its item.
        at.by_hand("delete", theirs)
        assert (await made.changed()).orders == {uuid(1): EDITED}


@timeless
async def test_a_removed_subitem_that_nobody_knows_concerns_no_order(tmp_path: Path) -> None:
    async with audits(tmp_path) as made:
        at = made.at
        await arrived(at, order(1))
        await made.settle()
        remark = at.by_hand("add", name="a remark", parent_id=at.item(1)["id"])
        at.by_hand("delete", remark)
        assert (await made.changed()).orders == {}


@timeless
async def test_a_copy_whose_order_did_not_change_is_a_duplicate_and_no_edit(tmp_path: Path) -> None:
    async with audits(tmp_path) as made:
        at = made.at
        await arrived(at, order(1), order(2))
        await made.settle()
        key = at.world.mappings.board.key.id
        at.by_hand("add", name="of theirs", columns={key: uuid(1)})
        at.by_hand("add", name="of theirs", columns={key: uuid(77)})
        found = await made.changed()
        assert found.orders == {uuid(1): DUPLICATE, uuid(77): EXTRA}
        assert shown(await made.run_audit(full=True)) == shown(found)


@timeless
@pytest.mark.parametrize("seed", range(3))
async def test_thirty_edits_are_reported_as_by_a_full_audit(tmp_path: Path, seed: int) -> None:
    async with audits(tmp_path, mappings=people.notes_are_theirs) as made:
        at = made.at
        await arrived(at, *(order(n, sizes={"S": n, "M": 2, "9-12M": 8}) for n in range(1, 16)))
        await made.settle()
        rng = random.Random(seed)
        hand = people.People(
            edit=at.by_hand,
            board=lambda: at.world.simulator.admin.board()["items"],
            mappings=at.world.mappings,
            people=column(at, "NOTES"),
            rng=rng,
        )
        for done in (10, 20, 30):
            hand.act(done)
            told = await made.changed()
            checkpoint = made.parts.state.get(board_audit.SINCE)
            full = await made.run_audit(full=True)
            assert told.drift
            assert shown(told) == shown(full)
            # The next audit continues from the incremental one.
            made.parts.state.set(board_audit.SINCE, checkpoint)
            await made.passes(rng.choice([60.0, HOUR]))


@timeless
@pytest.mark.parametrize("items", [10, pytest.param(2000, marks=pytest.mark.slow)])
async def test_with_nothing_changed_an_audit_costs_two_calls(tmp_path: Path, items: int) -> None:
    async with audits(tmp_path) as made:
        fill(made, items)
        full = await made.run_audit()
        assert full.compared == items
        assert full.drift == ()
        assert full.extent is not None
        assert full.extent.calls == 2 + math.ceil(items / board_audit.PAGE)
        # Only what changes within the overlap is read twice.
        await made.passes(HOUR)
        made.stored(at=made.at.world.clock.now())
        await made.passes(HOUR)
        for _ in range(2):
            extent = (await made.changed()).extent
            assert extent is not None
            assert (extent.calls, extent.read, extent.active) == (2, 0, items)


@timeless
async def test_too_much_changed_for_a_few_calls_and_the_board_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incremental, "FEW_CALLS", 1)
    async with audits(tmp_path) as made:
        fill(made, 150)
        await made.run_audit()
        assert await made.full_reason() == "the activity log is too long"


@timeless
async def test_a_full_audit_when_the_changes_cannot_be_determined(tmp_path: Path) -> None:
    async with audits(tmp_path) as made:
        await arrived(made.at, order(1))
        await made.settle()
        now = made.at.world.clock.now()
        made.stored(at=now - timedelta(hours=24, seconds=1))
        assert await made.full_reason() == "the last audit was more than 24 hours ago"
        made.stored(full=now - timedelta(days=6, hours=23))
        await made.changed()
        made.stored(full=now - timedelta(days=7))
        assert await made.full_reason() == f"the last full one was on {now - timedelta(days=7):%Y-%m-%d}"
        made.stored(mapping="another")
        assert await made.full_reason() == "the mapping or the board is another one"
        made.stored(unusable="because")
        assert await made.full_reason() == "because"
        made.parts.state.set(board_audit.SINCE, {"of": "another version"})
        assert await made.full_reason() == "there was no earlier one"


@timeless
@pytest.mark.parametrize(
    ("table", "change"), [("labels", "label = label || ' 2'"), ("board_groups", "title = title || ' 2'")]
)
async def test_a_renamed_label_or_group_needs_a_full_audit(tmp_path: Path, table: str, change: str) -> None:
    async with audits(tmp_path) as made:
        await arrived(made.at, order(1))
        await made.settle()
        state = made.at.world.simulator.service.state
        with state.transaction():
            state._db.execute(f"UPDATE {table} SET {change}")
        state._load_outline()
        assert await made.full_reason() == "a label or a group was renamed or removed"


@timeless
async def test_the_refusal_of_the_changes_leads_to_a_full_audit(tmp_path: Path) -> None:
    async with audits(tmp_path) as made:
        at = made.at
        await arrived(at, order(1))
        await made.settle()
        state = at.world.simulator.service.state
        with state.transaction():
            state.add_activity(
                9200517329, None, 1, "unheard_of", "pulse", json.dumps({}), at.world.clock.now().timestamp()
            )
        assert await made.full_reason() == "a line unheard_of of the activity log names no item"


@timeless
async def test_without_the_changes_every_audit_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: object) -> changes.BoardOutline:
        raise errors.Rejected("no such order", code="InvalidArgumentException")

    async with audits(tmp_path) as made:
        await arrived(made.at, order(1))
        monkeypatch.setattr(changes.Reader, "outline", refused)
        await made.run_audit()
        assert await made.full_reason() == "the changes of the board could not be read: no such order"
        monkeypatch.undo()
        made.stored(unusable="")
        monkeypatch.setattr(changes.Reader, "read", refused)
        assert await made.full_reason() == "the API refused to read the changes: no such order"


@timeless
async def test_the_calls_of_the_day_are_kept_for_the_writer(tmp_path: Path) -> None:
    async with audits(tmp_path, monday_limits={"calls_per_day": 3}) as made:
        await arrived(made.at, order(1))
        with pytest.raises(errors.Misconfigured, match="about 5 calls"):
            await made.run_audit()


def fill(made: Audits, count: int) -> None:
    """So many orders on the board and in production, without their way through Kafka and the API."""
    simulator, key = made.at.world.simulator.service, made.at.world.mappings.board.key.id
    board_id, now = str(simulator.settings.board_id), made.at.world.clock.now().timestamp()
    rows = []
    with simulator.state.transaction():
        group = simulator.rules.create_group(board_id, GROUP)
        for number in range(count):
            identity = f"{number:08X}-0000-4000-8000-000000000000"
            name = f"POLO {number}"
            item = simulator.rules.create_item(board_id, name, group.id, json.dumps({key: identity}), False, now)
            rows.append((item.id, identity, 1, name, GROUP))
    with made.parts.db.write() as session:
        session.execute_many(
            "INSERT INTO MON_CustMasterSchedule ([Item ID], source_uuid, version, Title, [Group]) "
            "VALUES (?, ?, ?, ?, ?)",
            rows,
        )


@timeless
async def test_a_renamed_group_is_named_at_every_audit_until_it_has_its_name(tmp_path: Path) -> None:
    async with audits(tmp_path) as made:
        at = made.at
        await arrived(at, order(1), order(2))
        await made.settle()
        at.by_hand("rename_group", group=GROUP, title="Spring!")
        for _ in range(3):
            report = await made.run_audit()
            assert [str(one) for one in report.groups] == [f"group {GROUP} is called Spring! on the board: 2 items"]
            assert report.drift == ()
            await made.passes(HOUR)
        assert made.parts.state.get(verify_timer.BOARD)["kinds"] == {"renamed group": 1}
        await told_again(at, order(1))
        assert not (await made.run_audit()).differs
        await made.passes(HOUR)
        assert not (await made.changed()).differs


@timeless
async def test_a_title_that_people_own_is_equal_in_both_audits(tmp_path: Path) -> None:
    owner = mapping.Groups(owner=mapping.Owner.PEOPLE)
    async with audits(tmp_path, mappings=lambda board: board.model_copy(update={"groups": owner})) as made:
        at = made.at
        await arrived(at, order(1), order(2))
        await made.settle()
        at.by_hand("rename_group", group=GROUP, title="Spring!")
        assert not (await made.run_audit()).differs
        await made.passes(HOUR)
        at.by_hand("set", at.item(1)["id"], column_id="name", value="by hand")
        report = await made.changed()
        assert shown(report) == [(uuid(1), "edited", "(name)", "")]
