"""`ordersync archive`, `rollback`, `hold` and `release`: the arguments. The work is streams/commands/rollback.py."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from streams.cli import lazy
from streams.cli.exit_codes import Exit

Customer = Annotated[str, typer.Option(help="The customer: its name or a customer alias, in upper or lower case.")]
MaybeCustomer = Annotated[
    str | None, typer.Option(help="Only this customer: its name or a customer alias, in upper or lower case.")
]

archive = typer.Typer(help="Archived snapshots of customers, to which `rollback` goes back.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.add_typer(archive, name="archive")
    app.command()(rollback)
    app.command()(hold)
    app.command()(release)


def _moment(text: str) -> datetime:
    try:
        return lazy.rollback.moment(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time: write 2026-11-21T14:30, UTC unless it ends with +02:00"
        ) from None


@archive.command("list")
def list_entries(context: typer.Context, customer: MaybeCustomer = None) -> None:
    """Lists the archived snapshots: customer, time, pass, rows, size."""
    lazy.show_archive.entries(lazy.rollback.entries(context.obj(), customer))


@archive.command("show")
def show_entry(
    context: typer.Context,
    number: Annotated[int | None, typer.Argument(help="Number of the snapshot.", metavar="ID")] = None,
    customer: MaybeCustomer = None,
    at: Annotated[str | None, typer.Option(help="The newest snapshot at or before this time (ISO 8601, UTC).")] = None,
    order: Annotated[str | None, typer.Option(help="Only this order number, PO number or record_uuid.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the rows to this file.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="Write the snapshot to this file, as it is stored.")] = None,
) -> None:
    """Shows the rows of one snapshot, chosen by its number or by customer and time."""
    if (number is None) == (customer is None):
        raise typer.BadParameter("name a snapshot by its ID, or a customer with --customer and --at")
    if parquet is not None and (order is not None or csv is not None):
        raise typer.BadParameter("--parquet writes the whole file: leave --order and --csv out")
    entry, payload = lazy.rollback.snapshot(context.obj(), number, customer, None if at is None else _moment(at))
    if not lazy.show_archive.snapshot(entry, payload, order=order, csv=csv, file=parquet):
        raise typer.Exit(Exit.WRONG)


@archive.command()
def prune(context: typer.Context) -> None:
    """Removes the snapshots that retention does not keep; the poller does so after each snapshot."""
    lazy.show.plain(f"removed {lazy.rollback.prune(context.obj())} snapshots")


def rollback(
    context: typer.Context,
    customer: Customer,
    to: Annotated[str | None, typer.Option(help="Back to the newest snapshot at or before (ISO 8601, UTC).")] = None,
    end: Annotated[bool, typer.Option("--release", help="End the hold: the source counts from then on.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Only print what would be created, changed and removed.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Brings board and production of a customer back to a snapshot, and holds the customer there until --release."""
    if end == (to is not None) or (end and dry_run):
        raise typer.BadParameter("either --to TIME, with --dry-run first, or --release")
    if to is None:
        release(context, customer)
        return
    moment = _moment(to)
    if dry_run or not yes:
        lazy.show_archive.preview(lazy.rollback.preview(context.obj(), customer, moment))
        if dry_run:
            return
        typer.confirm("Roll back?", abort=True)
    lazy.show_archive.rolled_back(*lazy.rollback.roll_back(context.obj(), customer, moment))


def hold(context: typer.Context, customer: Customer) -> None:
    """Puts a customer on hold as it is: changes of its orders wait until it is released."""
    lazy.show_archive.on_hold(lazy.rollback.put_on_hold(context.obj(), customer))


def release(context: typer.Context, customer: Customer) -> None:
    """Ends a customer hold: the next passes detect what the source holds then."""
    lazy.show_archive.released(*lazy.rollback.release(context.obj(), customer))
