"""Builds and closes all connectors and steps of a process, and nothing else does. They receive values, no settings."""

import asyncio
import logging
import random
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

from pydantic import SecretStr, ValidationError

from connectors import database, errors, kafka
from connectors.database import odbc_address, sqlite, sqlserver
from connectors.monday import budget as budgets
from connectors.monday import client as clients
from connectors.monday import limits as monday_limits
from connectors.simulator import config as simulator_config
from connectors.tables import (
    actions,
    batches,
    customers,
    failures,
    history,
    journal,
    lease,
    ledger,
    lost_events,
    orders,
    orders_pushdown,
    plans,
    production,
    records,
    repairs,
    retries,
    row_states,
    staging,
    state,
    warnings,
)
from connectors.tables import cleanup as cleanup_tables
from mappings import columns as mapped_columns
from mappings import hashing, loading, sizes
from sql import tables
from streams import cleanup as cleanup_step
from streams import retry, settings, stage, topics
from streams.binding import store as binding_store
from streams.delivery import mapping_files
from streams.delivery.kafka_login import kafka_security
from streams.detect import emit, guard
from streams.detect import plans as detect_plans
from streams.detect import step as detect
from streams.reconcile import audit, comparison, expected, repair, verify
from streams.reconcile import lost_events as lost_event_sweep

log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[object]]


def utcnow() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """A new UUID in upper case, the form in which both databases compare it."""
    return str(uuid.uuid4()).upper()


def last_versions(tables: repairs.Repairs, record_uuids: Sequence[str]) -> dict[str, detect_plans.Known]:
    """The last versions of these orders, by identity. Raises Transient."""
    return {uuid: detect_plans.Known(*last) for uuid, last in tables.last_rows(record_uuids).items()}


