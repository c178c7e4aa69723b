"""The demo's stage: a broker, a board, a supervised poller and worker, and sample orders; nothing is a stand-in.

`demo_story` tells the story on it; the integration tests play others.
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
from streams.commands import service as commands
from streams.commands import setup
from streams.demo import proof
from streams.resources import Resources, utcnow
from streams.runtime import connect, embedded, passes, status
from streams.runtime import supervisor as supervise
from streams.settings import Settings

SETTLE_WITHIN = 240.0
LOOK = 0.3


@dataclass
class Stage:
    """The running demo: its own home folder, its broker, its board, its supervised poller and worker."""

    parts: Resources
    supervisor: supervise.Supervisor

    def stats(self) -> dict[str, Any]:
        """The board's own counters."""
        return self.ask("stats")

    def ask(self, what: str) -> dict[str, Any]:
        """One admin page of the bundled board."""
        root = self.parts.monday_url.rsplit("/", 1)[0]
        with urllib.request.urlopen(f"{root}/admin/{what}", timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def prove(self) -> proof.Proof:
        """Source = production = board?"""
        items = asyncio.run(connect.ask_board(self.parts, connect.read_items))
        return proof.prove(self.parts, items)


def settings_of(base: Settings, *, minute: float) -> Settings:
    """The demo's own settings: a home of its own, the bundled board, and broker and SQL Server as given."""
    home = base.home / "demo"
    return base.model_copy(
        update={
            "home": home,
            "database": base.database if base.server else str(home / "orders.db"),
            "monday_url": "",
            "monday_minute": minute,
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
    """Everything started on a fresh home folder, with sample orders in the source; stopped at the end.

    `prepare` may make the source table before we do: one that is there is taken as it is.
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
        key = parts.mappings.board.key
        asyncio.run(connect.ask_board(parts, lambda board: board.ensure_key_column(key.id, key.title)))
        supervisor = supervise.Supervisor(commands.services(settings, ends), ends.revive)
        supervisor.start()
        try:
            yield Stage(parts, supervisor)
        finally:
            supervisor.stop()
            parts.close()


def settle(shown: Stage, *, within: float = SETTLE_WITHIN, on_look: Callable[[status.Status], None]) -> None:
    """Waits until a pass that began after now found nothing more and nothing is on its way."""
    since, deadline = utcnow(), time.monotonic() + within
    while time.monotonic() < deadline:
        seen = status.collect(shown.parts)
        on_look(seen)
        last = seen.last_pass
        if seen.held:
            raise errors.Misconfigured(f"the guard holds: {seen.held}")
        if seen.settled and last is not None and last.started_at > since and last.quiet:
            return
        time.sleep(LOOK)
    raise errors.Misconfigured(
        f"not settled within {within:.0f} s: look at {shown.parts.settings.home / 'logs'}, or run `ordersync status`"
    )


def apply(parts: Resources, changes: Sequence[sample_changes.SourceChange]) -> None:
    """Writes a day's changes into ORDERS_UNIFIED, as the people who own it would."""
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
    """The changes of the demo's day."""
    live = parts.orders.columns()
    size_columns = sizes.size_columns(live, parts.mappings.board.sizes)
    rows = samples.generate(seed=seed, orders=orders, columns=[name for name, _ in live], size_columns=size_columns)
    return sample_changes.script(rows, seed=seed, size_columns=size_columns)


def pass_after_unwatched_edit(parts: Resources) -> detection.PassReport:
    """Edits a column that the mapping does not read, in every row, and looks once."""
    with parts.db.write() as session:
        session.execute("UPDATE ORDERS_UNIFIED SET [PLANNER] = ? WHERE record_uuid IS NOT NULL", (str(utcnow()),))
    return passes.one_pass(parts, parts.detector(passes.publisher(parts)))
