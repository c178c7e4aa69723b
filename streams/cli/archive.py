"""`ordersync archive`, `rollback`, `hold` and `release`.

What they need is imported when it is asked for: the worker starts by the same program, and has no use for it.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

Customer = Annotated[str, typer.Option(help="The customer; an alias does, in any case.")]
MaybeCustomer = Annotated[str | None, typer.Option(help="Only this customer; an alias does, in any case.")]

archive = typer.Typer(help="Snapshots of customers: what roll back goes back to.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.add_typer(archive, name="archive")
    app.command()(rollback)
    app.command()(hold)
    app.command()(release)


def _moment(text: str) -> datetime:
    from streams.commands import rollback as rollback_command

    try:
        return rollback_command.moment(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time: write 2026-11-21T14:30, UTC unless it ends with +02:00"
        ) from None


@archive.command("list")
def list_entries(context: typer.Context, customer: MaybeCustomer = None) -> None:
    """What is archived: customer, time, pass, rows, size."""
    from streams.cli import show_archive
    from streams.commands import rollback as rollback_command

    show_archive.entries(rollback_command.entries(context.obj(), customer))


@archive.command("show")
def show_entry(
    context: typer.Context,
    number: Annotated[int | None, typer.Argument(help="Number of the snapshot.", metavar="ID")] = None,
    customer: MaybeCustomer = None,
    at: Annotated[str | None, typer.Option(help="The newest at or before this time (ISO 8601, UTC).")] = None,
    order: Annotated[str | None, typer.Option(help="Only this order number, PO number or record_uuid.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the rows to this file.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write the snapshot to this file, as it is stored.")] = None,
) -> None:
    """The rows of one snapshot: by its number, or by customer and time."""
    from streams.cli import show_archive
    from streams.commands import rollback as rollback_command

    if (number is None) == (customer is None):
        raise typer.BadParameter("name a snapshot by its ID, or a customer with --customer and --at")
    if parquet is not None and (order is not None or csv is not None):
        raise typer.BadParameter("--parquet writes the whole file: leave --order and --csv out")
    entry, payload = rollback_command.snapshot(context.obj(), number, customer, None if at is None else _moment(at))
    if not show_archive.snapshot(entry, payload, order=order, csv=csv, file=parquet):
        raise typer.Exit(1)


@archive.command()
def prune(context: typer.Context) -> None:
    """Takes out what retention does not keep; the poller does so after each snapshot."""
    from streams.cli import show
    from streams.commands import rollback as rollback_command

    show.plain(f"took out {rollback_command.prune(context.obj())} snapshots")


def rollback(
    context: typer.Context,
    customer: Customer,
    to: Annotated[str | None, typer.Option(help="Back to the newest snapshot at or before (ISO 8601, UTC).")] = None,
    end: Annotated[bool, typer.Option("--release", help="End the hold: the source counts again.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Only print what would be created, changed and removed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Puts board and production of a customer back to a snapshot, and holds the customer there until --release."""
    from streams.cli import show_archive
    from streams.commands import rollback as rollback_command

    if end == (to is not None) or (end and dry_run):
        raise typer.BadParameter("either --to TIME, with --dry-run first, or --release")
    if to is None:
        release(context, customer)
        return
    moment = _moment(to)
    if dry_run or not yes:
        show_archive.preview(rollback_command.preview(context.obj(), customer, moment))
        if dry_run:
            return
        typer.confirm("Roll back?", abort=True)
    show_archive.rolled_back(*rollback_command.roll_back(context.obj(), customer, moment))


def hold(context: typer.Context, customer: Customer) -> None:
    """Holds a customer where it stands: changes of its orders wait until it is released."""
    from streams.cli import show_archive
    from streams.commands import rollback as rollback_command

    show_archive.on_hold(rollback_command.put_on_hold(context.obj(), customer))


def release(context: typer.Context, customer: Customer) -> None:
    """Ends a hold: the newest state of the source is synced, whatever happened meanwhile."""
    from streams.cli import show_archive
    from streams.commands import rollback as rollback_command

    show_archive.released(*rollback_command.release(context.obj(), customer))
