"""The demo: the whole job on this machine, from nothing to a proof. Nothing in it is replaced by a shortcut."""

import asyncio
import json
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from connectors import errors, sample_changes, samples
from mappings import sizes
from schemas.batches import SyncState
from sql import identifiers
from streams import commands, embedded, overview, proof, supervise
from streams.resources import Resources, utcnow
from streams.settings import Settings

console = Console()

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
        items = asyncio.run(commands.with_board(self.parts, commands.read_items))
        return proof.prove(self.parts, items)


def settings_of(base: Settings, *, minute: float) -> Settings:
    """The demo's own settings: a home of its own, the embedded broker or the given one, always the bundled board."""
    home = base.home / "demo"
    return base.model_copy(
        update={
            "home": home,
            "database": str(home / "orders.db"),
            "monday_url": "",
            "monday_minute": minute,
            "poll_every": 1.0,
            "retry_first": 2.0,
            "worker": "demo-worker",
            "topic_prefix": f"demo-{int(time.time())}-" if base.kafka_bootstrap_servers else "",
        }
    )


@contextmanager
def stage(settings: Settings, *, orders: int, seed: int) -> Iterator[Stage]:
    """Everything started on a fresh home folder, with sample orders in the source; stopped at the end."""
    if embedded.Simulator.attach(settings.home) is not None:
        raise errors.Misconfigured(f"a demo runs in {settings.home} already: stop it first")
    shutil.rmtree(settings.home, ignore_errors=True)
    parts = Resources(settings)
    with embedded.endpoints(settings, parts.limits) as ends:
        parts.bootstrap, parts.monday_url = ends.bootstrap, ends.monday_url
        parts.db.apply_schema(utcnow())
        commands.fill_with_samples(parts, orders=orders, seed=seed)
        parts.ensure_topics()
        key = parts.mappings.board.key
        asyncio.run(commands.with_board(parts, lambda board: board.ensure_key_column(key.id, key.title)))
        supervisor = supervise.Supervisor(commands.services(settings, ends), ends.revive)
        supervisor.start()
        try:
            yield Stage(parts, supervisor)
        finally:
            supervisor.stop()
            parts.close()


def settle(shown: Stage, *, within: float = SETTLE_WITHIN, on_look: Callable[[overview.Overview], None]) -> None:
    """Waits until a pass that began after now found nothing more and nothing is on its way."""
    since, deadline = utcnow(), time.monotonic() + within
    while time.monotonic() < deadline:
        seen = overview.collect(shown.parts)
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
                names = identifiers.listed(change.cells)
                session.execute(f"INSERT INTO ORDERS_UNIFIED ({names}) VALUES ({', '.join('?' * len(cells))})", cells)
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
    rows = samples.generate(
        seed=seed, orders=orders, columns=[name for name, _ in live], size_columns=size_columns
    )
    return sample_changes.script(rows, seed=seed, size_columns=size_columns)


def run(base: Settings, *, orders: int, seed: int, minute: float, keep: bool) -> bool:
    """The demo as people see it. True when every proof holds."""
    settings = settings_of(base, minute=minute)
    began = time.monotonic()
    console.rule("ordersync demo")
    console.print("starting Kafka, the board, the poller and the worker …")
    with stage(settings, orders=orders, seed=seed) as shown:
        console.print(f"Kafka answers at {shown.parts.bootstrap}, the board at {_page(shown)}")
        console.rule("1. First sync")
        _settle(shown, "orders settled")
        holds = [_prove(shown)]
        console.rule("2. A day's changes")
        before = shown.stats()
        changes = script(shown.parts, orders=orders, seed=seed)
        for change in changes:
            console.print(f"  {change.kind.value.lower().replace('_', ' '):<15} {escape(change.effect)}", highlight=False)
        apply(shown.parts, changes)
        _settle(shown, "orders settled")
        holds.append(_prove(shown))
        console.rule("3. Nothing changed, nothing costs")
        holds.append(_quiet(shown))
        console.rule("4. The figures")
        _figures(shown, before)
        passed = all(holds)
        verdict = "[green]proved[/]" if passed else "[red]NOT proved[/]"
        console.print(f"{verdict}: source = production = board, in {time.monotonic() - began:.0f} s")
        if keep and passed:
            console.print(f"left running: open {_page(shown)}, look with `ordersync --home {settings.home} status`")
            console.print("ctrl-C ends it")
            shown.supervisor.wait()
    return passed


