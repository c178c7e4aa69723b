"""The demo as people see it: the whole job on this machine, from nothing to a proof."""

import asyncio
import time
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from connectors.monday import board_values as shown_items
from schemas.batches import SyncState
from streams.cli import show
from streams.demo import proof
from streams.demo import stage as demo
from streams.runtime import connect, status
from streams.settings import Settings

console = Console(highlight=False)

GREYSON_GROUP, GREYSON_PO = "GREYSON CLOTHIERS 2025 FALL", "4755"
GREYSON_ITEMS, GREYSON_SIZES = 69, 264
MOST = 5


def run(base: Settings, *, orders: int, seed: int, minute: float, keep: bool) -> bool:
    """The whole story. True when every proof holds."""
    settings = demo.settings_of(base, minute=minute)
    began = time.monotonic()
    console.rule("ordersync demo")
    console.print("starting Kafka, the board, the poller and the worker (the first time, Kafka is fetched) …")
    with demo.stage(settings, orders=orders, seed=seed) as stage:
        page = stage.parts.monday_url.rsplit("/", 1)[0] + "/"
        console.print(
            f"Kafka answers at {stage.parts.bootstrap}, the board at {page}, logs are in {settings.home / 'logs'}"
        )
        console.rule(f"1. First sync: {orders} orders")
        _settle(stage)
        first = stage.stats()
        holds = [_prove(stage, greyson=True)]
        console.rule("2. A day's changes in the source")
        changes = demo.script(stage.parts, orders=orders, seed=seed)
        for change in changes:
            console.print(f"  [bold]{change.kind.value.lower().replace('_', ' '):<15}[/] {escape(change.effect)}")
        demo.apply(stage.parts, changes)
        _settle(stage)
        holds.append(_prove(stage, greyson=False))
        day = stage.stats()
        console.rule("3. Nothing changed, nothing costs")
        holds.append(_quiet(stage))
        console.rule("4. The figures")
        _figures(stage, first, day)
        passed = all(holds)
        verdict = "[green]PROVED[/]" if passed else "[red]NOT PROVED[/]"
        console.print(f"{verdict}: source = production = board, row by row, in {time.monotonic() - began:.0f} s")
        if keep and passed:
            console.print(f"left running: open {page}, or look with `ordersync --home {settings.home} status`")
            console.print("ctrl-C ends it")
            stage.supervisor.wait()
    return passed


def _settle(stage: demo.Stage) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("orders settled", total=None)

        def look(seen: status.Status) -> None:
            ended = sum(n for state, n in seen.total.items() if state is not SyncState.WAITING)
            progress.update(task, completed=ended, total=ended + seen.total[SyncState.WAITING] + seen.undetected)

        demo.settle(stage, on_look=look)


def _prove(stage: demo.Stage, *, greyson: bool) -> bool:
    items = asyncio.run(connect.ask_board(stage.parts, connect.read_items))
    found = proof.prove(stage.parts, items)
    if greyson:
        found.wrong += _greyson(items)
    for wrong in found.wrong[:MOST]:
        console.print(f"[red]✗[/] {escape(wrong)}")
    if len(found.wrong) > MOST:
        console.print(f"[red]✗[/] and {len(found.wrong) - MOST} more")
    console.print(
        f"{_mark(found.holds)} {found.source_rows} rows: {found.valid} in sync, {found.excluded} excluded, "
        f"{found.failed} failed, {found.refused} refused; the board has {found.items} items and {found.subitems} "
        f"subitems; {len(found.wrong)} disagreements"
    )
    return found.holds


def _greyson(items: list[shown_items.BoardItem]) -> list[str]:
    """The order that everybody knows: 69 items with 264 sizes in one group, none missing and none twice."""
    group = [item for item in items if item.group_title == GREYSON_GROUP]
    po = [item for item in group if any(cell.text == GREYSON_PO for cell in item.columns.values())]
    sizes = sum(len(item.subitems) for item in po)
    right = len(po) == GREYSON_ITEMS and sizes == GREYSON_SIZES
    console.print(f"{_mark(right)} GREYSON PO {GREYSON_PO}: {len(po)} items and {sizes} subitems in {GREYSON_GROUP}")
    return [] if right else [f"GREYSON PO {GREYSON_PO} must be {GREYSON_ITEMS} items and {GREYSON_SIZES} subitems"]


def _quiet(stage: demo.Stage) -> bool:
    """A pass after every row was edited in a column that nobody watches: no event, no call."""
    before = stage.stats()["requests"]
    report = demo.pass_after_unwatched_edit(stage.parts)
    calls = stage.stats()["requests"] - before
    quiet = report.quiet and calls == 0
    console.print(
        f"{_mark(quiet)} \\[PLANNER] of every row was edited, which nobody watches: pass {report.number} read "
        f"{report.scanned} rows, emitted {report.emitted} events and made {calls} API calls"
    )
    return quiet


def _figures(stage: demo.Stage, first: dict[str, Any], day: dict[str, Any]) -> None:
    states = [item["state"] for item in stage.ask("board")["items"]]
    kinds = stage.parts.journal.carried_out()
    table = Table("", "first sync", "the day", "all", box=None, padding=(0, 2))
    for column in table.columns[1:]:
        column.justify = "right"
    for what, counter in (("mutations", "mutations"), ("API calls", "requests"), ("throttled answers", "throttled")):
        table.add_row(what, str(first[counter]), str(day[counter] - first[counter]), str(day[counter]))
    share = _budget_share(first)
    table.add_row("share of the budget", "-" if share is None else f"{share:.1%}", "", "")
    table.add_section()
    table.add_row("items created", "", "", str(kinds["create_item"]))
    table.add_row("subitems created", "", "", str(kinds["create_subitem"]))
    table.add_row("updates", "", "", str(kinds["update_item"] + kinds["update_subitem"] + kinds["move_item"]))
    table.add_row("archived", "", "", str(states.count("archived")))
    waiting = stage.parts.failures.waiting()
    table.add_row("failed", "", "", str(len(waiting)))
    console.print(table)
    for row in waiting:
        why = escape(str(row["error_message"]))
        console.print(f"  [red]{row['error_code']}[/] {escape(show.whose(row))}: {why}")


def _budget_share(stats: dict[str, Any]) -> float | None:
    """Of the minutes that were worked from end to end: the first and the last were not."""
    complexity = stats["complexity"]
    full = [window["spent"] for window in complexity["windows"]][1:-1]
    return sum(full) / len(full) / complexity["limit"] if full else None


def _mark(right: bool) -> str:
    return "[green]✓[/]" if right else "[red]✗[/]"
