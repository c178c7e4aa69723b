"""`verify` and `replay`: the arguments. The work is streams/commands/verify.py and replay.py."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer

from streams.cli import lazy
from streams.cli.exit_codes import Exit
from streams.commands import stall

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for a program.")]
Within = Annotated[
    float, typer.Option("--timeout", min=1, help="Stop waiting when nothing has moved for so many seconds.")
]


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.command("verify")(verify)
    app.command("replay")(replay)


def verify(
    context: typer.Context,
    board: Annotated[bool, typer.Option(help="Read what changed on the board too, and compare it.")] = False,
    full: Annotated[bool, typer.Option(help="With --board: read the whole board.")] = False,
    fix: Annotated[bool, typer.Option(help="Emit the repairs: a worker carries them out.")] = False,
    wait: Annotated[bool, typer.Option(help="With --fix: wait for the repairs, then verify once more.")] = False,
    dry_run: Annotated[bool, typer.Option(help="With --fix: only print the repairs, and what they cost.")] = False,
    apply: Annotated[
        str | None, typer.Option(metavar="PLAN", help="With --fix: only if the repairs are still those of this plan.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for `ordersync actions`.")] = "",
    within: Within = stall.WITHIN,
    as_json: Json = False,
) -> None:
    """Checks that every source row is in sync, waiting, failed, held or excluded, and that it is true; else exit 1."""
    if wait and not fix:
        raise typer.BadParameter("--wait needs --fix: there is nothing to wait for")
    if (dry_run or apply) and not fix:
        raise typer.BadParameter("--dry-run and --apply need --fix: without it nothing is repaired")
    if dry_run and (wait or apply):
        raise typer.BadParameter("--dry-run emits nothing: leave --wait and --apply out")
    if full and not board:
        raise typer.BadParameter("--full needs --board: it says how much of the board is read")
    emits = fix and not dry_run
    emitted = "emitted repairs stay emitted, and a worker carries them out; the same command continues" if emits else ""
    settings = context.obj()
    with _interruptible(emitted), lazy.show_reconcile.progress() as progress:
        if dry_run:
            result = lazy.verify.dry_run(settings, board=board, full=full, progress=progress)
        else:
            result = lazy.verify.run(
                settings,
                board=board,
                full=full,
                fix=fix,
                wait=wait,
                within=within,
                progress=progress,
                plan_id=apply,
                reason=reason,
            )
    lazy.show_reconcile.verified(result, as_json=as_json)
    if not result.sound:
        raise typer.Exit(Exit.WRONG)


def replay(
    context: typer.Context,
    customer: Annotated[
        list[str] | None,
        typer.Option(help="The customer whose orders are re-emitted, or a customer alias. May be repeated."),
    ] = None,
    everyone: Annotated[bool, typer.Option("--all", help="The orders of all customers.")] = False,
    from_offset: Annotated[
        int | None, typer.Option(min=0, help="From this offset of the customer's partition.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="From this time: 2026-11-21T10:00, UTC without an offset.")] = None,
    from_beginning: Annotated[bool, typer.Option(help="From the oldest event that is retained.")] = False,
    to_offset: Annotated[int | None, typer.Option(min=0, help="Up to this offset; without it, up to now.")] = None,
    dry_run: Annotated[bool, typer.Option(help="Only print what differs on the board, and what it costs.")] = False,
    apply: Annotated[
        str | None, typer.Option(metavar="PLAN", help="Only if it still re-emits the orders of this plan of --dry-run.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for `ordersync actions`.")] = "",
    anew: Annotated[bool, typer.Option(help="From its start, even if an earlier run of it was stopped.")] = False,
    within: Within = stall.WITHIN,
) -> None:
    """Re-emits orders out of the log, which repairs what was edited or lost on the board.

    Never over newer state, nor for a customer on hold. After a stop, the same command continues with the rest.
    """
    if bool(customer) == everyone:
        raise typer.BadParameter("give --customer, or --all for all of them")
    if (from_offset is not None) + (since is not None) + from_beginning != 1:
        raise typer.BadParameter("give one of --from-offset, --since and --from-beginning")
    if (from_offset is not None or to_offset is not None) and len(customer or ()) != 1:
        raise typer.BadParameter("an offset is one of a single partition: it goes with one --customer")
    settings = context.obj()
    try:
        customers = lazy.replay.customers(settings, customer or [])
    except lazy.replay.NoSuchCustomer as error:
        raise typer.BadParameter(str(error)) from None
    asked = lazy.replay.request(
        customers,
        from_offset=from_offset,
        since=None if since is None else _moment(since),
        to_offset=to_offset,
    )
    note = "" if dry_run else "re-emitted orders stay re-emitted; the same command continues with the rest"
    with _interruptible(note), lazy.show_reconcile.progress() as progress:
        if dry_run:
            preview = lazy.replay.dry_run(settings, asked, progress, lazy.show_reconcile.aside, anew=anew)
        else:
            done = lazy.replay.run(
                settings,
                asked,
                progress,
                lazy.show_reconcile.aside,
                anew=anew,
                within=within,
                plan_id=apply,
                reason=reason,
            )
    if dry_run:
        lazy.show_reconcile.preview(preview)
        return
    lazy.show_reconcile.replayed(done)
    if done.stalled is not None:
        raise typer.Exit(Exit.WRONG)


@contextmanager
def _interruptible(note: str) -> Iterator[None]:
    """Ctrl-C prints one line with this note and ends the command with the exit code that a shell expects."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"stopped: {note}" if note else "stopped", err=True)
        raise typer.Exit(Exit.INTERRUPTED) from None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time: write 2026-11-21T10:00") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
