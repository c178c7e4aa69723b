"""How verify and replay look."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from schemas.batches import SyncState
from streams import progress as reports
from streams.cli import show
from streams.commands import replay as replay_command
from streams.commands import verify as verify_command
from streams.reconcile import audit, replay

MOST = 40


@contextmanager
def progress() -> Iterator[reports.Progress]:
    """A line on the terminal that tells how far it is; nothing where nobody looks."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield reports.silent
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("looking", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


def aside(line: str) -> None:
    """One line beside what is printed: not part of the result."""
    Console(stderr=True).print(line, markup=False, highlight=False, soft_wrap=True)


def verified(result: verify_command.Result, *, as_json: bool) -> None:
    """The sums by customer, what is wrong, and what was done about it."""
    if as_json:
        show.plain(json.dumps(_as_json(result), indent=2, ensure_ascii=False))
        return
    seen = result.verified
    table = Table(title=f"{seen.source_rows} rows of ORDERS_UNIFIED, each exactly one of")
    table.add_column("customer")
    for state in SyncState:
        table.add_column(state.value.lower().replace("_", " "), justify="right", style=show.STYLES[state])
    table.add_column("rows", justify="right")
    for name, counts in sorted(seen.customers.items()):
        row = [str(counts.get(state, "")) for state in SyncState]
        table.add_row(escape(name or "(none)"), *row, str(sum(counts.values())))
    table.add_section()
    total = seen.total
    table.add_row("all", *(str(total[state]) for state in SyncState), str(sum(total.values())), style="bold")
    show.console.print(table)
    if seen.undetected:
        show.plain(f"of those that wait, {seen.undetected} are not detected yet")
    if seen.refused:
        show.plain(f"of those that failed, {seen.refused} rows are refused for their identity: `ordersync errors`")
    for one in seen.wrong[:MOST]:
        show.console.print(f"[red]✗[/] {escape(str(one))}", soft_wrap=True)
    if len(seen.wrong) > MOST:
        show.plain(f"and {len(seen.wrong) - MOST} more: --json lists them")
    if not seen.wrong:
        show.console.print("[green]✓[/] every row is accounted for")
    if result.audited is not None:
        _audited(result.audited)
    if result.lost:
        show.plain(f"{result.lost} orders waited for events that Kafka has lost: they were detected again")
    if result.emitted:
        show.plain(f"{result.emitted} repairs were emitted: `ordersync status` shows them on their way")
    if result.held:
        show.plain(f"{result.held} orders differ and are left alone: their customers are on hold (`ordersync status`)")
    if result.stalled is not None:
        show.console.print(f"[red]✗[/] {escape(result.stalled)}", soft_wrap=True)
        show.plain("what was emitted stays emitted; the same command goes on with the rest")
    elif result.left:
        show.plain(f"{result.left} more have no room in the window yet: run it again, or with --wait")


def _audited(seen: audit.BoardReport) -> None:
    if not seen.drift:
        show.console.print(f"[green]✓[/] the board shows {seen.compared} orders as they shall be")
    else:
        kinds = Counter(seen.orders.values())
        told = ", ".join(f"{n} {kind.value}" for kind, n in kinds.items())
        table = Table(title=f"{len(seen.orders)} orders differ on the board: {told}")
        for column in ("", "order", "where", "expected", "shown"):
            table.add_column(column, overflow="fold")
        for one in seen.drift[:MOST]:
            where = f"{one.field}, size {one.size}" if one.size else one.field
            cells = [one.kind.value, one.record_uuid, where, one.expected or "", one.shown or ""]
            table.add_row(*(escape(cell) for cell in cells))
        show.console.print(table)
        if len(seen.drift) > MOST:
            show.plain(f"and {len(seen.drift) - MOST} more differences: --json lists them")
    if seen.unkeyed:
        show.plain(f"{seen.unkeyed} items carry no identity: they belong to people and are left alone")


def _as_json(result: verify_command.Result) -> dict[str, Any]:
    seen = result.verified
    return {
        **seen.model_dump(mode="json", exclude={"wrong"}),
        "wrong": [{**one.model_dump(mode="json"), "said": str(one)} for one in seen.wrong],
        "board": None if result.audited is None else result.audited.model_dump(mode="json"),
        "lost": result.lost,
        "emitted": result.emitted,
        "left": result.left,
        "held": result.held,
        "stalled": result.stalled,
        "sound": result.sound,
    }


def replayed(done: replay_command.Result) -> None:
    """What a replay did."""
    show.plain(f"{done.told} orders were told again, out of {_read(done.found)}")
    if done.stalled is not None:
        show.console.print(f"[red]✗[/] {escape(done.stalled)}", soft_wrap=True)
        show.plain(f"what was told stays told; the same command goes on with the {done.left} orders that are left")
    elif done.told:
        show.plain("`ordersync status` shows them on their way")
    _nothing_there(done.found)


def preview(found: replay_command.Preview) -> None:
    """What a replay would do: the fields that differ, and the cost."""
    if found.differences:
        table = Table(title=f"{len(found.differences)} fields differ on the board")
        for column in ("order", "where", "the log says", "the board shows"):
            table.add_column(column, overflow="fold")
        for one in found.differences[:MOST]:
            where = f"{one.field}, size {one.size}" if one.size else one.field
            table.add_row(one.record_uuid, *(escape(cell) for cell in (where, one.left or "", one.right or "")))
        show.console.print(table)
        if len(found.differences) > MOST:
            show.plain(f"and {len(found.differences) - MOST} more")
    show.planned(found.planned)
    if found.ordinary:
        show.plain(f"{found.ordinary} orders are newer than what is settled: they take the ordinary way")
    show.plain(f"{len(found.found.places)} orders would be told again, out of {_read(found.found)}")
    show.plain(f"cost: {found.reads} API calls to read the board, about {found.writes} to mend it")
    _nothing_there(found.found)


def _nothing_there(found: replay.Found) -> None:
    if found.read == found.foreign:
        show.plain(f"the log retains nothing of that: {replay.INSTEAD}")


def _read(found: replay.Found) -> str:
    rest = f"{found.read} events read, {found.foreign} of other customers"
    rest += f", {found.older} orders settled in a newer version" if found.older else ""
    rest += f", {found.held} orders of customers on hold left alone" if found.held else ""
    return rest + (f", {found.undecodable} undecodable" if found.undecodable else "")
