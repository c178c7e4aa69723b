"""How the commands' answers look."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from connectors.monday import board_values
from schemas import detection, items, workers
from schemas.batches import SyncState
from streams.commands import pushdown
from streams.runtime import status as statuses
from streams.sync import plan

console = Console(highlight=False)
STYLES = {
    SyncState.IN_SYNC: "green",
    SyncState.WAITING: "yellow",
    SyncState.FAILED: "red",
    SyncState.HELD: "magenta",
    SyncState.EXCLUDED: "dim",
}
MOST = 40
# A worker tells how it is doing at least this often, in seconds.
SILENT = 30.0


def plain(text: str) -> None:
    """Text as it is, for a file or another program."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def lines(texts: Sequence[str]) -> None:
    """One line each."""
    for text in texts:
        plain(text)


def mistakes(found: Sequence[str]) -> None:
    """What `validate` found."""
    for mistake in found:
        console.print(f"[red]✗[/] {escape(mistake)}", soft_wrap=True)
    if not found:
        console.print("[green]✓[/] mapping, tables, board and topics agree")


def detected(report: detection.PassReport) -> None:
    """One pass."""
    if report.held is not None:
        console.print(f"[red]held[/] {escape(report.held)}", soft_wrap=True)
        return
    found = ", ".join(f"{n} {change.value.lower()}" for change, n in report.changes.items()) or "no change"
    later = f", {report.deferred} left for later passes" if report.deferred else ""
    excluded = f", {report.excluded} excluded" if report.excluded else ""
    refused = f", {report.refused} refused for their identity" if report.refused else ""
    refused += f", {report.on_hold} of customers on hold left alone" if report.on_hold else ""
    looked = f"pass {report.number}: {report.scanned} rows, {found}"
    plain(f"{looked}; {report.emitted} events emitted{later}{excluded}{refused}")


def tried(verdict: pushdown.Verdict) -> None:
    """What became of the trial of the server's compare."""
    for wrong in verdict.wrong:
        console.print(f"[red]wrong[/] {escape(wrong)}", soft_wrap=True)
    agreed = "NOT what a compare here sees" if verdict.wrong else "what a compare here sees"
    plain(f"{verdict.rows} rows, {verdict.differ} of them differ from their snapshot: the server sees {agreed}")


def planned(orders: Sequence[plan.Planned]) -> None:
    """What the board would be told, and what that costs."""
    kinds: Counter[str] = Counter()
    for one in orders:
        kinds.update(mutation.kind for mutation in one.mutations)
        console.print(f"[bold]{escape(one.event.customer)}[/] {one.event.record_uuid}")
        for problem in one.problems:
            console.print(Padding(f"[red]refused[/] {escape(str(problem))}", (0, 0, 0, 4)))
        for mutation in one.mutations:
            plain(f"    {_mutation(mutation)}")
    told = ", ".join(f"{n} {kind.replace('_', ' ')}" for kind, n in sorted(kinds.items())) or "nothing to tell"
    plain(f"{len(orders)} orders, {kinds.total()} mutations: {told}")


def _mutation(mutation: items.Mutation) -> str:
    shown = mutation.model_dump(exclude={"kind", "record_uuid", "create_labels"}, exclude_defaults=True)
    return f"{mutation.kind.replace('_', ' ')}: {json.dumps(shown, ensure_ascii=False)}"


