"""The demo's stage: a real broker, the bundled board, a supervised poller and worker, and sample orders.

streams/cli/demo.py runs the demo on it; the integration tests run other scenarios.
"""

import asyncio
import json
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from connectors import errors, samples
from connectors.samples import changes as sample_changes
from mappings import sizes
from schemas import detection
from sql import identifiers
from streams.commands import service, setup
from streams.demo import proof
from streams.resources import Resources, utcnow
from streams.runtime import connect, embedded, passes, status
from streams.runtime import supervisor as supervise
from streams.settings import BUNDLED, Settings

# Seconds that the orders may take to settle, and seconds between two reads of the status.
SETTLE_WITHIN = 240.0
STATUS_EVERY = 0.3
# Seconds for which the bundled board may go on with a request: it ends one in much less.
IN_FLIGHT = 5.0


@dataclass
class Stage:
    """The running demo: its connectors, and the supervisor of its poller and worker."""

    parts: Resources
    supervisor: supervise.Supervisor

    def stats(self) -> dict[str, Any]:
        """The counters of the bundled board."""
        return self.ask("stats")

    def ask(self, page: str) -> dict[str, Any]:
        """One admin page of the bundled board: `stats`, `board`, …"""
        root = self.parts.monday_url.rsplit("/", 1)[0]
        with urllib.request.urlopen(f"{root}/admin/{page}", timeout=10) as answer:
            content: dict[str, Any] = json.load(answer)
            return content

    def prove(self) -> proof.Proof:
        """Compares source, production and board as they are now."""
        items = asyncio.run(connect.ask_board(self.parts, connect.read_items))
        return proof.prove(self.parts, items)


def settings_of(base: Settings, *, minute: float) -> Settings:
    """The demo's settings: its own home folder, the bundled board, and the broker and SQL Server of `base`.

    `minute`: seconds of the board's minute.
    """
    home = base.home / "demo"
    return base.model_copy(
        update={
            "home": home,
            "database": base.database if base.server else str(home / "orders.db"),
            "monday_url": BUNDLED,
            "monday_minute": minute,
            "monday_in_flight": IN_FLIGHT,
            "poll_every": 1.0,
            "retry_first": 2.0,
            "worker": "demo-worker",
            "web_port": 0,
            "topic_prefix": f"demo-{int(time.time())}-" if base.kafka_bootstrap_servers else "",
        }
    )


@contextmanager
def stage(
    settings: Settings, *, orders: int, seed: int, prepare: Callable[[Resources], object] = lambda parts: None
) -> Iterator[Stage]:
    """Starts everything on an empty home folder, with sample orders in the source; stops it at the end.

    `prepare` may create the source table first: an existing table stays as it is. Raises Misconfigured while another
    demo runs in the same home folder.
    """
    if embedded.Simulator.attach(settings.home) is not None:
        raise errors.Misconfigured(f"a demo runs in {settings.home} already: stop it first")
    shutil.rmtree(settings.home, ignore_errors=True)
    parts = Resources(settings)
    with embedded.endpoints(settings, parts.limits) as ends:
        parts.bootstrap, parts.monday_url = ends.bootstrap, ends.monday_url
        prepare(parts)
        parts.db.apply_schema(utcnow())
        setup.fill_with_samples(parts, orders=orders, seed=seed)
        parts.ensure_topics()
        setup.prepare_board(parts)
        supervisor = supervise.Supervisor(service.services(settings, ends), ends.revive)
        supervisor.start()
        try:
            yield Stage(parts, supervisor)
        finally:
            supervisor.stop()
            parts.close()


def settle(stage: Stage, *, within: float = SETTLE_WITHIN, on_look: Callable[[status.Status], None]) -> None:
    """Waits until every order is settled and a pass that started after that, and after this call, found no change.

    `on_look` gets every status that was read. Raises Misconfigured after a guard stop, or after `within` seconds.
    """
    since, deadline = utcnow(), time.monotonic() + within
    while time.monotonic() < deadline:
        now = status.collect(stage.parts)
        on_look(now)
        last = now.last_pass
        if now.held:
            raise errors.Misconfigured(f"the guard stopped detection: {now.held}")
        if not now.settled:
            # What a poller that died has emitted last may return an order to detection when it settles.
            since = utcnow()
        elif last is not None and last.started_at > since and last.quiet:
            return
        time.sleep(STATUS_EVERY)
    raise errors.Misconfigured(
        f"not settled within {within:.0f} s: see {stage.parts.settings.home / 'logs'}, or `ordersync status`"
    )


def apply(parts: Resources, changes: Sequence[sample_changes.SourceChange]) -> None:
    """Writes these changes into ORDERS_UNIFIED, as its owner would."""
    with parts.db.write() as session:
        for change in changes:
            cells = tuple(change.cells.values())
            if change.operation is sample_changes.Operation.INSERT:
                setup.insert_order(session, change.cells)
            elif change.operation is sample_changes.Operation.UPDATE:
                names = identifiers.listed(change.cells, suffix=" = ?")
                session.execute(
                    f"UPDATE ORDERS_UNIFIED SET {names} WHERE record_uuid = ?", (*cells, change.record_uuid)
                )
            else:
                session.execute("DELETE FROM ORDERS_UNIFIED WHERE record_uuid = ?", (change.record_uuid,))


def script(parts: Resources, *, orders: int, seed: int) -> list[sample_changes.SourceChange]:
    """The changes that the demo makes in the source on its day; the same seed gives the same changes."""
    live = parts.orders.columns()
    size_columns = sizes.size_columns(live, parts.mappings.board.sizes)
    rows = samples.generate(seed=seed, orders=orders, columns=[name for name, _ in live], size_columns=size_columns)
    return sample_changes.script(rows, seed=seed, size_columns=size_columns)


def pass_after_unwatched_edit(parts: Resources) -> detection.PassReport:
    """Edits a column in every row that is no watched column, and runs one pass."""
    with parts.db.write() as session:
        session.execute("UPDATE ORDERS_UNIFIED SET [PLANNER] = ? WHERE record_uuid IS NOT NULL", (str(utcnow()),))
    return passes.one_pass(parts, parts.detector(passes.publisher(parts)))
