"""`verify` and `replay`: is everything accounted for, and the way back when it is not.

What they need is imported when they run: it takes longer than a worker may take to start.
"""

from datetime import UTC, datetime
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="For a program to read.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("verify")(verify)
    app.command("replay")(replay)


def verify(
    context: typer.Context,
    board: Annotated[bool, typer.Option(help="Read the whole board too, and compare it.")] = False,
    fix: Annotated[bool, typer.Option(help="Emit what mends it: a worker does the rest.")] = False,
    wait: Annotated[bool, typer.Option(help="With --fix: until it is mended; then look again.")] = False,
    as_json: Json = False,
) -> None:
    """Is every row of the source in sync, waiting, failed, held or excluded, and is that true? Exit 1 if not."""
    if wait and not fix:
        raise typer.BadParameter("--wait needs --fix: there is nothing to wait for")
    from streams import show_repair, verifying

    with show_repair.progress() as progress:
        result = verifying.run(context.obj(), board=board, fix=fix, wait=wait, progress=progress)
    show_repair.verified(result, as_json=as_json)
    if not result.sound:
        raise typer.Exit(1)


def replay(
    context: typer.Context,
    customer: Annotated[str, typer.Option(help="The customer whose orders are told again; an alias does.")],
    from_offset: Annotated[int | None, typer.Option(min=0, help="From this offset of its partition.")] = None,
    since: Annotated[str | None, typer.Option(help="From this time, 2026-11-21T10:00, in UTC unless it says.")] = None,
    from_beginning: Annotated[bool, typer.Option(help="From the oldest event that is retained.")] = False,
    to_offset: Annotated[int | None, typer.Option(min=0, help="Up to this offset; without it, up to now.")] = None,
    dry_run: Annotated[bool, typer.Option(help="Only print what differs on the board, and what it costs.")] = False,
) -> None:
    """Tells a customer's orders again out of the log: what was edited or lost on the board is mended.

    Never over newer state. Stopped half-way, the same command goes on where it was.
    """
    if (from_offset is not None) + (since is not None) + from_beginning != 1:
        raise typer.BadParameter("give one of --from-offset, --since and --from-beginning")
    from streams import replay as replays
    from streams import replaying, show_repair

    settings = context.obj()
    asked = replays.Asked(
        customer=replaying.canonical(settings, customer),
        from_offset=from_offset,
        since=None if since is None else _moment(since),
        to_offset=to_offset,
    )
    with show_repair.progress() as progress:
        if dry_run:
            found = replaying.dry_run(settings, asked, progress)
        else:
            done = replaying.run(settings, asked, progress)
    if dry_run:
        show_repair.preview(found)
    else:
        show_repair.replayed(done)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time: write 2026-11-21T10:00") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