def status(seen: statuses.Status, *, as_json: bool) -> None:
    """Where everything stands."""
    if as_json:
        plain(seen.model_dump_json(indent=2))
        return
    table = Table(title="Orders of ORDERS_UNIFIED by customer")
    table.add_column("customer")
    for state in SyncState:
        table.add_column(state.value.lower().replace("_", " "), justify="right", style=STYLES[state])
    for one in seen.customers:
        table.add_row(escape(one.customer or "(none)"), *(str(one.orders.get(state, "")) for state in SyncState))
    table.add_section()
    table.add_row("all", *(str(seen.total[state]) for state in SyncState), style="bold")
    console.print(table)
    rest = f", {seen.undetected} not detected yet" if seen.undetected else ""
    rest += f", {seen.refused} refused for their identity" if seen.refused else ""
    plain(f"source      {seen.source_rows} rows{rest}")
    if seen.leaving:
        plain(f"leaving     {seen.leaving} deleted orders on their way off the board")
    plain(f"window      {seen.unsettled_mutations} of {seen.window} mutations unsettled")
    plain(f"API calls   {seen.calls_today} writes today, of {seen.calls_limit} calls a day")
    plain(f"writer      {seen.writer or 'none holds the lease'}")
    for worker in seen.workers:
        console.print(_worker(worker, seen.at), soft_wrap=True)
    if seen.last_pass is not None:
        at = f"{seen.last_pass.finished_at:%Y-%m-%d %H:%M:%S} UTC"
        plain(f"last pass   {seen.last_pass.number} at {at}, {seen.last_pass.emitted} events")
    for what, told in (("verified", seen.verified), ("board", seen.audited)):
        if told is not None:
            plain(f"{what:<11} {told['wrong'] or 'no'} orders wrong at {told['at'][:19]} UTC")
    for code, n in sorted(seen.failures.items()):
        plain(f"failed      {n} × {code}: `ordersync errors`")
    if seen.retries_paused:
        console.print(f"[yellow]retries     {escape(seen.retries_paused)}[/]", soft_wrap=True)
    if seen.open_batches:
        plain(f"batches     {len(seen.open_batches)} open")
    plain("tables      " + ", ".join(f"{name} {n:,}" for name, n in seen.rows.items()))
    for held in seen.holds:
        at = "" if held.taken_at is None else f" at its snapshot of {held.taken_at:%Y-%m-%d %H:%M:%S} UTC"
        more = "" if held.complete else ", not all of it emitted yet"
        console.print(
            f"[magenta]on hold     {escape(held.customer)}{at}, by {escape(held.by)}{more}[/]", soft_wrap=True
        )
    if seen.unarchived:
        since = min(one.since for one in seen.unarchived)
        plain(f"archive     {len(seen.unarchived)} customers to archive, the first since {since:%Y-%m-%d %H:%M:%S} UTC")
    if seen.held:
        console.print(f"[red]guard       {escape(seen.held)}[/]", soft_wrap=True)


def _worker(worker: workers.WorkerState, now: datetime) -> str:
    """One line: where it answers, what it holds and why, and when the day's calls run out."""
    quiet = (now - worker.at).total_seconds()
    told = f"{worker.role:<11} {worker.name} " if worker.role != worker.name else f"{worker.role:<11} "
    if quiet > SILENT:
        return f"{told}[red]has said nothing for {quiet:.0f} s[/]"
    holds = "; ".join(f"{lane}: {escape(why)}" for lane, why in sorted(worker.holding.items()))
    style = "red" if worker.trouble else "yellow"
    told += f"[{style}]holds {holds}[/]" if holds else ", ".join(filter(None, ("works", escape(worker.address))))
    if worker.budget is not None and worker.budget.calls_run_out_at is not None:
        told += f", [yellow]the day's API calls run out at {worker.budget.calls_run_out_at:%H:%M} UTC[/]"
    return told


def whose(row: dict[str, Any]) -> str:
    """Customer and order number of a failure, as far as they are known."""
    return " ".join(str(part) for part in (row["customer"], row["order_number"]) if part) or "(nobody knows whose)"


def board(items: Sequence[board_values.BoardItem], search: str | None) -> None:
    """The board's groups; with a search, the items that carry it and their sizes."""
    if search is None:
        groups: dict[str, list[board_values.BoardItem]] = {}
        for item in items:
            groups.setdefault(item.group_title, []).append(item)
        table = Table(title=f"{len(items)} items in {len(groups)} groups")
        table.add_column("group")
        table.add_column("items", justify="right")
        table.add_column("sizes", justify="right")
        for title in sorted(groups):
            inside = groups[title]
            table.add_row(escape(title), str(len(inside)), str(sum(len(item.subitems) for item in inside)))
        console.print(table)
        return
    wanted = search.casefold()
    found = [i for i in items if wanted in i.name.casefold() or wanted in i.group_title.casefold()]
    table = Table(title=f"{len(found)} items")
    for column in ("group", "item", "sizes"):
        table.add_column(column, overflow="fold")
    for item in found[:MOST]:
        sizes = ", ".join(f"{sub.name.removeprefix('Size ')}: {_quantity(sub)}" for sub in item.subitems)
        table.add_row(escape(item.group_title), escape(item.name), escape(sizes))
    console.print(table)


def _quantity(subitem: board_values.BoardItem) -> str:
    numbers = [cell.text for name, cell in subitem.columns.items() if name.startswith("numeric") and cell.text]
    return numbers[0] if numbers else "?"
