"""The output of plan, accept and actions."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from schemas import detection, events
from streams.cli import show
from streams.commands import plans

# Columns and names in a line.
FEW = 8


def asks() -> bool:
    """Whether a person can be asked: the input is a terminal."""
    return sys.stdin.isatty()


def held(plan: detection.Plan | None, *, as_json: bool) -> None:
    """Prints the plan that the guard holds."""
    if as_json:
        show.plain("null" if plan is None else plan.model_dump_json(indent=2))
        return
    if plan is None:
        show.console.print("[green]✓[/] the guard holds nothing")
        return
    show.console.print(f"[bold]plan {plan.id}[/] of {plan.made_at:%Y-%m-%d %H:%M:%S} UTC", soft_wrap=True)
    show.console.print(f"[red]held[/]     {escape(plan.reason)}", soft_wrap=True)
    for note in plan.notes:
        show.console.print(f"[yellow]note[/]     {escape(note)}", soft_wrap=True)
    kinds = ", ".join(f"{n} {change.value.lower()}" for change, n in plan.counts.items()) or "no order changes"
    mapped = f" ({plan.remapped} of them only by the mapping or the list of columns)" if plan.remapped else ""
    show.plain(f"changes  {kinds}{mapped}")
    if plan.columns:
        listed = ", ".join(f"[{name}] {n}" for name, n in list(plan.columns.items())[:FEW])
        more = f", and {len(plan.columns) - FEW} more columns" if len(plan.columns) > FEW else ""
        show.plain(f"columns  {listed}{more} (of {plan.compared} updated orders that were compared)")
    show.plain(f"cost     {plan.cost}")
    if plan.samples:
        show.console.print(_samples(plan.samples))
    if plan.deletes:
        leaving = plan.counts.get(events.Change.DELETED, 0)
        show.plain(f"leaving  {leaving} orders:")
        show.lines([f"  {name}" for name in plan.deletes])
        if leaving > len(plan.deletes):
            show.plain(f"  and {leaving - len(plan.deletes)} more")
    show.plain(f"If that is right: ordersync accept {plan.id}")


def _samples(samples: Sequence[detection.PlannedChange]) -> Table:
    table = Table(title="samples")
    for column in ("change", "customer", "order", "differs in"):
        table.add_column(column, overflow="fold")
    for one in samples:
        columns = ", ".join(f"[{name}]" for name in one.columns[:FEW])
        table.add_row(one.change.value.lower(), escape(one.customer), escape(one.title), escape(columns))
    return table


def accepted(result: plans.Accepted) -> None:
    """Prints what came of an accepted plan, and what is held now."""
    show.plain(f"plan {result.plan.id}: {result.effect}")
    if result.report.held is not None:
        show.detected(result.report)


def actions(rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """Prints the actions, the newest first."""
    if as_json:
        show.plain(json.dumps(list(rows), indent=2, ensure_ascii=False))
        return
    if not rows:
        show.plain("nobody has told ordersync to do anything yet")
        return
    table = Table(title=f"the newest {len(rows)} actions")
    for column in ("at (UTC)", "who", "action", "what", "why", "effect"):
        table.add_column(column, overflow="fold")
    for row in rows:
        cells = [str(row["at"])[:19], *(row[name] for name in ("who", "action", "subject", "reason", "effect"))]
        table.add_row(*(escape(str(cell or "")) for cell in cells))
    show.console.print(table)
