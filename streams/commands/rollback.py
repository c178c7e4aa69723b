"""`ordersync archive`, `rollback`, `hold` and `release`: archived snapshots, roll back and customer holds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from connectors import errors
from connectors.archive.snapshots import Archive, Entry
from schemas import events
from streams.archive import rollback
from streams.archive import snapshots as archive_snapshots
from streams.archive import wiring as archive_wiring
from streams.commands import detect
from streams.commands import preview as previews
from streams.detect import holds, plans
from streams.resources import Resources, utcnow
from streams.runtime import connect, passes
from streams.settings import Settings
from streams.sync import plan


@dataclass(frozen=True)
class Preview:
    """What a roll back would change now: `orders` with their plans, and the `fields` that would change on the board.

    `on_their_way` orders of the customer are not settled yet; the roll back supersedes them, so the cost may differ.
    `plan_id` names exactly these changes.
    """

    plan_id: str
    entry: Entry
    orders: Sequence[tuple[events.OrderChanged, plan.Planned]]
    fields: Sequence[previews.Field]
    differences: rollback.Differences
    cost: previews.Cost
    on_their_way: int


def entries(settings: Settings, customer: str | None) -> list[Entry]:
    """The archived snapshots of one customer, or of all."""
    with connect.database(settings) as parts:
        store = archive_wiring.snapshot_archive(parts)
        return store.entries(None if customer is None else _archived_name(parts, store, customer))


def snapshot(
    settings: Settings, number: int | None, customer: str | None, moment: datetime | None
) -> tuple[Entry, bytes]:
    """One archived snapshot and its Parquet file: by number, or the newest of a customer at or before a time in UTC.

    Raises Misconfigured when there is none, or when its checksum is wrong.
    """
    with connect.database(settings) as parts:
        store = archive_wiring.snapshot_archive(parts)
        if number is not None:
            entry = store.entry(number)
            if entry is None:
                raise errors.Misconfigured(f"the archive has no snapshot {number}: `ordersync archive list`")
        else:
            entry = _at(parts, store, customer or "", moment or utcnow())
        return entry, store.payload(entry)


def prune(settings: Settings) -> int:
    """Removes the archived snapshots that retention does not keep. Returns their number."""
    with connect.database(settings) as parts, passes.alone(parts):
        return archive_wiring.archiver(parts).prune()


def preview(settings: Settings, customer: str, moment: datetime) -> Preview:
    """What a roll back to a time in UTC would change. Writes, emits and sends nothing."""
    with connect.everything(settings) as parts:
        store = archive_wiring.snapshot_archive(parts)
        entry = _at(parts, store, customer, moment)
        differences, changed = archive_wiring.roll_back(parts, passes.publisher(parts)).preview(entry)
        planned = detect.planned(parts, changed)
        known = parts.ledger.known([event.record_uuid for event in changed])
        limits = parts.limits
        return Preview(
            plan_id=_plan_id(entry, changed),
            entry=entry,
            orders=list(zip(changed, planned, strict=True)),
            fields=[
                field
                for one in planned
                for field in previews.fields(one, known.get(one.event.record_uuid, plan.NOTHING), parts.mappings)
            ],
            differences=differences,
            cost=previews.cost(
                planned,
                batch_size=parts.settings.batch_size,
                per_minute=limits.complexity_per_minute / limits.mutation_weight,
            ),
            on_their_way=parts.customers.waiting(entry.customer),
        )


def roll_back(
    settings: Settings, customer: str, moment: datetime, *, plan_id: str | None = None, reason: str = ""
) -> tuple[Entry, rollback.Progress]:
    """Puts a customer on hold and emits what the admission window has room for; the poller emits the rest.

    With the `plan_id` of a preview, it raises Misconfigured if the changes are others by now.
    """
    with connect.everything(settings) as parts:
        parts.ensure_topics()
        rolling = archive_wiring.roll_back(parts, passes.publisher(parts))
        with passes.alone(parts):
            entry = _at(parts, archive_wiring.snapshot_archive(parts), customer, moment)
            if plan_id is not None:
                plans.require_same(plan_id, _plan_id(entry, rolling.preview(entry)[1]))
            subject = f"{entry.customer} to {entry.taken_at:%Y-%m-%d %H:%M:%S} UTC"
            with parts.actions.noted(connect.operator(), "rollback", subject=subject, reason=reason) as note:
                progress = rolling.step(rolling.begin(entry, connect.operator()))
                note.effect = f"{progress.emitted} orders emitted, {progress.left} follow"
            return entry, progress


def _plan_id(entry: Entry, changed: Sequence[events.OrderChanged]) -> str:
    return plans.digest([f"snapshot {entry.id}", *(f"{e.record_uuid} {e.change} {e.row_hash}" for e in changed)])


def put_on_hold(settings: Settings, customer: str) -> holds.Hold:
    """Puts a customer on hold as it is. An earlier hold of it stays unchanged. Raises Misconfigured without orders."""
    with connect.database(settings) as parts, passes.alone(parts):
        names = [name for name in parts.orders.customer_names() if name]
        canonical = _known_name(parts, map(parts.mappings.customers.canonical, names), customer)
        if canonical is None:
            raise errors.Misconfigured(f"no order of customer {customer!r}: `ordersync status` lists the customers")
        held = holds.holds(parts.state).get(canonical)
        if held is None:
            held = holds.Hold(customer=canonical, by=connect.operator(), at=utcnow())
            with parts.actions.noted(connect.operator(), "hold", subject=canonical):
                holds.keep(parts.state, held)
        return held


def release(settings: Settings, customer: str) -> tuple[str, int]:
    """Ends a customer hold. Returns the customer and the number of orders that the next passes detect again.

    Raises Misconfigured when the customer is not on hold.
    """
    with connect.database(settings) as parts, passes.alone(parts):
        canonical = _known_name(parts, holds.holds(parts.state), customer)
        if canonical is None:
            raise errors.Misconfigured(f"{customer!r} is not on hold: `ordersync status` lists the holds")
        with parts.actions.noted(connect.operator(), "release", subject=canonical) as note:
            released = archive_wiring.roll_back(parts, passes.publisher(parts)).release(canonical)
            note.effect = f"{released} orders are detected again"
        return canonical, released


def moment(text: str) -> datetime:
    """The time of this ISO 8601 text, in UTC; a text without an offset is UTC. Raises ValueError."""
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _at(parts: Resources, store: Archive, customer: str, moment: datetime) -> Entry:
    name = _archived_name(parts, store, customer)
    return archive_snapshots.at(store.entries(name), name, moment)


def _archived_name(parts: Resources, store: Archive, customer: str) -> str:
    known = _known_name(parts, {entry.customer for entry in store.entries()}, customer)
    return known or parts.mappings.customers.canonical(customer)


def _known_name(parts: Resources, names: Iterable[str], customer: str) -> str | None:
    """The name in this collection that equals the canonical name in any case; the exact one if there are several."""
    canonical = parts.mappings.customers.canonical(customer)
    matches = {name for name in names if name.casefold() == canonical.casefold()}
    return canonical if canonical in matches else min(matches, default=None)
