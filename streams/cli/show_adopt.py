"""The output of adopt."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from schemas.bindings import Creates
from streams.adopt import adoption, decisions, matching
from streams.cli import show

# Ambiguous items, doubled sizes and refused items that are printed.
MOST = 40


def to_csv(path: Path, report: adoption.Report) -> None:
    """Writes all ambiguous items to a CSV file for decisions. Raises Misconfigured."""
    decisions.write(path, report.found.ambiguous)


def adopted(report: adoption.Report, *, as_json: bool) -> None:
    """Prints what matches, what does not, the cost, and what was written."""
    if as_json:
        show.plain(json.dumps(report.as_json(), indent=2, ensure_ascii=False))
        return
    found, world = report.found, report.world
    read = f"{len(world.items):,} items, read in {report.reads:,} calls"
    show.plain(f"board    {read}; {len(world.source.rows):,} orders in the source")
    for kind in matching.Kind:
        if found.counts[kind]:
            show.plain(f"matched  {found.counts[kind]:,} {kind.value}")
    show.plain(
        f"left     {found.rows_left:,} orders without an item, {len(found.unmatched):,} items without an order, "
        f"{len(found.spare):,} items whose order has another one"
    )
    if world.source.unusable or world.source.excluded:
        show.plain(f"not read {world.source.excluded:,} excluded rows, {world.source.unusable:,} without an identity")
    if found.ambiguous:
        show.console.print(_ambiguous(found.ambiguous, report.undecided))
        show.plain("decide them: `ordersync adopt --csv FILE`, fill in `decision`, `ordersync adopt --decisions FILE`")
    _some([str(double) for double in report.doubles])
    if report.written is None:
        show.plain(f"cost     {report.cost if report.keys else 'no key is to write'}")
        show.plain(f"If that is right: ordersync adopt --apply {report.plan_id}")
        return
    _written(report)


def _ambiguous(ambiguous: Sequence[matching.Ambiguity], orders: int) -> Table:
    more = f", the first {MOST} of them" if len(ambiguous) > MOST else ""
    table = Table(title=f"{orders:,} orders are ambiguous: {len(ambiguous):,} possible items{more}")
    for column in ("record_uuid", "item", "why"):
        table.add_column(column, overflow="fold")
    for one in ambiguous[:MOST]:
        table.add_row(escape(one.record_uuid), escape(one.item_id), one.reason.value)
    return table


def _some(lines: Sequence[str]) -> None:
    show.lines(list(lines[:MOST]))
    if len(lines) > MOST:
        show.plain(f"and {len(lines) - MOST:,} more: --json lists them")


def _written(report: adoption.Report) -> None:
    written = report.written
    assert written is not None
    show.plain(f"written  {adoption.effect(report)}; {written.calls:,} calls")
    show.plain(f"linked   {written.linked:,} production rows of an earlier workflow")
    if written.gone:
        show.plain(f"gone     {written.gone:,} orders left the source meanwhile")
    _some([f"item {item_id} is not adopted: {reason}" for item_id, reason in written.refused.items()])
    if report.creates is Creates.FREE:
        show.plain("creates  are free: `ordersync run` sends what differs, and creates the items that are missing")
    else:
        show.plain("creates  stay as they are until nothing is undecided; updates and removals go on")
