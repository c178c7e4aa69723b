"""What must hold at the end of any run, however it was made: read off the tables and the board's content alone.

`board` is what the simulator's admin page tells of the board (`/admin/board`).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from connectors.database import Database
from connectors.simulator.faults import Kind
from mappings import columns as mapped_columns
from mappings import items as mapped
from mappings import sizes as mapped_sizes
from mappings.loading import Mappings
from schemas.base import Cell
from schemas.batches import BatchStatus, StagingStatus, SyncState
from schemas.orders import Order
from sql import identifiers, tables

# PATTERN ID: the column in which our stories tell which version of an order this is.
STAMP = "text_mkr5cz8m"
ENDED = (StagingStatus.PROMOTED, StagingStatus.SUPERSEDED, StagingStatus.API_FAILED)
DELETED = "DELETED"
Item = Mapping[str, Any]
Row = dict[str, Any]


class Written(NamedTuple):
    """A value that was once written to an order's stamp (size "") or to the quantity of one of its sizes."""

    record_uuid: str
    size: str
    value: str


@dataclass
class Verdict:
    """Every deviation in words."""

    lost: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    inversions: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    # What really happened: a fault that never strikes proves nothing.
    met: Counter[str] = field(default_factory=Counter)

    @property
    def wrong(self) -> dict[str, list[str]]:
        return {name: getattr(self, name) for name in ("lost", "duplicates", "inversions", "other")}

    @property
    def holds(self) -> bool:
        return not any(self.wrong.values())

    def __str__(self) -> str:
        return "\n".join(f"  {name}: {said}" for name, some in self.wrong.items() for said in some)


def judge(
    db: Database,
    board: Mapping[str, Any],
    mappings: Mappings,
    *,
    emitted: Iterable[tuple[str, int]] = (),
    history: Iterable[Written] = (),
    told: Mapping[tuple[str, str], Sequence[str]] | None = None,
    bad: Collection[str] | None = None,
) -> Verdict:
    """Source = production = board, and every event accounted for. The pipeline has to be at rest.

    `emitted` are identity and version of every OrderChanged that no wipe of the log took away; `history` is what was
    ever written to the board, `told` what the source ever said (by identity and size, in its order). `bad` are the
    orders that somebody made fail, None where that is not known.
    """
    tables_ = Tables(db, mappings)
    found = Verdict()
    found.duplicates += _duplicates(board, mappings)
    found.lost += _differences(tables_, board, mappings)
    found.lost += _orders(tables_)
    found.lost += _versions(tables_, emitted)
    found.other += _batches(tables_)
    found.other += [] if bad is None else _uncaused(tables_, bad)
    found.inversions += inversions(history, told or {})
    return found


class Tables:
    """What the tables say, read once."""

    def __init__(self, db: Database, mappings: Mappings) -> None:
        live = [(column.name, column.type) for column in db.columns(tables.SOURCE)]
        sizes = mapped_sizes.size_columns(live, mappings.board.sizes)
        watched = mapped_columns.watched(mappings, sizes)
        lengths = mapped_columns.text_lengths(
            [(c.name, c.type) for c in db.columns(tables.STAGING)], tables.get(tables.STAGING).lengths
        )
        with db.read() as session:
            names = identifiers.listed(["record_uuid", *watched])
            rows = session.query(f"SELECT {names} FROM ORDERS_UNIFIED WHERE record_uuid IS NOT NULL")
            self.snapshots = {row["record_uuid"]: row for row in session.query("SELECT * FROM ORDERS_UNIFIED_SNAPSHOT")}
            self.staged = session.query(
                "SELECT source_uuid, version, stg_status, stg_batch_id FROM STG_MON_CustMasterSchedule"
            )
            self.batches = session.query("SELECT * FROM MON_BatchProcessing")
            self.errors = session.query(
                "SELECT record_uuid, version, error_code, error_message, resolved_date FROM ERR_MON_CustMasterSchedule"
                " UNION ALL SELECT record_uuid, version, error_code, error_message, resolved_date"
                " FROM ERR_MON_CustMasterSchedule_Subitems"
            )
            production = session.query("SELECT * FROM MON_CustMasterSchedule")
            quantities = session.query(
                "SELECT record_uuid, size_label, [Order Qty] FROM MON_CustMasterSchedule_Subitems"
            )
            self.in_doubt = session.query("SELECT request_key FROM SYNC_Requests WHERE finished_at IS NULL")
        self.shared = {uuid for uuid, n in Counter(row["record_uuid"] for row in rows).items() if n > 1}
        self.source = {row["record_uuid"]: row for row in rows}
        self.orders: dict[str, Order | None] = {}
        self.excluded: set[str] = set()
        for uuid, row in self.source.items():
            if mapped.is_excluded(row, mappings):
                self.excluded.add(uuid)
            else:
                self.orders[uuid] = mapped.convert(
                    row, size_columns=sizes, mappings=mappings, target_lengths=lengths
                ).order
        self.production: dict[str, list[Row]] = {}
        for row in production:
            self.production.setdefault(row["source_uuid"], []).append(row)
        self.quantities: dict[str, list[tuple[str, str]]] = {}
        for row in quantities:
            self.quantities.setdefault(row["record_uuid"], []).append((row["size_label"], str(row["Order Qty"])))

    def failed(self, uuid: str) -> bool:
        """Its newest version was refused; what it shows is that of an older one."""
        snapshot = self.snapshots.get(uuid)
        return snapshot is not None and snapshot["sync_state"] == SyncState.FAILED


