"""How failures, retries and the life of an order look."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from connectors.tables.retries import RetryDecision, Way
from streams.cli import show
from streams.commands import failures as failures_command
from streams.commands import trace

MOST = 40
WAYS = {
    Way.SEND: "sent again: the worker writes them now",
    Way.DETECT: "detected again: the next pass takes them as they are now",
    Way.NOT: "left alone",
}
AFTER_RELEASE = "detected again when their customers are released: they are on hold"


def failures(rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """The failures that wait, the newest first."""
    if as_json:
        show.plain(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if not rows:
        show.plain("no failure waits")
        return
    table = Table(show_lines=True)
    for column in ("id", "order", "what", "why, and what next"):
        table.add_column(column, overflow="fold")
    for row in rows[:MOST]:
        size = f"\nsize {row['size_label']}" if row["size_label"] else ""
        tries = f"\ntried {row['retry_count'] + 1} times" if row["retry_count"] else ""
        since = f"\nsince {str(row['created_date'])[:16].replace('T', ' ')}"
        table.add_row(
            str(row["err_id"]),
            escape(show.whose(row) + size),
            f"[red]{escape(str(row['error_code'] or row['error_type']))}[/]{tries}{since}",
            f"{escape(str(row['error_message']))}\n[bold]→[/] {escape(row['next'])}",
        )
    show.console.print(table)
    if len(rows) > MOST:
        show.plain(f"and {len(rows) - MOST} more: choose some, or `ordersync errors --json`")
    show.plain(f"{len(rows)} failures wait")
    for customer, n in sorted(Counter(str(row["customer"]) for row in rows if row["held"]).items()):
        show.plain(f"    {n} of {customer}, which is on hold: no pass looks at its rows before `ordersync release`")


def retried(done: Sequence[tuple[dict[str, Any], RetryDecision]], *, dry_run: bool) -> None:
    """How many went which way, and why some did not."""
    if not done:
        show.plain("no failure waits")
        return
    told = Counter(
        AFTER_RELEASE if verdict.way is Way.DETECT and row["held"] else WAYS[verdict.way] for row, verdict in done
    )
    would = "would be " if dry_run else ""
    for text in (WAYS[Way.SEND], WAYS[Way.DETECT], AFTER_RELEASE, WAYS[Way.NOT]):
        if told[text]:
            show.plain(f"{told[text]} {would}{text}")
    whys = Counter(verdict.why for _, verdict in done if verdict.way is Way.NOT)
    for why, n in whys.most_common():
        show.plain(f"    {n} × {why}")


def traced(life: trace.Life, *, as_json: bool) -> None:
    """The life of one order, in the order of time."""
    if as_json:
        show.plain(life.model_dump_json(indent=2))
        return
    show.console.print(f"[bold]{escape(life.order.title)}[/]  {life.order.record_uuid}")
    table = Table()
    for column in ("when (UTC)", "version", "what", "details"):
        table.add_column(column, overflow="fold")
    for moment in life.moments:
        told = ", ".join(f"{name} {value}" for name, value in moment.details.items() if value not in (None, ""))
        version = "" if moment.version is None else str(moment.version)
        table.add_row(str(moment.at)[:23].replace("T", " "), version, escape(moment.what), escape(told))
    show.console.print(table)
    show.lines(life.now)
    for cell in life.differences:
        show.plain(f"    [{cell.column}] settled {cell.settled!r}, source {cell.source!r}")


def matches(found: Sequence[trace.Order]) -> None:
    """Several orders carry that number."""
    table = Table(title=f"{len(found)} orders: say which by its record_uuid")
    for column in ("record_uuid", "customer", "order", "PO", "state"):
        # An identity is there to be copied.
        table.add_column(column, overflow="fold", no_wrap=column == "record_uuid")
    for order in found[:MOST]:
        table.add_row(
            *(escape(text) for text in (order.record_uuid, order.customer, order.number, order.po, order.state))
        )
    show.console.print(table)
    if len(found) > MOST:
        show.plain(f"and {len(found) - MOST} more")


@contextmanager
def progress(what: str) -> Iterator[failures_command.Progress]:
    """A bar on a terminal's stderr; nothing anywhere else."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
