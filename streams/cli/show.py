"""The output of setup, validate, detect, status and board, and what the output of other commands shares."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from connectors.monday import board_values
from schemas import bindings, detection, items, workers
from schemas.batches import SyncState
from streams.commands import pushdown
from streams.detect import plans
from streams.diagnosis.troubles import Diagnosis, Severity
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
GRAVE = {Severity.DOWN: "red", Severity.PERSON: "red"}
# A request without an answer for longer than this is worth a line.
ANSWERED_WITHIN = timedelta(seconds=10)
# The API gives a request 60 s; its in-flight window is meant for answers well below that.
SLOW_ANSWER = 30.0
# Rows of a table at most.
MOST = 40


def plain(text: str) -> None:
    """Prints text unchanged: no markup, no wrapping."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def lines(texts: Sequence[str]) -> None:
    """Prints one line each."""
    for text in texts:
        plain(text)


def mistakes(texts: Sequence[str]) -> None:
    """Prints the mistakes that `validate` found, or that there is none."""
    for mistake in texts:
        console.print(f"[red]✗[/] {escape(mistake)}", soft_wrap=True)
    if not texts:
        console.print("[green]✓[/] mapping, tables, board and topics agree")


def detected(report: detection.PassReport) -> None:
    """Prints the result of one pass."""
    if report.held is not None:
        console.print(f"[red]guard stop[/] {escape(report.held)}. {escape(plans.way_out(report.plan))}", soft_wrap=True)
        return
    changes = ", ".join(f"{n} {change.value.lower()}" for change, n in report.changes.items()) or "no change"
    rest = f", {report.deferred} deferred to later passes" if report.deferred else ""
    rest += f", {report.excluded} excluded" if report.excluded else ""
    rest += f", {report.refused} refused" if report.refused else ""
    rest += f", {report.on_hold} of customers on hold ignored" if report.on_hold else ""
    plain(f"pass {report.number}: {report.scanned} rows, {changes}; {report.emitted} events emitted{rest}")


def trial(verdict: pushdown.Verdict) -> None:
    """Prints the result of the trial of push-down detection."""
    for wrong in verdict.wrong:
        console.print(f"[red]wrong[/] {escape(wrong)}", soft_wrap=True)
    agreement = "does NOT agree" if verdict.wrong else "agrees"
    plain(f"{verdict.rows} rows, {verdict.differ} of them differ from their snapshot row: the server {agreement}")


def planned(orders: Sequence[plan.Planned]) -> None:
    """Prints the mutations that would be sent, and how many of each kind."""
    kinds: Counter[str] = Counter()
    for order in orders:
        kinds.update(mutation.kind for mutation in order.mutations)
        console.print(f"[bold]{escape(order.event.customer)}[/] {order.event.record_uuid}")
        for problem in order.problems:
            console.print(Padding(f"[red]refused[/] {escape(str(problem))}", (0, 0, 0, 4)))
        for mutation in order.mutations:
            plain(f"    {_mutation(mutation)}")
    summary = ", ".join(f"{n} {kind.replace('_', ' ')}" for kind, n in sorted(kinds.items())) or "nothing to send"
    plain(f"{len(orders)} orders, {kinds.total()} mutations: {summary}")


def _mutation(mutation: items.Mutation) -> str:
    shown = mutation.model_dump(exclude={"kind", "record_uuid", "create_labels"}, exclude_defaults=True)
    return f"{mutation.kind.replace('_', ' ')}: {json.dumps(shown, ensure_ascii=False)}"


def status(current: statuses.Status, *, as_json: bool) -> None:
    """Prints the status: one table of orders by customer, then one line a subject."""
    if as_json:
        plain(current.model_dump_json(indent=2))
        return
    _orders(current)
    _binding(current)
    _on_their_way(current)
    _processes(current)
    _failures(current)
    _tables(current)
    _holds(current)
    # Failures have their lines above, by code.
    for trouble in (one for one in current.troubles if one.severity is not Severity.FAILURES):
        console.print(f"[{GRAVE.get(trouble.severity, 'yellow')}]{escape(str(trouble))}[/]", soft_wrap=True)


