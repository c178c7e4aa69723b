"""`verify` and `replay`: is everything accounted for, and the way back when it is not.

What they need is imported when they run: it takes longer than a worker may take to start.
"""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="For a program to read.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("verify")(verify)


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
