"""`verify` and `replay`: is everything accounted for, and the way back when it is not.

What they need is imported when they run: it takes longer than a worker may take to start.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer

from streams.commands import stall

INTERRUPTED = 130

Json = Annotated[bool, typer.Option("--json", help="For a program to read.")]
Within = Annotated[
    float, typer.Option("--timeout", min=1, help="Stop waiting when nothing has moved for so many seconds.")
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("verify")(verify)
    app.command("replay")(replay)


def verify(
    context: typer.Context,
    board: Annotated[bool, typer.Option(help="Read the whole board too, and compare it.")] = False,
    fix: Annotated[bool, typer.Option(help="Emit what mends it: a worker does the rest.")] = False,
    wait: Annotated[bool, typer.Option(help="With --fix: until it is mended; then look again.")] = False,
    within: Within = stall.WITHIN,
    as_json: Json = False,
) -> None:
    """Is every row of the source in sync, waiting, failed, held or excluded, and is that true? Exit 1 if not."""
    if wait and not fix:
        raise typer.BadParameter("--wait needs --fix: there is nothing to wait for")
    from streams.cli import show_reconcile
    from streams.commands import verify as verify_command

    emitted = "what was emitted stays emitted, and a worker mends it; the same command goes on" if fix else ""
    with _interruptible(emitted), show_reconcile.progress() as progress:
        result = verify_command.run(context.obj(), board=board, fix=fix, wait=wait, within=within, progress=progress)
    show_reconcile.verified(result, as_json=as_json)
    if not result.sound:
        raise typer.Exit(1)


def replay(
    context: typer.Context,
    customer: Annotated[
        list[str] | None, typer.Option(help="The customer whose orders are told again; an alias does. May be repeated.")
    ] = None,
    everyone: Annotated[bool, typer.Option("--all", help="The orders of all customers.")] = False,
    from_offset: Annotated[
        int | None, typer.Option(min=0, help="From this offset of the customer's partition.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="From this time, 2026-11-21T10:00, in UTC unless it says.")] = None,
    from_beginning: Annotated[bool, typer.Option(help="From the oldest event that is retained.")] = False,
    to_offset: Annotated[int | None, typer.Option(min=0, help="Up to this offset; without it, up to now.")] = None,
    dry_run: Annotated[bool, typer.Option(help="Only print what differs on the board, and what it costs.")] = False,
    anew: Annotated[bool, typer.Option(help="From its start, even if an earlier run of it was stopped.")] = False,
    within: Within = stall.WITHIN,
) -> None:
    """Tells orders again out of the log: what was edited or lost on the board is mended.

    Never over newer state, nor for a customer on hold. Stopped half-way, the same command goes on where it was.
    """
    if bool(customer) == everyone:
        raise typer.BadParameter("give --customer, or --all for all of them")
    if (from_offset is not None) + (since is not None) + from_beginning != 1:
        raise typer.BadParameter("give one of --from-offset, --since and --from-beginning")
    if (from_offset is not None or to_offset is not None) and len(customer or ()) != 1:
        raise typer.BadParameter("an offset is one of a single partition: it goes with one --customer")
    from streams.cli import show_reconcile
    from streams.commands import replay as replay_command
    from streams.reconcile import replay as replays

    settings = context.obj()
    try:
        customers = replay_command.customers(settings, customer or [])
    except replay_command.NoSuchCustomer as error:
        raise typer.BadParameter(str(error)) from None
    asked = replays.Asked(
        customers=customers,
        from_offset=from_offset,
        since=None if since is None else _moment(since),
        to_offset=to_offset,
    )
    told = "" if dry_run else "what was told stays told; the same command goes on with the rest"
    with _interruptible(told), show_reconcile.progress() as progress:
        if dry_run:
            found = replay_command.dry_run(settings, asked, progress, show_reconcile.aside, anew=anew)
        else:
            done = replay_command.run(settings, asked, progress, show_reconcile.aside, anew=anew, within=within)
    if dry_run:
        show_reconcile.preview(found)
        return
    show_reconcile.replayed(done)
    if done.stalled is not None:
        raise typer.Exit(1)


@contextmanager
def _interruptible(how_to_go_on: str) -> Iterator[None]:
    """Ctrl-C ends the command with a sentence, and as a shell expects it."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"stopped: {how_to_go_on}" if how_to_go_on else "stopped", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time: write 2026-11-21T10:00") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
