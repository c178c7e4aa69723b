"""Opens and closes all connectors: the only wiring. Connectors receive plain values, never settings."""

import logging
import random
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

from pydantic import SecretStr, ValidationError

from connectors import (
    batches,
    customers,
    database,
    database_sqlite,
    database_sqlserver,
    errors,
    failures,
    growth,
    history,
    journal,
    kafka,
    lease,
    ledger,
    lost,
    odbc,
    orders,
    orders_pushdown,
    production,
    retries,
    staging,
    standing,
    state,
)
from connectors.monday import limits as monday_limits
from mappings import columns as mapped_columns
from mappings import hashing, loading
from streams import breaker, cleanup, detect, embedded, emission, guard, retry, settings, stage, sweep, topics, verify
from streams.security import security

log = logging.getLogger(__name__)


def utcnow() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """A fresh identity, in the form that both databases compare."""
    return str(uuid.uuid4()).upper()


@dataclass
class Resources:
    """One process's connectors, made when first asked for."""

    settings: settings.Settings
    bootstrap: str = ""
    monday_url: str = ""
    noise: kafka.BrokerNoise = field(default_factory=kafka.BrokerNoise)

    @cached_property
    def mappings(self) -> loading.Mappings:
        """What becomes what."""
        return loading.load(self.settings.mappings)

    @cached_property
    def db(self) -> database.Database:
        """The database of the tables."""
        server = self.settings.server
        if server is not None:
            return database_sqlserver.SqlServerDatabase(lambda: odbc.connect(server), server.where)
        path = self.settings.database_path
        path.parent.mkdir(parents=True, exist_ok=True)
        return database_sqlite.SqliteDatabase(path)

    @cached_property
    def state(self) -> state.State:
        """Named facts."""
        return state.State(self.db, utcnow)

    @cached_property
    def orders(self) -> orders.Orders:
        """The source and its snapshot."""
        return orders.Orders(self.db, utcnow)

    @cached_property
    def customers(self) -> customers.Customers:
        """The same by customer."""
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
    def growth(self) -> growth.Growth:
        """The tables that grow with every change."""
        return growth.Growth(self.db, now=utcnow)

    @cached_property
    def history(self) -> history.History:
        """What the tables remember of one order."""
        return history.History(self.db)

    @cached_property
    def retries(self) -> retries.Retries:
        """When failures are tried again."""
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
        both = {column.name for column in self.db.columns(production.MASTER)}
        named = [*self.staged_columns, "Title", "Group", "CUSTOMER", "UpdateDate"]
        return production.Production(self.db, [name for name in named if name in both], now=utcnow)

    @cached_property
    def journal(self) -> journal.Journal:
        """Requests to the board."""
        return journal.Journal(self.db, board_id=self.mappings.board.board.id, now=utcnow)

    @cached_property
    def ledger(self) -> ledger.Ledger:
        """What the board is known to hold."""
        return ledger.Ledger(self.db, board_id=self.mappings.board.board.id, now=utcnow)

    @cached_property
    def producer(self) -> kafka.Producer:
        """The one event producer of this process."""
        return kafka.Producer(self.bootstrap, security(self.settings), noise=self.noise)

    @cached_property
    def admin(self) -> kafka.Admin:
        """Topics and offsets."""
        return kafka.Admin(self.bootstrap, security(self.settings), noise=self.noise)

    @property
    def limits(self) -> monday_limits.Limits:
        """What the API allows this token."""
        s = self.settings
        own = s.monday_limits
        try:
            return monday_limits.preset(s.monday_token_tier, s.monday_plan, minute_seconds=s.monday_minute, **own)
        except (TypeError, ValidationError) as error:
            names = ", ".join(sorted(monday_limits.Limits.model_fields))
            raise errors.Misconfigured(f"monday_limits {own} does not fit; it may hold: {names}") from error

    def token(self) -> SecretStr:
        """The API's token; the bundled board has one of its own."""
        if self.settings.monday_url:
            return self.settings.token()
        return SecretStr(embedded.SIMULATOR_TOKEN)

    def lease(self) -> lease.Lease:
        """The right to write to the board, under an owner of this process alone."""
        return lease.Lease(
            self.db,
            f"board-{self.mappings.board.board.id}",
            owner=new_id(),
            seconds=self.settings.lease_seconds,
            now=utcnow,
        )

    @property
    def window(self) -> int:
        """How many mutations may be unsettled at any time: some minutes' worth of the API's budget."""
        per_minute = self.limits.complexity_per_minute // self.limits.mutation_weight
        return max(1, int(self.settings.window_minutes * per_minute))

    def detector(self, publish: emission.Publish) -> detect.Detector:
        """The poller's step."""
        s = self.settings
        pushed = orders_pushdown.PushdownOrders(self.db, utcnow, hashing.row_hash)
        return detect.Detector(
            source=pushed if s.hashes_on_server else self.orders,
            facts=self.state,
            batches=self.batches,
            refusals=self.failures,
            publish=publish,
            mappings=self.mappings,
            limits=guard.Limits(deleted=s.guard_deleted, changed=s.guard_changed, rows=s.guard_rows),
            window=self.window,
            now=utcnow,
            new_id=new_id,
        )

    def stager(self) -> stage.Stager:
        """The stage step."""
        live = [(column.name, column.type) for column in self.db.columns(staging.MASTER)]
        return stage.Stager(self.staging, self.mappings, mapped_columns.text_lengths(live), utcnow)

    def retrier(self) -> retry.Retrier:
        """The retry step."""
        s = self.settings
        holding = breaker.Breaker(self.state, self.retries.outcomes, s.retry_first)
        return retry.Retrier(self.retries, holding, s.retry_first, s.retry_tries, utcnow, random.Random())

    def cleaner(self) -> cleanup.Cleaner:
        """The worker's daily clean-up."""
        keep = timedelta(days=self.settings.keep_days)
        return cleanup.Cleaner(self.growth, self.state, keep, utcnow)

    @cached_property
    def standings(self) -> standing.Standings:
        """How every row of the source stands."""
        return standing.Standings(self.db, self.production.columns)

    def verifier(self) -> verify.Verifier:
        """The look at how every row stands."""
        return verify.Verifier(self.standings, self.orders, self.state, self.mappings, utcnow)

    def sweep(self) -> sweep.Sweep:
        """The poller's look for what was lost with the log."""
        s = self.settings
        tables = lost.Lost(self.db, numbers=detect.PASS, again=timedelta(seconds=s.retry_first), now=utcnow)
        lanes = [[topics.named(topic, s.topic_prefix) for topic in lane] for lane in topics.LANES]
        return sweep.Sweep(self.admin, tables, s.topic_prefix + s.group, lanes)

    def ensure_topics(self) -> list[str]:
        """Makes the topics that are missing. Returns their names."""
        return self.admin.ensure(topics.specs(self.settings.topic_prefix, self.settings.kafka_replication))

    def close(self) -> None:
        """Closes what was opened."""
        if "producer" in self.__dict__:
            self.producer.close()
        if "db" in self.__dict__:
            self.db.close()
