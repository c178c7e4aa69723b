"""The output of errors, retry and trace."""

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
from schemas.orders import OrderWarning
from streams.cli import show
from streams.commands import failures as failures_command
from streams.commands import trace

WAYS = {
    Way.SEND: "re-emitted: the worker sends them now",
    Way.DETECT: "detected again: by the next pass, as their rows are now",
    Way.NOT: "left alone",
}
AFTER_RELEASE = "detected again after the release of their customers, which are on hold"


def failures(rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """Prints these open failures, the newest first."""
    if as_json:
        show.plain(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if not rows:
        show.plain("no open failure")
        return
    table = Table(show_lines=True)
    for column in ("id", "order", "failure", "reason and next step"):
        table.add_column(column, overflow="fold")
    for row in rows[: show.MOST]:
        size = f"\nsize {row['size_label']}" if row["size_label"] else ""
        tries = f"\ntried {row['retry_count'] + 1} times" if row["retry_count"] else ""
        since = f"\nsince {str(row['created_date'])[:16].replace('T', ' ')}"
        table.add_row(
            str(row["err_id"]),
            escape(show.order_title(row) + size),
            f"[red]{escape(str(row['error_code'] or row['error_type']))}[/]{tries}{since}",
            f"{escape(str(row['error_message']))}\n[bold]→[/] {escape(row['next'])}",
        )
    show.console.print(table)
    if len(rows) > show.MOST:
        show.plain(f"and {len(rows) - show.MOST} more: filter them, or use `ordersync errors --json`")
    show.plain(f"{len(rows)} open failures")
    for customer, n in sorted(Counter(str(row["customer"]) for row in rows if row["held"]).items()):
        show.plain(f"    {n} of {customer}, which is on hold: passes ignore its rows until `ordersync release`")


def warnings(found: Sequence[OrderWarning], *, as_json: bool) -> None:
    """Prints these warnings of orders in production."""
    if as_json:
        show.plain(json.dumps([failures_command.warning_fields(one) for one in found], indent=2, ensure_ascii=False))
        return
    if not found:
        show.plain("no warning")
        return
    table = Table(show_lines=True)
    for column in ("order", "column", "reason and advice"):
        table.add_column(column, overflow="fold")
    for one in found[: show.MOST]:
        value = "(blank)" if one.problem.value is None else repr(one.problem.value)
        table.add_row(
            escape(f"{one.customer} {one.order_number}\n{one.record_uuid}"),
            f"{escape(one.problem.column)}\n[yellow]{escape(value)}[/]",
            escape(f"{one.problem.reason}\n→ {one.problem.advice}"),
        )
    show.console.print(table)
    if len(found) > show.MOST:
        show.plain(f"and {len(found) - show.MOST} more: `ordersync errors --warnings --json` lists them")
    show.plain(f"{len(found)} warnings")


def retried(done: Sequence[tuple[dict[str, Any], RetryDecision]], *, dry_run: bool) -> None:
    """Prints how many failures were retried in which way, and why some were not."""
    if not done:
        show.plain("no open failure")
        return
    ways = Counter(
        AFTER_RELEASE if verdict.way is Way.DETECT and row["held"] else WAYS[verdict.way] for row, verdict in done
    )
    would = "would be " if dry_run else ""
    for text in (WAYS[Way.SEND], WAYS[Way.DETECT], AFTER_RELEASE, WAYS[Way.NOT]):
        if ways[text]:
            show.plain(f"{ways[text]} {would}{text}")
    reasons = Counter(verdict.why for _, verdict in done if verdict.way is Way.NOT)
    for reason, n in reasons.most_common():
        show.plain(f"    {n} × {reason}")


def traced(history: trace.OrderHistory, *, as_json: bool) -> None:
    """Prints the history of one order, in the order of time."""
    if as_json:
        show.plain(history.model_dump_json(indent=2))
        return
    show.console.print(f"[bold]{escape(history.order.title)}[/]  {history.order.record_uuid}")
    table = Table()
    for column in ("when (UTC)", "version", "what", "details"):
        table.add_column(column, overflow="fold")
    for moment in history.moments:
        details = ", ".join(f"{name} {value}" for name, value in moment.details.items() if value not in (None, ""))
        version = "" if moment.version is None else str(moment.version)
        table.add_row(str(moment.at)[:23].replace("T", " "), version, escape(moment.what), escape(details))
    show.console.print(table)
    show.lines(history.now)
    for problem in history.warnings:
        show.plain(f"warned   {problem}")
    for cell in history.differences:
        show.plain(f"    [{cell.column}] settled {cell.settled!r}, source {cell.source!r}")


def matches(orders: Sequence[trace.Order]) -> None:
    """Prints the orders that share a number."""
    table = Table(title=f"{len(orders)} orders: name one by its record_uuid")
    for column in ("record_uuid", "customer", "order", "PO", "state"):
        # In one piece, so that a user can copy it.
        table.add_column(column, overflow="fold", no_wrap=column == "record_uuid")
    for order in orders[: show.MOST]:
        table.add_row(
            *(escape(text) for text in (order.record_uuid, order.customer, order.number, order.po, order.state))
        )
    show.console.print(table)
    if len(orders) > show.MOST:
        show.plain(f"and {len(orders) - show.MOST} more")


@contextmanager
def progress(title: str) -> Iterator[failures_command.Progress]:
    """A progress bar on stderr if that is a terminal, otherwise nothing."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)