def _active(items: Iterable[Item]) -> list[Item]:
    return [item for item in items if item["state"] == "active"]


def _duplicates(board: Mapping[str, Any], mappings: Mappings) -> Iterator[str]:
    key, size = mappings.board.key.id, mappings.board.subitem.size.id
    items: dict[str, list[str]] = {}
    for item in _active(board["items"]):
        items.setdefault(item["columns"].get(key, "(nobody)"), []).append(item["id"])
        labels = Counter(label(one["columns"].get(size)) for one in _active(item["subitems"]))
        yield from (f"item {item['id']} has size {name} {n} times" for name, n in labels.items() if n > 1)
    yield from (f"{uuid} has the items {ids}" for uuid, ids in items.items() if len(ids) > 1)
    titles = Counter(group["title"] for group in board["groups"])
    yield from (f"group {title} is there {n} times" for title, n in titles.items() if n > 1)


def _differences(found: Tables, board: Mapping[str, Any], mappings: Mappings) -> Iterator[str]:
    """Where source, production and board do not agree."""
    key = mappings.board.key.id
    shown = {item["columns"].get(key, ""): item for item in _active(board["items"])}
    for uuid in sorted({*shown, *found.production, *found.orders} - found.shared):
        order = found.orders.get(uuid)
        if order is None and uuid in found.orders and not found.failed(uuid):
            yield f"{uuid} is refused, and nobody says so"
        if found.failed(uuid):
            continue  # It shows its last good version, or half of one that the API refused; the ERR row says so.
        if order is None:
            if uuid in shown:
                yield f"{uuid} is no order any more, and the board shows it"
            if uuid in found.production:
                yield f"{uuid} is no order any more, and production holds it"
            continue
        wanted = mapped.board_columns(order.values, uuid, mappings)
        facts = (order.item_name, order.group_name, wanted, {size: str(n) for size, n in order.sizes.items()})
        yield from _unequal(uuid, "the board", facts, _shown(shown.get(uuid), mappings))
        yield from _unequal(uuid, "production", facts, _produced(found, uuid, mappings))


def _unequal(uuid: str, where: str, wanted: tuple[Any, ...], got: tuple[Any, ...] | None) -> Iterator[str]:
    if got is None:
        yield f"{uuid} is missing in {where}"
    elif got != wanted:
        parts = zip(("name", "group", "columns", "sizes"), wanted, got, strict=True)
        wrong = "; ".join(f"{name} {_difference(one, other)}" for name, one, other in parts if one != other)
        yield f"{uuid} differs in {where} (wanted, found): {wrong}"


def _difference(wanted: Any, got: Any) -> str:
    if not isinstance(wanted, dict):
        return f"{wanted!r}, {got!r}"
    return str(
        {name: (wanted.get(name), got.get(name)) for name in {*wanted, *got} if wanted.get(name) != got.get(name)}
    )


def _shown(item: Item | None, mappings: Mappings) -> tuple[Any, ...] | None:
    """What the board says of an order. A size of 0 says nothing: it left the order, and its subitem stays."""
    if item is None:
        return None
    subitem = mappings.board.subitem
    sizes = {
        label(one["columns"].get(subitem.size.id)): str(one["columns"].get(subitem.quantity.id, "0"))
        for one in _active(item["subitems"])
    }
    return item["name"], item["group"], item["columns"], {size: n for size, n in sizes.items() if n != "0"}


def _produced(found: Tables, uuid: str, mappings: Mappings) -> tuple[Any, ...] | None:
    rows = found.production.get(uuid)
    if not rows or len(rows) > 1:
        return None
    row = rows[0]
    sizes = {size: n for size, n in found.quantities.get(uuid, []) if n != "0"}
    return row["Title"], row["Group"], mapped.board_columns(row, uuid, mappings), sizes


