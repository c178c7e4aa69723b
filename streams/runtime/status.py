"""Collects the values that `ordersync status` shows, from SQL alone."""

from datetime import datetime
from typing import Any

from connectors.monday import api_version
from connectors.tables.lost_events import PARKED
from schemas import bindings, detection, workers
from schemas.base import Model
from schemas.batches import SyncState
from streams.detect import archive_queue
from streams.detect import holds as hold
from streams.detect import step as detect
from streams.diagnosis import evidence, judgement
from streams.diagnosis.troubles import Trouble
from streams.resources import Resources, utcnow
from streams.runtime import verify_slices, verify_timer


class CustomerState(Model):
    """The number of one customer's orders by state."""

    customer: str
    orders: dict[SyncState, int]


class Status(Model):
    """The values of `ordersync status`. All states, `undetected` and `refused` add up to `source_rows`.

    `in_doubt`: requests without an answer, the oldest `in_doubt_since`; `parked`: orders that wait for them;
    `unarchived`: customers whose newest archived snapshot is still due; `held`: the reason of a guard stop, `plan`:
    the id of what it holds; `holds`: customer holds; `compared`: the round of slices; `failures`: open ones by
    code; `warnings`: of orders in production, by column; `rows`: the sizes of the tables that grow with every
    change; `calls_today`: of this UTC day; `api_version`: how long the API supports the pinned version; `binding`:
    None before the home is bound; `troubles`: what is wrong with the service, the gravest first.
    """

    source_rows: int
    undetected: int
    refused: int
    customers: tuple[CustomerState, ...]
    leaving: int
    unsettled_mutations: int
    window: int
    in_doubt: int
    in_doubt_since: datetime | None
    parked: int
    last_pass: detection.PassReport | None
    held: str | None
    plan: str | None
    holds: tuple[hold.Hold, ...]
    unarchived: tuple[archive_queue.QueuedSnapshot, ...]
    verified: dict[str, Any] | None
    audited: dict[str, Any] | None
    compared: verify_slices.Round | None = None
    open_batches: tuple[dict[str, Any], ...]
    failures: dict[str, int]
    warnings: dict[str, int]
    retries_paused: str | None
    rows: dict[str, int]
    calls_today: int
    calls_limit: int
    api_version: api_version.Support
    writer: str | None
    binding: bindings.Binding | None
    workers: tuple[workers.WorkerState, ...]
    at: datetime
    troubles: tuple[Trouble, ...]

    @property
    def total(self) -> dict[SyncState, int]:
        """The orders of all customers by state."""
        return {state: sum(one.orders.get(state, 0) for one in self.customers) for state in SyncState}

    @property
    def settled(self) -> bool:
        """Whether every source row has reached an end state, and nothing is on its way."""
        rolling_back = not all(one.complete for one in self.holds)
        on_the_way = self.total[SyncState.WAITING] or self.leaving or self.unsettled_mutations
        return not (on_the_way or self.undetected or rolling_back)


def collect(parts: Resources) -> Status:
    """Reads the tables. Raises Transient."""
    customers = hold.states(parts.state, parts.orders, parts.customers, parts.mappings)
    source_rows = parts.orders.source_rows()
    detected = sum(sum(states.values()) for states in customers.values())
    last = parts.state.get(detect.LAST)
    known = evidence.collect(parts)
    in_doubt, in_doubt_since = parts.journal.in_doubt()
    return Status(
        source_rows=source_rows,
        undetected=max(0, source_rows - detected - (last or {}).get("refused", 0)),
        refused=(last or {}).get("refused", 0),
        customers=tuple(CustomerState(customer=name, orders=customers[name]) for name in sorted(customers)),
        leaving=parts.orders.waiting_deletes(),
        unsettled_mutations=parts.orders.unsettled_mutations(),
        window=parts.window,
        in_doubt=in_doubt,
        in_doubt_since=in_doubt_since,
        parked=len(parts.state.all_of(PARKED)),
        last_pass=None if last is None else detection.PassReport.model_validate(last),
        held=known.held,
        plan=known.plan,
        holds=tuple(hold.holds(parts.state).values()),
        unarchived=tuple(archive_queue.read(parts.state).values()),
        verified=parts.state.get(verify_timer.LAST),
        audited=parts.state.get(verify_timer.BOARD),
        compared=verify_slices.read(parts.state),
        open_batches=tuple(parts.batches.active()),
        failures=known.failures,
        warnings=parts.warnings.counts(),
        retries_paused=known.retries_paused,
        rows=parts.cleanup.rows(),
        calls_today=parts.journal.calls_since(utcnow().replace(hour=0, minute=0, second=0, microsecond=0)),
        calls_limit=parts.limits.calls_per_day,
        api_version=api_version.support(utcnow().date()),
        writer=parts.lease_status.holder(),
        binding=parts.bindings.stored(),
        workers=known.processes,
        at=utcnow(),
        troubles=judgement.judge(known).troubles,
    )