def diagnosis(found: Diagnosis, *, as_json: bool) -> None:
    """Prints one line a trouble, or `well`."""
    if as_json:
        plain(found.model_dump_json(indent=2))
    else:
        lines(found.lines)


def states_table(title: str, customers: Mapping[str, Mapping[SyncState, int]], *, rows: bool) -> Table:
    """A table of the number of orders by customer and state, and of all customers; with `rows`, a column of sums."""
    table = Table(title=title)
    table.add_column("customer")
    for state in SyncState:
        table.add_column(state.value.lower().replace("_", " "), justify="right", style=STYLES[state])
    if rows:
        table.add_column("rows", justify="right")
    total: Counter[SyncState] = Counter()
    for name, counts in customers.items():
        total.update(counts)
        sums = [str(sum(counts.values()))] if rows else []
        table.add_row(escape(name or "(none)"), *(str(counts.get(state, "")) for state in SyncState), *sums)
    table.add_section()
    sums = [str(total.total())] if rows else []
    table.add_row("all", *(str(total[state]) for state in SyncState), *sums, style="bold")
    return table


def _orders(current: statuses.Status) -> None:
    customers = {one.customer: one.orders for one in current.customers}
    console.print(states_table("Orders of ORDERS_UNIFIED by customer", customers, rows=False))
    rest = f", {current.undetected} not detected yet" if current.undetected else ""
    rest += f", {current.refused} refused (`ordersync errors`)" if current.refused else ""
    plain(f"source      {current.source_rows} rows{rest}")


def _binding(current: statuses.Status) -> None:
    if current.binding is None:
        plain("bound to    nothing yet: `ordersync setup`")
        return
    plain(f"bound to    {current.binding.text}")
    if current.binding.creates is bindings.Creates.HELD:
        console.print("[red]creates     held, the board has items of which nothing is known: `ordersync adopt`[/]")


def _on_their_way(current: statuses.Status) -> None:
    if current.leaving:
        plain(f"leaving     {current.leaving} deleted orders that are still on the board")
    plain(f"window      {current.unsettled_mutations} of {current.window} mutations unsettled")
    if current.in_doubt_since is not None and (current.parked or current.at - current.in_doubt_since > ANSWERED_WITHIN):
        since = f"{current.in_doubt_since:%H:%M:%S} UTC"
        plain(f"in doubt    {current.in_doubt} requests without an answer since {since}, {current.parked} orders wait")
    plain(f"API calls   {current.calls_today} writes today, of {current.calls_limit} calls a day")


def _processes(current: statuses.Status) -> None:
    plain(f"writer      {current.writer or 'none: no worker has the lease'}")
    for worker in current.workers:
        console.print(_worker(worker, current.at), soft_wrap=True)
    if current.last_pass is not None:
        at = f"{current.last_pass.finished_at:%Y-%m-%d %H:%M:%S} UTC"
        plain(f"last pass   {current.last_pass.number} at {at}, {current.last_pass.emitted} events")
    for name, summary in (("verified", current.verified), ("board", current.audited)):
        if summary is not None:
            subject = "orders or groups" if "renamed group" in summary.get("kinds", ()) else "orders"
            plain(f"{name:<11} {summary['wrong'] or 'no'} {subject} wrong at {summary['at'][:19]} UTC")
    if current.compared is not None:
        plain(f"compared    {current.compared}")


def _failures(current: statuses.Status) -> None:
    for code, n in sorted(current.failures.items()):
        plain(f"failed      {n} × {code}: `ordersync errors`")
    for column, n in sorted(current.warnings.items()):
        plain(f"warned      {n} × [{column}]: `ordersync errors --warnings`")
    if current.retries_paused:
        console.print(f"[yellow]retries     {escape(current.retries_paused)}[/]", soft_wrap=True)