def _orders(found: Tables) -> Iterator[str]:
    """Every order of the source is in sync, excluded, or failed with an open ERR row; nobody waits."""
    open_errors = {(row["record_uuid"], row["version"]) for row in found.errors if row["resolved_date"] is None}
    for uuid in sorted({*found.source, *found.snapshots} - found.shared):
        snapshot = found.snapshots.get(uuid)
        if snapshot is None:
            yield f"{uuid} was never detected"
            continue
        state, version = SyncState(snapshot["sync_state"]), snapshot["version"]
        gone = uuid not in found.source
        if gone != (snapshot["row_hash"] == DELETED):
            yield f"{uuid} {'left' if gone else 'is in'} the source, and its snapshot says otherwise"
        wanted = SyncState.EXCLUDED if uuid in found.excluded else SyncState.IN_SYNC
        if state is SyncState.FAILED:
            if (uuid, version) not in open_errors:
                yield f"{uuid} failed in version {version}, and no open ERR row says why"
        elif state is not wanted:
            yield f"{uuid} is {state}, not {wanted}"
    for uuid in found.shared:
        if not any(row["record_uuid"] == uuid and row["error_code"] == "DUPLICATE_IDENTITY" for row in found.errors):
            yield f"{uuid} is claimed by several rows, and no ERR row says so"


def _uncaused(found: Tables, bad: Collection[str]) -> Iterator[str]:
    """An ERR row explains a failure, and excuses none: somebody has to have made the order fail."""
    for row in found.errors:
        if row["resolved_date"] is None and row["record_uuid"] not in bad:
            yield f"{row['record_uuid']} failed, and nobody made it: {row['error_message']}"


def _versions(found: Tables, emitted: Iterable[tuple[str, int]]) -> Iterator[str]:
    """Every version that was emitted came to an end, and nothing is in doubt."""
    staged = {(row["source_uuid"], row["version"]): StagingStatus(row["stg_status"]) for row in found.staged}
    told = {(row["record_uuid"], row["version"]) for row in found.errors}
    newest = {uuid: version for uuid, version in sorted(staged)}
    for uuid, version in sorted({*emitted} - {*staged}):
        yield f"version {version} of {uuid} was emitted and never staged"
    for (uuid, version), status in sorted(staged.items()):
        if status not in ENDED:
            yield f"version {version} of {uuid} is {status}"
        # A newer version, arrived or failed itself, resolves whatever there was to say.
        if status is StagingStatus.API_FAILED and (uuid, version) not in told and version == newest[uuid]:
            yield f"version {version} of {uuid} failed without an ERR row"
    for row in found.in_doubt:
        yield f"request {row['request_key']} is still in doubt"


def _batches(found: Tables) -> Iterator[str]:
    """The counters of every batch are what the staging tables say, and every batch is ended."""
    counted: dict[str, Counter[str]] = {}
    for row in found.staged:
        counted.setdefault(str(row["stg_batch_id"]), Counter())[row["stg_status"]] += 1
    for batch in found.batches:
        told = (batch["successful_records"], batch["failed_records"], batch["superseded_records"])
        count = counted.get(batch["batch_id"], Counter())
        true = (count[StagingStatus.PROMOTED], count[StagingStatus.API_FAILED], count[StagingStatus.SUPERSEDED])
        name = f"batch {batch['batch_id']} of {batch['customer_name']}"
        if told != true:
            yield f"{name} counts {told} and has {true}"
        if sum(told) != batch["total_records"]:
            yield f"{name} counts {sum(told)} of {batch['total_records']}"
        ended = BatchStatus.FAILED if told[1] else BatchStatus.PROMOTED
        if batch["end_time"] is None or batch["status"] != ended:
            yield f"{name} is {batch['status']}, not {ended}"


def inversions(history: Iterable[Written], told: Mapping[tuple[str, str], Sequence[str]]) -> Iterator[str]:
    """What was written to a place follows what the source said there: values may be left out, none may come again."""
    at: dict[tuple[str, str], int] = {}
    for uuid, size, value in history:
        said = told.get((uuid, size), ())
        here = at.get((uuid, size), 0)
        # A size that left, or was never told, is written as 0.
        found = next((n for n in range(here, len(said)) if said[n] == value), None)
        if found is None:
            before = said[here] if said else "nothing"
            yield f"{uuid} {size or 'itself'} was written as {value} after {before}"
        else:
            at[uuid, size] = found


def beside_each_other(writes: int, struck: Collection[str]) -> Iterator[str]:
    """One write at a time, but for one beside a request without an answer: rules that bring that about excuse it."""
    if writes > 1 and not {Kind.SLOW_ALIASES, Kind.GATEWAY_GIVES_UP, Kind.HANG} & set(struck):
        yield f"{writes} writes were in flight at once"


def label(value: Any) -> str:
    """A dropdown's text."""
    return ", ".join(value["labels"]) if value else ""


def stamps(
    rows: Iterable[tuple[str, Mapping[str, Cell] | None]], sizes: Sequence[str]
) -> dict[tuple[str, str], list[str]]:
    """What the source said of each place, out of its rows in the order in which they were written; None: it left."""
    found: dict[tuple[str, str], list[str]] = {}
    for uuid, row in rows:
        if row is None:
            continue
        found.setdefault((uuid, ""), []).append(str(row["PATTERN ID"]))
        for size in sizes:
            found.setdefault((uuid, size), []).append(str(row.get(size) or 0))
    return found
