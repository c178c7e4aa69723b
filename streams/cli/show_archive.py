"""The output of archive, rollback, hold and release."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from connectors.archive import parquet
from connectors.archive.snapshots import Entry
from schemas import events
from streams.archive import rollback
from streams.cli.show import MOST, console, plain
from streams.commands import preview as previews
from streams.commands import rollback as rollback_command
from streams.detect import holds

MARKS = {
    events.Change.CREATED: "[green]create[/]",
    events.Change.UPDATED: "[yellow]change[/]",
    events.Change.DELETED: "[red]remove[/]",
}


def entries(archived: Sequence[Entry]) -> None:
    """Prints a table of archived snapshots."""
    table = Table(title=f"{len(archived)} snapshots, {sum(entry.size for entry in archived) / 1e6:.1f} MB")
    table.add_column("id", justify="right")
    table.add_column("customer")
    table.add_column("taken (UTC)")
    for column in ("pass", "rows", "kB"):
        table.add_column(column, justify="right")
    for entry in archived:
        taken_at = f"{entry.taken_at:%Y-%m-%d %H:%M:%S}"
        numbers = (str(entry.version), str(entry.rows), f"{entry.size / 1e3:.1f}")
        table.add_row(str(entry.id), escape(entry.customer), taken_at, *numbers)
    console.print(table)


def frame(payload: bytes, order: str | None) -> pd.DataFrame:
    """The rows of a snapshot file: all of them, or one order by its order number, PO number or record_uuid."""
    names = parquet.columns(payload)
    rows = pd.DataFrame(parquet.read(payload, names), columns=list(names), dtype=object)
    if order is None:
        return rows
    wanted = pd.Series(False, index=rows.index)
    for name in {parquet.IDENTITY, "AAG ORDER NUMBER", "PO NUMBER"} & set(names):
        wanted |= rows[name].astype("str").str.strip().str.casefold() == order.strip().casefold()
    return rows[wanted]


def snapshot(entry: Entry, payload: bytes, *, order: str | None, csv: Path | None, file: Path | None) -> int:
    """Prints one snapshot, or writes it to a file. Returns the number of its rows that match."""
    if file is not None:
        file.write_bytes(payload)
        plain(f"wrote {entry.rows} rows to {file}")
        return entry.rows
    rows = frame(payload, order)
    if csv is not None:
        rows.to_csv(csv, index=False)
        plain(f"wrote {len(rows)} rows to {csv}")
        return len(rows)
    plain(f"snapshot {entry.id} of {entry.customer}, taken {entry.taken_at:%Y-%m-%d %H:%M:%S} UTC")
    for _, row in rows.head(MOST).iterrows():
        filled = row[row.notna()]
        console.print(f"[bold]{escape(str(row[parquet.IDENTITY]))}[/] version {row[parquet.VERSION]}, {row['state']}")
        cells = ", ".join(f"{name}: {cell}" for name, cell in filled.items() if name not in parquet.OWN)
        console.print(Padding(escape(cells), (0, 0, 0, 4)))
    if len(rows) > MOST:
        plain(f"and {len(rows) - MOST} more: --csv or --parquet write them all")
    return len(rows)


def preview(result: rollback_command.Preview) -> None:
    """Prints the changes of a roll back and their cost."""
    entry = result.entry
    plain(f"{entry.customer} to snapshot {entry.id} of {entry.taken_at:%Y-%m-%d %H:%M:%S} UTC, {entry.rows} rows")
    by_order: dict[str, list[previews.Field]] = {}
    for field in result.fields:
        by_order.setdefault(field.record_uuid, []).append(field)
    counts = dict.fromkeys(events.Change, 0)
    for at, (event, planned) in enumerate(result.orders):
        counts[event.change] += 1
        if at >= MOST:
            continue
        name = escape(str(event.row.get("AAG ORDER NUMBER") or ""))
        console.print(f"{MARKS[event.change]} {event.record_uuid} {name}", soft_wrap=True)
        for problem in planned.problems:
            console.print(Padding(f"[red]would be refused[/] {escape(str(problem))}", (0, 0, 0, 4)))
        for field in by_order.get(event.record_uuid, ()):
            size = f"size {field.size} " if field.size else ""
            console.print(Padding(escape(f"{size}{field.field}: {field.before!r} → {field.after!r}"), (0, 0, 0, 4)))
    if len(result.orders) > MOST:
        plain(f"and {len(result.orders) - MOST} more")
    left_alone(result.differences)
    summary = ", ".join(f"{n} {change.value.lower()}" for change, n in counts.items() if n) or "nothing differs"
    cost = result.cost
    plain(
        f"{summary}; {cost.total} mutations in {cost.requests} requests or more, {cost.minutes:.1f} min of API budget"
    )
    plain(f"plan {result.plan_id}: `--apply {result.plan_id}` in place of --dry-run makes exactly these changes")
    if result.on_their_way:
        plain(f"{result.on_their_way} orders are on their way now and will be superseded: the cost may differ")


def left_alone(differences: rollback.Differences) -> None:
    """Prints the orders that a roll back leaves alone, and why."""
    if differences.shared:
        uuids = _first_three(differences.shared)
        plain(f"left alone: {len(differences.shared)} identities that several rows of the snapshot share: {uuids}")
    if differences.others:
        uuids = _first_three(differences.others)
        plain(f"left alone: {len(differences.others)} orders that belong to another customer now: {uuids}")


def rolled_back(entry: Entry, progress: rollback.Progress) -> None:
    """Prints that a roll back has begun."""
    plain(f"{entry.customer} is on hold and goes back to snapshot {entry.id}: {progress.emitted} orders emitted")
    if progress.left:
        plain(f"{progress.left} orders wait for room in the admission window: the poller emits them")
    plain(f"`ordersync rollback --customer '{entry.customer}' --release` ends the hold")


def on_hold(held: holds.Hold) -> None:
    """Prints the hold of a customer."""
    plain(f"{held.customer} is on hold since {held.at:%Y-%m-%d %H:%M:%S} UTC, by {held.by}")


def released(customer: str, orders: int) -> None:
    """Prints that the hold of a customer has ended."""
    plain(f"{customer} is released: the next passes detect {orders} orders, and new ones, as the source has them")


def _first_three(uuids: Sequence[str]) -> str:
    return ", ".join(uuids[:3]) + (", …" if len(uuids) > 3 else "")