def _tables(current: statuses.Status) -> None:
    if current.open_batches:
        plain(f"batches     {len(current.open_batches)} open")
    plain("tables      " + ", ".join(f"{name} {n:,}" for name, n in current.rows.items()))


def _holds(current: statuses.Status) -> None:
    for hold in current.holds:
        at = "" if hold.taken_at is None else f" at its snapshot of {hold.taken_at:%Y-%m-%d %H:%M:%S} UTC"
        rest = "" if hold.complete else ", not all of it emitted yet"
        console.print(
            f"[magenta]on hold     {escape(hold.customer)}{at}, by {escape(hold.by)}{rest}[/]", soft_wrap=True
        )
    if current.unarchived:
        since = min(queued.since for queued in current.unarchived)
        plain(
            f"archive     {len(current.unarchived)} customers to archive, the first since {since:%Y-%m-%d %H:%M:%S} UTC"
        )


def _worker(worker: workers.WorkerState, now: datetime) -> str:
    """One line: the address of the process, its paused lanes with the reason, the end of the API's calls."""
    line = f"{worker.role:<11} {worker.name} " if worker.role != worker.name else f"{worker.role:<11} "
    if worker.stopped:
        return f"{line}stopped at {worker.at:%Y-%m-%d %H:%M:%S} UTC"
    if worker.silent(now):
        return f"{line}[red]no heartbeat for {(now - worker.at).total_seconds():.0f} s[/]"
    paused = "; ".join(f"{lane}: {escape(why)}" for lane, why in sorted(worker.holding.items()))
    style = "red" if worker.trouble else "yellow"
    line += f"[{style}]pauses {paused}[/]" if paused else ", ".join(filter(None, ("works", escape(worker.address))))
    if worker.budget is not None and worker.budget.calls_run_out_at is not None:
        line += f", [yellow]the day's API calls run out at {worker.budget.calls_run_out_at:%H:%M} UTC[/]"
    if worker.budget is not None and worker.budget.slowest > SLOW_ANSWER:
        line += f", [yellow]requests take up to {worker.budget.slowest:.0f} s of 60[/]"
    resume = None if worker.budget is None else worker.budget.calls_resume_at
    if resume is not None and resume > now:
        line += f", [red]the API allows no call before {resume:%Y-%m-%d %H:%M} UTC[/]"
    return line


def order_title(row: dict[str, Any]) -> str:
    """Customer and order number of a failure, as far as its ERR row has them."""
    return " ".join(str(part) for part in (row["customer"], row["order_number"]) if part) or "(order unknown)"


def board(items: Sequence[board_values.BoardItem], search: str | None) -> None:
    """Prints the groups of the board; with a search, the items whose name or group contains it, with their sizes."""
    if search is None:
        groups: dict[str, list[board_values.BoardItem]] = {}
        for item in items:
            groups.setdefault(item.group_title, []).append(item)
        table = Table(title=f"{len(items)} items in {len(groups)} groups")
        table.add_column("group")
        table.add_column("items", justify="right")
        table.add_column("sizes", justify="right")
        for title in sorted(groups):
            members = groups[title]
            table.add_row(escape(title), str(len(members)), str(sum(len(item.subitems) for item in members)))
        console.print(table)
        return
    wanted = search.casefold()
    matches = [i for i in items if wanted in i.name.casefold() or wanted in i.group_title.casefold()]
    table = Table(title=f"{len(matches)} items")
    for column in ("group", "item", "sizes"):
        table.add_column(column, overflow="fold")
    for item in matches[:MOST]:
        sizes = ", ".join(f"{sub.name.removeprefix('Size ')}: {_quantity(sub)}" for sub in item.subitems)
        table.add_row(escape(item.group_title), escape(item.name), escape(sizes))
    console.print(table)


def _quantity(subitem: board_values.BoardItem) -> str:
    numbers = [cell.text for name, cell in subitem.columns.items() if name.startswith("numeric") and cell.text]
    return numbers[0] if numbers else "?"