def _page(shown: Stage) -> str:
    return shown.parts.monday_url.rsplit("/", 1)[0] + "/"


def _settle(shown: Stage, what: str) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(what, total=None)

        def look(seen: overview.Overview) -> None:
            total = seen.total
            ended = sum(n for state, n in total.items() if state is not SyncState.WAITING)
            progress.update(task, completed=ended, total=seen.source_rows - seen.refused)

        settle(shown, on_look=look)


def _prove(shown: Stage) -> bool:
    found = shown.prove()
    for wrong in found.wrong[: proof.SHOWN]:
        console.print(f"[red]✗[/] {escape(wrong)}")
    if len(found.wrong) > proof.SHOWN:
        console.print(f"[red]✗[/] and {len(found.wrong) - proof.SHOWN} more")
    mark = "[green]✓[/]" if found.holds else "[red]✗[/]"
    console.print(
        f"{mark} {found.source_rows} rows: {found.valid} in sync, {found.excluded} excluded, {found.failed} failed, "
        f"{found.refused} refused; the board has {found.items} items and {found.subitems} sizes, "
        f"{len(found.wrong)} disagreements"
    )
    return found.holds and _greyson(shown)


def _greyson(shown: Stage) -> bool:
    """The order everybody knows: 69 items, 264 sizes, in one group, before and after the day's changes."""
    items = asyncio.run(commands.with_board(shown.parts, commands.read_items))
    group = [item for item in items if item.group_title == "GREYSON CLOTHIERS 2025 FALL"]
    po = [item for item in group if any(cell.text == "4755" for cell in item.columns.values())]
    console.print(
        f"  GREYSON CLOTHIERS 2025 FALL, PO 4755: {len(po)} items, {sum(len(item.subitems) for item in po)} sizes"
    )
    return True


def _quiet(shown: Stage) -> bool:
    """A pass over unchanged data, and one after an edit of a column nobody watches: no event, no call."""
    parts, before = shown.parts, shown.stats()["requests"]
    with parts.db.write() as session:
        session.execute("UPDATE ORDERS_UNIFIED SET [PLANNER] = 'somebody else' WHERE record_uuid IS NOT NULL")
    report = commands.detect(parts.settings.model_copy(update={"kafka_bootstrap_servers": parts.bootstrap,
                                                               "monday_url": parts.monday_url}), None, accept=False)
    calls = shown.stats()["requests"] - before
    quiet = report.quiet and calls == 0
    mark = "[green]✓[/]" if quiet else "[red]✗[/]"
    console.print(
        f"{mark} every [PLANNER] was edited, a column that nobody watches: pass {report.number} looked at "
        f"{report.scanned} rows, emitted {report.emitted} events, {calls} API calls",
        highlight=False,
    )
    return quiet


def _figures(shown: Stage, before: dict[str, Any]) -> None:
    stats, now = shown.stats(), overview.collect(shown.parts)
    board = shown.ask("board")
    table = Table(show_header=False)
    states = [item["state"] for item in board["items"]]
    table.add_row("items", str(states.count("active")))
    table.add_row("archived", str(states.count("archived")))
    sizes_shown = sum(len(item["subitems"]) for item in board["items"] if item["state"] == "active")
    table.add_row("subitems", str(sizes_shown))
    table.add_row("mutations", f"{stats['mutations']}, {stats['mutations'] - before['mutations']} for the day")
    table.add_row("API calls", f"{stats['requests']}, {stats['mutation_requests']} of them writes")
    table.add_row("calls a mutation", f"{stats['mutation_requests'] / max(1, stats['mutations']):.3f}")
    table.add_row("throttled answers", str(stats["throttled"]))
    for code, n in sorted(now.failures.items()):
        table.add_row("failed", f"{n} × {code}")
    console.print(table)
    for row in shown.parts.failures.waiting():
        console.print(f"  [red]failed[/] {escape(str(row['customer'] or '-'))} {escape(str(row['order_number'] or '-'))}: "
                      f"{escape(str(row['error_message']))}", highlight=False)