@dataclass
class Resources:
    """The connectors of one process, each built at its first use. `bootstrap` and `monday_url` are addresses."""

    settings: settings.Settings
    bootstrap: str = ""
    monday_url: str = ""
    noise: kafka.BrokerNoise = field(default_factory=kafka.BrokerNoise)

    @cached_property
    def mappings(self) -> loading.Mappings:
        """The mapping: board.yaml and its tables. Raises Misconfigured."""
        return loading.load(self.settings.mappings)

    @cached_property
    def mapping_files(self) -> mapping_files.MappingFiles:
        """The files of the mapping."""
        return mapping_files.MappingFiles(self.settings.mappings, self.mappings, self.state)

    @cached_property
    def db(self) -> database.Database:
        """The database of the tables."""
        server = self.settings.server
        if server is not None:
            return sqlserver.SqlServerDatabase(lambda: odbc_address.connect(server), server.where)
        path = self.settings.database_path
        path.parent.mkdir(parents=True, exist_ok=True)
        return sqlite.SqliteDatabase(path)

    @property
    def has_database(self) -> bool:
        """Whether there is a database to read: opening a SQLite file that is not there would create it."""
        return "db" in self.__dict__ or self.settings.server is not None or self.settings.database_path.exists()

    @cached_property
    def state(self) -> state.State:
        """Named values."""
        return state.State(self.db, utcnow)

    @cached_property
    def bindings(self) -> binding_store.Bindings:
        """The binding of the home and of the database."""
        return binding_store.Bindings(self.state, self.settings.home)

    @cached_property
    def source(self) -> orders.Orders:
        """Source and snapshot rows, compared where the settings say."""
        if not self.settings.hashes_on_server:
            return self.orders
        return orders_pushdown.PushdownOrders(self.db, utcnow, hashing.RowHasher)

    @cached_property
    def orders(self) -> orders.Orders:
        """Source and snapshot rows."""
        return orders.Orders(self.db, utcnow)

    @cached_property
    def plans(self) -> plans.Plans:
        """The plans of guard stops."""
        return plans.Plans(self.db, now=utcnow)

    @cached_property
    def actions(self) -> actions.Actions:
        """What people told ordersync to do."""
        return actions.Actions(self.db, now=utcnow)

    @property
    def planner(self) -> detect_plans.Planner:
        """Makes the plans of guard stops."""
        pace = detect_plans.Pace(self.per_minute, self.settings.batch_size)
        return detect_plans.Planner(
            self.source, lambda uuids: last_versions(self.repairs, uuids), self.mappings, pace, utcnow
        )

    @cached_property
    def customers(self) -> customers.Customers:
        """Source and snapshot rows by customer."""
        return customers.Customers(self.db)

    @cached_property
    def batches(self) -> batches.Batches:
        """MON_BatchProcessing."""
        return batches.Batches(self.db, utcnow)

    @cached_property
    def failures(self) -> failures.Failures:
        """The ERR tables."""
        return failures.Failures(self.db, now=utcnow)

    @cached_property
    def cleanup(self) -> cleanup_tables.Cleanup:
        """The removal of old rows from the tables that grow with every change."""
        return cleanup_tables.Cleanup(self.db, now=utcnow)

    @cached_property
    def history(self) -> history.History:
        """The history of one order in all tables."""
        return history.History(self.db)

    @cached_property
    def repairs(self) -> repairs.Repairs:
        """The settled versions of orders, and their re-emission."""
        return repairs.Repairs(self.db, utcnow)

    @cached_property
    def retries(self) -> retries.Retries:
        """The due times of retries."""
        return retries.Retries(self.db, now=utcnow)

    @cached_property
    def staged_columns(self) -> list[str]:
        """The staging columns that the mapping fills."""
        return [column.staging for column in self.mappings.board.columns]

    @cached_property
    def staging(self) -> staging.Staging:
        """The STG tables."""
        board_id = self.mappings.board.board.id
        return staging.Staging(self.db, self.staged_columns, board_id=board_id, now=utcnow)

    @cached_property
    def production(self) -> production.Production:
        """The MON tables."""
        in_production = {column.name for column in self.db.columns(production.MASTER)}
        names = [*self.staged_columns, "Title", "Group", "CUSTOMER", "UpdateDate"]
        return production.Production(self.db, [name for name in names if name in in_production], now=utcnow)

    @cached_property
    def warnings(self) -> warnings.Warnings:
        """The warnings of the orders in production."""
        return warnings.Warnings(self.db)

    @cached_property
    def journal(self) -> journal.Journal:
        """The journal of requests to the board."""
        return journal.Journal(self.db, board_id=self.mappings.board.board.id, now=utcnow)

    @cached_property
    def ledger(self) -> ledger.Ledger:
        """The ledger: items and subitems that the board has confirmed."""
        return ledger.Ledger(self.db, board_id=self.mappings.board.board.id, now=utcnow)

    @cached_property
    def producer(self) -> kafka.Producer:
        """The only event producer of this process."""
        return kafka.Producer(self.bootstrap, kafka_security(self.settings), noise=self.noise)

    @cached_property
    def admin(self) -> kafka.Admin:
        """Topics and offsets."""
        return kafka.Admin(self.bootstrap, kafka_security(self.settings), noise=self.noise)

    @property
    def limits(self) -> monday_limits.Limits:
        """The limits of the API for this token. Raises Misconfigured for an unknown name in `monday_limits`."""
        s = self.settings
        overrides = s.monday_limits
        try:
            return monday_limits.preset(s.monday_token_tier, s.monday_plan, minute_seconds=s.monday_minute, **overrides)
        except (TypeError, ValidationError) as error:
            names = ", ".join(sorted(monday_limits.Limits.model_fields))
            raise errors.Misconfigured(f"monday_limits {overrides} is not valid; its names may be: {names}") from error

    def token(self) -> SecretStr:
        """The token of the API; the simulator has its own."""
        if self.settings.api_url:
            return self.settings.token()
        return SecretStr(simulator_config.TOKEN)

    @property
    def _lease_name(self) -> str:
        return f"board-{self.mappings.board.board.id}"

    @cached_property
    def lease_status(self) -> lease.LeaseStatus:
        """The current lease holder of the board."""
        return lease.LeaseStatus(self.db, self._lease_name, now=utcnow)

    def lease(self) -> lease.Lease:
        """The lease of the board, with a new owner id for this process."""
        return lease.Lease(
            self.db,
            self._lease_name,
            owner=new_id(),
            seconds=self.settings.lease_seconds,
            now=utcnow,
        )

    @property
    def window(self) -> int:
        """The admission window in mutations: `window_minutes` of the API budget."""
        return max(1, int(self.settings.window_minutes * self.per_minute))

    @property
    def per_minute(self) -> int:
        """The number of mutations that the API accepts in a minute."""
        return int(self.limits.complexity_per_minute // self.limits.mutation_weight)

    def detector(self, publish: emit.Publish) -> detect.Detector:
        """The detect step, with `publish` as the way to Kafka."""
        s = self.settings
        return detect.Detector(
            source=self.source,
            store=self.state,
            batches=self.batches,
            refusals=self.failures,
            publish=publish,
            mappings=self.mappings,
            limits=guard.Limits(
                deleted=s.guard_deleted,
                changed=s.guard_changed,
                rows=s.guard_rows,
                created=s.guard_created,
                created_rows=s.guard_created_rows,
            ),
            differing=lambda rows: self.comparison().remapped(rows),
            planner=self.planner,
            held_plans=self.plans,
            window=self.window,
            now=utcnow,
            new_id=new_id,
        )

    @cached_property
    def target_lengths(self) -> dict[str, int | None]:
        """The length of each staging column in UTF-16 units, the same on every engine; None for no limit."""
        live = [(column.name, column.type) for column in self.db.columns(staging.MASTER)]
        return mapped_columns.text_lengths(live, tables.get(staging.MASTER).lengths)

    def stager(self) -> stage.Stager:
        """The stage step."""
        return stage.Stager(self.staging, self.mappings, self.target_lengths, utcnow, self.mapping_files.require_newest)

    def retrier(self) -> retry.Retrier:
        """The retry step."""
        s = self.settings
        breaker = retry.Breaker(self.state, self.retries.outcomes, s.retry_first)
        return retry.Retrier(self.retries, breaker, s.retry_first, s.retry_tries, utcnow, random.Random())

    def cleaner(self) -> cleanup_step.Cleaner:
        """The daily clean-up."""
        keep = timedelta(days=self.settings.keep_days)
        return cleanup_step.Cleaner(self.cleanup, self.state, keep, utcnow)

    @cached_property
    def row_states(self) -> row_states.RowStates:
        """The row state of every source row."""
        return row_states.RowStates(self.db, self.production.columns)

    def comparison(self) -> comparison.Comparison:
        """The comparison of source, production and ledger, with the columns that the source has now."""
        size_columns = sizes.size_columns(self.orders.columns(), self.mappings.board.sizes)
        converted = expected.Expectations(self.mappings, size_columns, self.target_lengths)
        return comparison.Comparison(records.Records(self.db, self.production.columns), converted)

    def verifier(self) -> verify.Verifier:
        """The verify of every row state."""
        return verify.Verifier(self.row_states, self.repairs, self.state, self.comparison(), utcnow)

    def auditor(self) -> audit.Auditor:
        """The audit of the board against production."""
        return audit.Auditor(
            self.row_states, self.repairs, lambda: audit.Refused.of(self.failures, self.repairs).ahead, self.mappings
        )

    def repairer(self) -> repair.Repairer:
        """Emits repairs within the admission window."""
        size_columns = sizes.size_columns(self.orders.columns(), self.mappings.board.sizes)
        return repair.Repairer(
            self.repairs,
            self.orders,
            self.state,
            self.batches,
            self.mappings,
            watched=mapped_columns.watched(self.mappings, size_columns),
            size_columns=frozenset(size_columns),
            key_column=self.mappings.board.key.source,
            window=self.window,
            now=utcnow,
            new_id=new_id,
        )

    def lost_event_sweep(self) -> lost_event_sweep.LostEventSweep:
        """The poller's lost-event sweep."""
        s = self.settings
        tables = lost_events.LostEvents(
            self.db, numbers=detect.PASS, again=timedelta(seconds=s.retry_first), now=utcnow
        )
        lanes = [[topics.named(topic, s.topic_prefix) for topic in lane] for lane in topics.LANES]
        return lost_event_sweep.LostEventSweep(self.admin, tables, s.topic_prefix + s.group, lanes)

    def board_client(
        self,
        *,
        calls_today: float = 0.0,
        budget_pause: Sleep = asyncio.sleep,
        api_pause: Sleep = asyncio.sleep,
    ) -> clients.Client:
        """A client of the API with its own budget. `calls_today`: the number of calls already spent on this UTC day.

        `budget_pause` sleeps while the budget is used up, `api_pause` while the API asks to wait; both take seconds.
        """
        budget = budgets.Budget(self.limits, sleep=budget_pause, calls_today=calls_today)
        return clients.Client(self.monday_url, self.token(), budget=budget, sleep=api_pause, read_token=self.token)

    def ensure_topics(self) -> list[str]:
        """Creates the missing topics. Returns their names. Raises Transient or Misconfigured for the broker."""
        return self.admin.ensure(topics.specs(self.settings.topic_prefix, self.settings.kafka_replication))

    def close(self) -> None:
        """Closes the producer and the database, if they were opened."""
        if "producer" in self.__dict__:
            self.producer.close()
        if "db" in self.__dict__:
            self.db.close()
