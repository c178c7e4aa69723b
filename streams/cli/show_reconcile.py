"""The output of verify and replay."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from streams import progress as reports
from streams.cli import show
from streams.commands import replay as replay_command
from streams.commands import verify as verify_command
from streams.reconcile import audit, repair_plan, replay, verify


@contextmanager
def progress() -> Iterator[reports.Progress]:
    """A progress bar on stderr if that is a terminal, otherwise nothing."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield reports.silent
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading the tables", total=None)
        yield lambda work, done, total: bar.update(task, description=work, completed=done, total=total)


def aside(line: str) -> None:
    """Prints one line to stderr: it is not part of the result."""
    Console(stderr=True).print(line, markup=False, highlight=False, soft_wrap=True)


def verified(result: verify_command.Result, *, as_json: bool) -> None:
    """Prints the sums by customer, the findings, and the repairs."""
    if as_json:
        show.plain(json.dumps(_as_json(result), indent=2, ensure_ascii=False))
        return
    _tables(result.verified)
    if result.audited is not None:
        _audited(result.audited)
    _repairs(result)
    if result.plan is not None:
        _plan(result.plan)
        show.plain(f"cost: {result.cost}")
        again = f"--fix --apply {result.plan.id}"
        show.plain(f"plan {result.plan.id}: `{again}` in place of --fix --dry-run emits exactly these repairs")


def _plan(plan: repair_plan.RepairPlan) -> None:
    if plan.repairs:
        table = Table(title=f"{len(plan.repairs)} orders would be repaired")
        for column in ("by", "mutations", "what was found"):
            table.add_column(column, overflow="fold")
        for one in plan.repairs[: show.MOST]:
            table.add_row(one.way.value, str(one.mutations), escape(one.found))
        show.console.print(table)
        if len(plan.repairs) > show.MOST:
            show.plain(f"and {len(plan.repairs) - show.MOST} more: --json lists them")
    else:
        show.plain("nothing would be repaired")
    for reason, n in Counter(one.reason for one in plan.left).items():
        show.plain(f"{n} orders would be left alone: {reason.value}")
    show.lines([f"  {one.found}" for one in plan.left[: show.MOST]])


def _tables(report: verify.TablesReport) -> None:
    title = f"{report.source_rows} rows of ORDERS_UNIFIED, each in exactly one state"
    show.console.print(show.states_table(title, dict(sorted(report.customers.items())), rows=True))
    if report.undetected:
        show.plain(f"{report.undetected} of the waiting rows are not detected yet")
    if report.refused:
        show.plain(f"{report.refused} of the failed rows are refused before they are compared: `ordersync errors`")
    for finding in report.wrong[: show.MOST]:
        show.console.print(f"[red]✗[/] {escape(str(finding))}", soft_wrap=True)
    if len(report.wrong) > show.MOST:
        show.plain(f"and {len(report.wrong) - show.MOST} more: --json lists them")
    if report.warnings:
        show.plain(f"{len(report.warnings)} rows have warnings, which refuse nothing: --json lists them")
    for table, rows in report.legacy.items():
        show.plain(f"{rows} rows of {table} were written by another program and are left alone")
    if not report.wrong:
        show.console.print("[green]✓[/] every row is accounted for")


def _repairs(result: verify_command.Result) -> None:
    if result.lost:
        show.plain(f"{result.lost} orders waited for events that Kafka has lost: they were detected again")
    if result.emitted:
        show.plain(f"{result.emitted} repairs were emitted: `ordersync status` shows their progress")
    if result.held:
        show.plain(f"{result.held} orders differ and are left alone: their customers are on hold (`ordersync status`)")
    if result.left_alone:
        show.plain(f"{len(result.left_alone)} orders are unknown to ordersync and are left alone: see the list above")
    for text in result.failed[: show.MOST]:
        show.console.print(f"[red]✗[/] its repair changed nothing: {escape(text)}", soft_wrap=True)
    if result.stalled is not None:
        show.console.print(f"[red]✗[/] {escape(result.stalled)}", soft_wrap=True)
        show.plain("emitted repairs stay emitted; the same command continues with the rest")
    elif result.left:
        show.plain(f"{result.left} more have no room in the admission window yet: run it once more, or with --wait")


