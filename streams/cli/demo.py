"""`ordersync demo`: runs everything on this machine, from empty tables to a proof, and prints each step."""

import asyncio
import time
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from connectors.monday import board_values
from schemas.batches import SyncState
from streams.cli import show
from streams.demo import proof
from streams.demo import stage as stages
from streams.runtime import connect, status
from streams.settings import Settings

console = Console(highlight=False)

GREYSON_GROUP, GREYSON_PO = "GREYSON CLOTHIERS 2025 FALL", "4755"
GREYSON_ITEMS, GREYSON_SIZES = 69, 264
# Disagreements that are printed at most.
MOST = 5


def run(base: Settings, *, orders: int, seed: int, minute: float, keep: bool) -> bool:
    """Runs the demo. Returns whether every proof succeeded. `minute`: seconds of the board's minute."""
    settings = stages.settings_of(base, minute=minute)
    started = time.monotonic()
    console.rule("ordersync demo")
    console.print("starting Kafka, the board, the poller and the worker (the first time, Kafka is downloaded) …")
    with stages.stage(settings, orders=orders, seed=seed) as stage:
        page = stage.parts.monday_url.rsplit("/", 1)[0] + "/"
        console.print(
            f"Kafka answers at {stage.parts.bootstrap}, the board at {page}, logs are in {settings.home / 'logs'}"
        )
        console.rule(f"1. First sync: {orders} orders")
        _settle(stage)
        first = stage.stats()
        proofs = [_prove(stage, greyson=True)]
        console.rule("2. A day's changes in the source")
        changes = stages.script(stage.parts, orders=orders, seed=seed)
        for change in changes:
            console.print(f"  [bold]{change.kind.value.lower().replace('_', ' '):<15}[/] {escape(change.effect)}")
        stages.apply(stage.parts, changes)
        _settle(stage)
        proofs.append(_prove(stage, greyson=False))
        day = stage.stats()
        console.rule("3. Nothing changed, nothing costs")
        proofs.append(_quiet(stage))
        console.rule("4. The figures")
        _figures(stage, first, day)
        passed = all(proofs)
        verdict = "[green]PROVED[/]" if passed else "[red]NOT PROVED[/]"
        console.print(f"{verdict}: source = production = board, row by row, in {time.monotonic() - started:.0f} s")
        if keep and passed:
            console.print(f"still running: open {page}, or use `ordersync --home {settings.home} status`")
            console.print("ctrl-C ends it")
            stage.supervisor.wait()
    return passed


def _settle(stage: stages.Stage) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("orders settled", total=None)

        def show_progress(now: status.Status) -> None:
            ended = sum(n for state, n in now.total.items() if state is not SyncState.WAITING)
            progress.update(task, completed=ended, total=ended + now.total[SyncState.WAITING] + now.undetected)

        stages.settle(stage, on_look=show_progress)


def _prove(stage: stages.Stage, *, greyson: bool) -> bool:
    items = asyncio.run(connect.ask_board(stage.parts, connect.read_items))
    result = proof.prove(stage.parts, items)
    if greyson:
        result.wrong += _greyson(items)
    for wrong in result.wrong[:MOST]:
        console.print(f"[red]✗[/] {escape(wrong)}")
    if len(result.wrong) > MOST:
        console.print(f"[red]✗[/] and {len(result.wrong) - MOST} more")
    console.print(
        f"{_mark(result.holds)} {result.source_rows} rows: {result.valid} in sync, {result.excluded} excluded, "
        f"{result.failed} failed, {result.refused} refused; the board has {result.items} items and {result.subitems} "
        f"subitems; {len(result.wrong)} disagreements"
    )
    return result.holds


def _greyson(items: list[board_values.BoardItem]) -> list[str]:
    """GREYSON PO 4755 of the samples: 69 items with 264 sizes in one group, none missing and none twice."""
    group = [item for item in items if item.group_title == GREYSON_GROUP]
    po = [item for item in group if any(cell.text == GREYSON_PO for cell in item.columns.values())]
    sizes = sum(len(item.subitems) for item in po)
    right = len(po) == GREYSON_ITEMS and sizes == GREYSON_SIZES
    console.print(f"{_mark(right)} GREYSON PO {GREYSON_PO}: {len(po)} items and {sizes} subitems in {GREYSON_GROUP}")
    return [] if right else [f"GREYSON PO {GREYSON_PO} must be {GREYSON_ITEMS} items and {GREYSON_SIZES} subitems"]


def _quiet(stage: stages.Stage) -> bool:
    """A pass after an edit of an unwatched column in every row: no event, no API call."""
    before = stage.stats()["requests"]
    report = stages.pass_after_unwatched_edit(stage.parts)
    calls = stage.stats()["requests"] - before
    quiet = report.quiet and calls == 0
    console.print(
        f"{_mark(quiet)} \\[PLANNER] of every row was edited, which is no watched column: pass {report.number} read "
        f"{report.scanned} rows, emitted {report.emitted} events and cost {calls} API calls"
    )
    return quiet


def _figures(stage: stages.Stage, first: dict[str, Any], day: dict[str, Any]) -> None:
    states = [item["state"] for item in stage.ask("board")["items"]]
    kinds = stage.parts.journal.carried_out()
    table = Table("", "first sync", "the day", "all", box=None, padding=(0, 2))
    for column in table.columns[1:]:
        column.justify = "right"
    for title, counter in (("mutations", "mutations"), ("API calls", "requests"), ("throttled answers", "throttled")):
        table.add_row(title, str(first[counter]), str(day[counter] - first[counter]), str(day[counter]))
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
        message = escape(str(row["error_message"]))
        console.print(f"  [red]{row['error_code']}[/] {escape(show.order_title(row))}: {message}")


def _budget_share(stats: dict[str, Any]) -> float | None:
    """The mean share of the budget that a full minute used: the first and the last minute are left out."""
    complexity = stats["complexity"]
    full = [window["spent"] for window in complexity["windows"]][1:-1]
    return sum(full) / len(full) / complexity["limit"] if full else None


def _mark(right: bool) -> str:
    return "[green]✓[/]" if right else "[red]✗[/]"
