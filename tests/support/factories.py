"""Rows, events and staged orders on a migrated database; and `World`, which walks them through the steps.

Only the board is missing: `World.arrive` and `World.refuse` say what became of a staged order there.
"""

import itertools
import random
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from connectors import database
from connectors.database import sqlite
from connectors.tables import (
    batches,
    failures,
    journal,
    lease,
    ledger,
    orders,
    production,
    records,
    repairs,
    retries,
    row_states,
    staging,
    state,
)
from connectors.tables import plans as plan_tables
from mappings import columns, loading, sizes
from mappings import items as mapped
from schemas import detection, events, items, versions
from schemas.base import Cell
from schemas.batches import BatchStatus, StagingStatus
from schemas.failures import FailureType
from schemas.orders import StagedOrder
from schemas.versions import Version
from sql import identifiers, tables
from streams import resources, retry, settle, stage
from streams.detect import guard, plans
from streams.detect import step as detect
from streams.reconcile import comparison, expected, verify
from tests.support import fakes

BOARD = "9200517329"
SOURCE = tables.get(tables.SOURCE)
LENGTHS = {column.name: column.length for column in tables.get(tables.STAGING).columns}
Row = dict[str, Any]


def identity(number: int) -> str:
    """The record_uuid of an order, as both databases write it."""
    return f"{number:08X}-0000-4000-8000-000000000000"


def row(number: int, sizes: dict[str, int] | None = None, **cells: Cell) -> Row:
    """A valid source row; `cells` replace columns by name, with "_" for a blank of the name."""
    sizes = {"S": 1, "M": 2} if sizes is None else sizes
    named = {name.replace("_", " ") if name.isupper() else name: cell for name, cell in cells.items()}
    return {
        "record_uuid": identity(number),
        "AAG ORDER NUMBER": f"JOO-{number:05}",
        "CUSTOMER NAME": "GREYSON CLOTHIERS",
        "AAG SEASON": "2025 FALL",
        "CUSTOMER STYLE": "MFA24K79",
        "CUSTOMER COLOUR DESCRIPTION": "ARCTIC",
        "PO NUMBER": "4755",
        "UNIT OF MEASURE": "PCE",
        "ORDER TYPE": "ACTIVE",
        "CUSTOMER PRICE": "12.5000",
        "TOTAL QTY": sum(sizes.values()),
        **sizes,
        **named,
    }


def excluded_row(number: int) -> Row:
    """A row that is no order: nothing but its identity and a name."""
    return {"record_uuid": identity(number), "CUSTOMER NAME": "GREYSON CLOTHIERS", "TOTAL QTY": 0}


def changed(
    number: int = 1,
    version: int = 1,
    change: events.Change = events.Change.CREATED,
    *,
    batch_id: str = "BATCH-1",
    position: int = 0,
    sizes: dict[str, int] | None = None,
    row_hash: str | None = None,
    **cells: Cell,
) -> events.OrderChanged:
    """An event as detect emits it."""
    made = {name: cell for name, cell in row(number, sizes, **cells).items() if cell is not None}
    made.pop("record_uuid")
    held = {name: made.pop(name) for name in ({"S": 1, "M": 2} if sizes is None else sizes)}
    gone = change is events.Change.DELETED
    return events.OrderChanged(
        customer=str(made["CUSTOMER NAME"]),
        record_uuid=identity(number),
        version=version,
        row_hash=row_hash or (detection.DELETED if gone else f"HASH-{version}"),
        batch_id=batch_id,
        change=change,
        position=position or number,
        detected_at=fakes.Clock()(),
        row={} if gone else made,
        sizes={} if gone else held,
    )