def _audited(report: audit.BoardReport) -> None:
    if report.extent is not None:
        show.plain(str(report.extent))
    for group in report.groups:
        show.console.print(f"[red]✗[/] {escape(str(group))}", soft_wrap=True)
    if not report.differs:
        show.console.print(f"[green]✓[/] {_compared(report)}")
    if report.drift:
        kinds = Counter(report.orders.values())
        summary = ", ".join(f"{n} {kind.value}" for kind, n in kinds.items())
        table = Table(title=f"{len(report.orders)} orders differ on the board: {summary}")
        for column in ("", "order", "where", "expected", "shown"):
            table.add_column(column, overflow="fold")
        for drift in report.drift[: show.MOST]:
            where = f"{drift.field}, size {drift.size}" if drift.size else drift.field
            cells = [drift.kind.value, drift.record_uuid, where, drift.expected or "", drift.shown or ""]
            table.add_row(*(escape(cell) for cell in cells))
        show.console.print(table)
        if len(report.drift) > show.MOST:
            show.plain(f"and {len(report.drift) - show.MOST} more differences: --json lists them")
    if report.unkeyed:
        show.plain(f"{report.unkeyed} items have no record_uuid: they belong to users and are left alone")


def _compared(report: audit.BoardReport) -> str:
    if report.extent is None or report.extent.since is None:
        return f"the board shows {report.compared} orders as production has them"
    if not report.compared:
        return "no order changed on the board"
    return f"the board shows the {report.compared} orders that were compared as production has them"


def _as_json(result: verify_command.Result) -> dict[str, Any]:
    report = result.verified
    return {
        **report.model_dump(mode="json", exclude={"wrong"}),
        "wrong": [{**one.model_dump(mode="json"), "said": str(one)} for one in report.wrong],
        "board": None if result.audited is None else result.audited.model_dump(mode="json"),
        "lost": result.lost,
        "emitted": result.emitted,
        "left": result.left,
        "held": result.held,
        "stalled": result.stalled,
        "left_alone": result.left_alone,
        "failed": result.failed,
        "sound": result.sound,
        "plan": None if result.plan is None else {"id": result.plan.id, **result.plan.model_dump(mode="json")},
        "cost": None if result.cost is None else result.cost.model_dump(mode="json"),
    }


def replayed(done: replay_command.Result) -> None:
    """Prints the result of a replay."""
    show.plain(f"{done.emitted} orders were re-emitted, out of {_counts(done.found)}")
    if done.stalled is not None:
        show.console.print(f"[red]✗[/] {escape(done.stalled)}", soft_wrap=True)
        show.plain(
            f"re-emitted orders stay re-emitted; the same command continues with the {done.left} orders that are left"
        )
    elif done.emitted:
        show.plain("`ordersync status` shows their progress")
    _other_way(done.found)


def preview(result: replay_command.Preview) -> None:
    """Prints the changes of a replay: the fields that differ, and the cost."""
    if result.differences:
        table = Table(title=f"{len(result.differences)} fields differ on the board")
        for column in ("order", "where", "in the log", "on the board"):
            table.add_column(column, overflow="fold")
        for difference in result.differences[: show.MOST]:
            where = f"{difference.field}, size {difference.size}" if difference.size else difference.field
            cells = (where, difference.left or "", difference.right or "")
            table.add_row(difference.record_uuid, *(escape(cell) for cell in cells))
        show.console.print(table)
        if len(result.differences) > show.MOST:
            show.plain(f"and {len(result.differences) - show.MOST} more")
    show.planned(result.planned)
    if result.ordinary:
        show.plain(f"{result.ordinary} orders are newer than their settled version: sync plans them as usual")
    show.plain(f"{len(result.found.places)} orders would be re-emitted, out of {_counts(result.found)}")
    show.plain(f"plan {result.plan_id}: `--apply {result.plan_id}` in place of --dry-run re-emits exactly these orders")
    show.plain(f"cost: {result.reads} API calls to read the board, about {result.writes} to repair it")
    _other_way(result.found)


def _other_way(found: replay.Found) -> None:
    if found.read == found.foreign:
        show.plain(f"the log retains no such event: {replay.INSTEAD}")


def _counts(found: replay.Found) -> str:
    counts = f"{found.read} events read, {found.foreign} of other customers"
    counts += f", {found.older} orders settled in a newer version" if found.older else ""
    counts += f", {found.held} orders of customers on hold left alone" if found.held else ""
    return counts + (f", {found.undecodable} undecodable" if found.undecodable else "")