class World:
    """All steps and all tables over one file, or one database, as one poller and one worker would hold them."""

    def __init__(self, path: Path, db: database.Database | None = None) -> None:
        self.path = path
        self.clock = fakes.Clock()
        self.db = sqlite.SqliteDatabase(path) if db is None else db
        self.mappings = loading.load()
        self.topic = fakes.Topic()
        self.orders = orders.Orders(self.db, self.clock)
        self.state = state.State(self.db, self.clock)
        self.plans = plan_tables.Plans(self.db, now=self.clock)
        self.repairs = repairs.Repairs(self.db, self.clock)
        self.batches = batches.Batches(self.db, self.clock)
        self.failures = failures.Failures(self.db, now=self.clock)
        self.retries = retries.Retries(self.db, now=self.clock)
        self.ledger = ledger.Ledger(self.db, board_id=BOARD, now=self.clock)
        self.journal = journal.Journal(self.db, board_id=BOARD, now=self.clock)
        staged = [column.staging for column in self.mappings.board.columns]
        self.staging = staging.Staging(self.db, staged, board_id=BOARD, now=self.clock)
        shared = [*staged, "Title", "Group", "CUSTOMER", "UpdateDate"]
        held = set(tables.get(tables.PRODUCTION).names)
        self.production = production.Production(self.db, [n for n in shared if n in held], now=self.clock)
        self.stager = stage.Stager(self.staging, self.mappings, columns.text_lengths([]) | LENGTHS, self.clock)
        self.retrier = retry.Retrier(
            self.retries,
            retry.Breaker(self.state, self.retries.outcomes, 60.0),
            60.0,
            5,
            self.clock,
            random.Random(7),
        )
        ids = random.Random(11)
        self.detector = detect.Detector(
            source=self.orders,
            store=self.state,
            batches=self.batches,
            refusals=self.failures,
            publish=self.topic,
            mappings=self.mappings,
            limits=guard.Limits(deleted=0.2, changed=0.5, rows=50),
            differing=lambda rows: self.comparison().remapped(rows),
            planner=plans.Planner(self.orders, self.last_versions, self.mappings, plans.Pace(1000.0, 25), self.clock),
            held_plans=self.plans,
            window=100_000,
            now=self.clock,
            new_id=lambda: str(uuid.UUID(int=ids.getrandbits(128))).upper(),
        )
        self._item_ids = itertools.count(9_000_000_001)

    def use(self, mappings: loading.Mappings) -> None:
        """Another mapping, for every step: as after a restart of all processes."""
        self.mappings = mappings
        self.detector = replace(
            self.detector, mappings=mappings, planner=replace(self.detector.planner, mappings=mappings)
        )
        self.stager = replace(self.stager, mappings=mappings)

    def with_sizes(self, **changed: Any) -> loading.Mappings:
        """The mapping with these fields of `sizes`."""
        board = self.mappings.board
        board = board.model_copy(update={"sizes": board.sizes.model_copy(update=changed)})
        return loading.Mappings(board, self.mappings.customers, self.mappings.rules)

    def last_versions(self, record_uuids: Sequence[str]) -> dict[str, plans.Known]:
        """As streams.resources has them."""
        return resources.last_versions(self.repairs, record_uuids)

    # The source, as the people who own it change it.

    def add(self, *rows: Row) -> None:
        with self.db.write() as session:
            for made in rows:
                marks = ", ".join("?" * len(made))
                names = identifiers.listed(made)
                session.execute(f"INSERT INTO ORDERS_UNIFIED ({names}) VALUES ({marks})", tuple(made.values()))

    def edit(self, number: int, cells: Row) -> None:
        names = identifiers.listed(cells, suffix=" = ?")
        with self.db.write() as session:
            session.execute(
                f"UPDATE ORDERS_UNIFIED SET {names} WHERE record_uuid = ?", (*cells.values(), identity(number))
            )

    def remove(self, *numbers: int) -> None:
        with self.db.write() as session:
            for number in numbers:
                session.execute("DELETE FROM ORDERS_UNIFIED WHERE record_uuid = ?", (identity(number),))

    def run(self, statement: str, *params: Cell) -> None:
        with self.db.write() as session:
            session.execute(statement, params)

    def reshape(self, columns: Sequence[tuple[str, str]]) -> None:
        """ORDERS_UNIFIED with these columns, keeping what it held in those that stay."""
        kept = [name for name, _ in self.orders.columns() if name in {name for name, _ in columns}]
        body = ", ".join(f"{identifiers.quote(name)} {kind}" for name, kind in columns)
        names = identifiers.listed(kept)
        self.run(f"CREATE TABLE NEW_SOURCE ({body}) STRICT")
        self.run(f"INSERT INTO NEW_SOURCE ({names}) SELECT {names} FROM ORDERS_UNIFIED")
        self.run("DROP TABLE ORDERS_UNIFIED")
        self.run("ALTER TABLE NEW_SOURCE RENAME TO ORDERS_UNIFIED")

    # The steps.

    def detect(
        self, chosen: detection.Filters | None = None, *, accept: bool = False, **parts: Any
    ) -> detection.PassReport:
        """One pass; `parts` replace some of the detector's for this pass. `accept`: what a pass before it holds."""
        detector = replace(self.detector, **parts)
        if accept and (plan := self.detector.run().plan) is not None:
            self.plans.accept(plan)
        return detector.run(chosen)

    def passed(self, **parts: Any) -> list[events.OrderChanged]:
        """What one pass emits."""
        self.detect(**parts)
        return self.topic.take()

    def stage(self, *changed: events.OrderChanged) -> list[events.OrderEvent]:
        return self.stager.run(changed)

    def arrive(self, staged: Sequence[events.OrderEvent]) -> list[events.OrderSynced]:
        """The board shows these orders: what sync leaves in the tables, and emits."""
        ends = []
        for (record_uuid, version), order in self.staging.load(
            [versions.Version(e.record_uuid, e.version) for e in staged]
        ).items():
            item_id = None if order.removed else str(next(self._item_ids))
            ends.append(versions.ConfirmedVersion(record_uuid, version, item_id))
            self._show(order, item_id)
        self.staging.finish(ends)
        items = {end.version: end.item_id for end in ends}
        return [
            events.OrderSynced(
                **event.identity,
                item_id=items[Version(event.record_uuid, event.version)],
                mutations=1,
                synced_at=self.clock(),
            )
            for event in staged
            if (event.record_uuid, event.version) in items
        ]

    def _show(self, order: StagedOrder, item_id: str | None) -> None:
        """Enters in the ledger what the board shows of this order now; known subitems keep their ids."""
        _, sizes = self.ledger.known([order.record_uuid]).get(order.record_uuid, (None, []))
        known = {size.size_label: (size.item_id, size.board_id) for size in sizes}
        with self.db.write() as session:
            at = database.to_db_time(self.clock())
            session.execute("DELETE FROM SYNC_Ledger WHERE record_uuid = ?", (order.record_uuid,))
            if item_id is None:
                return
            item = items.Entity(
                record_uuid=order.record_uuid,
                item_id=item_id,
                board_id=BOARD,
                name=order.item_name,
                group_name=order.group_name,
                columns=mapped.board_columns(order.values, order.record_uuid, self.mappings),
            )
            ledger.remember(session, item, order.version, at)
            for n, (size, quantity) in enumerate(order.sizes.items()):
                subitem_id, board_id = known.get(size, (f"{item_id}{n:03}", BOARD))
                subitem = items.Entity(
                    record_uuid=order.record_uuid,
                    size_label=size,
                    item_id=subitem_id,
                    board_id=board_id,
                    name=mapped.subitem_name(size, self.mappings),
                    columns=mapped.subitem_columns(size, quantity, self.mappings),
                )
                ledger.remember(session, subitem, order.version, at)

    def refuse(self, event: events.OrderEvent, **told: Any) -> events.OrderFailed:
        """The board refuses this order: what sync emits."""
        given: dict[str, Any] = {
            "failure": FailureType.API_ERROR,
            "code": "ColumnValueException",
            "message": "invalid value",
            "retryable": False,
            "http_status": 200,
            "request_id": "req-1",
            "api_payload": '{"columns": {}}',
            "failed_at": self.clock(),
        }
        return events.OrderFailed(**event.identity, **(given | told))

    def promote(self, *synced: events.OrderSynced) -> tuple[int, int]:
        return settle.promote(synced, self.production, self.failures)

    def record(self, *failed: events.OrderFailed) -> list[events.OrderFailed]:
        return settle.record(failed, self.failures)

    def settle(self, *changed: events.OrderChanged) -> None:
        """From these events to production, or to the ERR tables."""
        emitted = self.stage(*changed)
        self.record(*[event for event in emitted if isinstance(event, events.OrderFailed)])
        self.promote(*self.arrive([event for event in emitted if isinstance(event, events.OrderStaged)]))

    def flow(self, **parts: Any) -> list[events.OrderChanged]:
        """One pass, and everything it emits to its end."""
        emitted = self.passed(**parts)
        self.settle(*emitted)
        return emitted

    def comparison(self, mappings: loading.Mappings | None = None) -> comparison.Comparison:
        """The comparison of all three; by default with the mappings of this world."""
        chosen = mappings or self.mappings
        size_columns = sizes.size_columns(self.orders.columns(), chosen.board.sizes)
        expectations = expected.Expectations(chosen, size_columns, columns.text_lengths([]) | LENGTHS)
        return comparison.Comparison(records.Records(self.db, self.production.columns), expectations)

    def verifier(self) -> verify.Verifier:
        return verify.Verifier(
            row_states.RowStates(self.db, self.production.columns),
            self.repairs,
            self.state,
            self.comparison(),
            self.clock,
        )

    def lease(self, owner: str, seconds: float = 30.0) -> lease.Lease:
        return lease.Lease(self.db, "board", owner=owner, seconds=seconds, now=self.clock)

    # What the tables say.

    def query(self, statement: str, *params: Cell) -> list[dict[str, Any]]:
        with self.db.read() as session:
            return session.query(statement, params)

    def states(self) -> dict[str, str]:
        """Where each order of the source stands."""
        rows = self.query("SELECT record_uuid, sync_state FROM ORDERS_UNIFIED_SNAPSHOT WHERE row_hash <> 'DELETED'")
        return {found["record_uuid"]: found["sync_state"] for found in rows}

    def snapshot(self, number: int) -> dict[str, Any]:
        (found,) = self.query("SELECT * FROM ORDERS_UNIFIED_SNAPSHOT WHERE record_uuid = ?", identity(number))
        return found

    def staged(self, number: int = 1) -> dict[int, str]:
        """Version → status of one order."""
        found = self.query(
            "SELECT version, stg_status FROM STG_MON_CustMasterSchedule WHERE source_uuid = ?", identity(number)
        )
        return {line["version"]: line["stg_status"] for line in found}

    def errors(self, table: str = tables.ERRORS) -> list[dict[str, Any]]:
        return self.query(f"SELECT * FROM {table} ORDER BY err_id")

    def batch(self, batch_id: str) -> dict[str, Any]:
        (found,) = self.query("SELECT * FROM MON_BatchProcessing WHERE batch_id = ?", batch_id)
        return found

    def tried_again(self, batch_id: str) -> int:
        """How many failed orders of a batch have a retry before them."""
        open_errors = [
            (line["record_uuid"], line["version"])
            for line in self.failures.waiting()
            if line["next_retry_at"] is not None or (line["retryable"] and not line["max_retries_reached"])
        ]
        failed = self.query(
            "SELECT source_uuid, version FROM STG_MON_CustMasterSchedule "
            "WHERE stg_batch_id = ? AND stg_status = 'API_FAILED'",
            batch_id,
        )
        return sum((line["source_uuid"], line["version"]) in open_errors for line in failed)

    def check_batches(self) -> None:
        """Every counter of every batch is what the staging tables say, at this moment."""
        for batch in self.query("SELECT * FROM MON_BatchProcessing"):
            counted = dict.fromkeys(StagingStatus, 0)
            for line in self.query(
                "SELECT stg_status, COUNT(*) AS n FROM STG_MON_CustMasterSchedule WHERE stg_batch_id = ? "
                "GROUP BY stg_status",
                batch["batch_id"],
            ):
                counted[StagingStatus(line["stg_status"])] = line["n"]
            ends = {
                "successful_records": counted[StagingStatus.PROMOTED],
                "failed_records": counted[StagingStatus.API_FAILED] - self.tried_again(batch["batch_id"]),
                "superseded_records": counted[StagingStatus.SUPERSEDED],
            }
            assert {name: batch[name] for name in ends} == ends
            open_orders = batch["total_records"] - sum(ends.values())
            assert open_orders >= sum(counted.values()) - sum(ends.values())
            active = self.query("SELECT * FROM VW_MON_ActiveBatches WHERE batch_id = ?", batch["batch_id"])
            over = BatchStatus(batch["status"]) in (BatchStatus.PROMOTED, BatchStatus.FAILED)
            assert over == (open_orders == 0) == (not active)
            assert (batch["status"] == BatchStatus.FAILED) == (over and batch["failed_records"] > 0)
            assert (batch["end_time"] is not None) == over
            assert [found["open_records"] for found in active] in ([], [open_orders])


@contextmanager
def world(folder: Path, kind: type[World] = World) -> Iterator[World]:
    """A world in `folder`, its tables made."""
    made = kind(folder / "orders.db")
    made.db.apply_schema(made.clock())
    try:
        yield made
    finally:
        made.db.close()


def entity(number: int, size_label: str = "", **fields: Any) -> items.Entity:
    """An item of the board, or one of its subitems."""
    given: dict[str, Any] = {
        "record_uuid": identity(number),
        "size_label": size_label,
        "item_id": str(9_100_000_000 + number),
        "board_id": BOARD,
        "name": f"item {number}",
        "group_name": "" if size_label else "GREYSON CLOTHIERS 2025 FALL",
    }
    return items.Entity(**(given | fields))
