"""The command `adopt`: the arguments. The work is streams/adopt/."""

from pathlib import Path
from typing import Annotated

import typer

from streams.cli import lazy
from streams.cli.exit_codes import Exit


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(adopt)


def adopt(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what matches; this is the default.")] = False,
    apply: Annotated[
        str | None, typer.Option(metavar="PLAN", help="Adopt the matches of this plan, which a dry run printed.")
    ] = None,
    decisions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A CSV file of --csv with your decisions: adopt or leave.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the ambiguous items to this CSV file, for decisions.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for `ordersync actions`.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for a program.")] = False,
) -> None:
    """Takes over the items of a board that is in use, so that none is created a second time.

    An item belongs to an order by its key column, by the production row of an earlier workflow, by the business key, or
    by its name. What is not certain is listed and left alone. A stopped adoption goes on when it is run again.
    """
    if dry_run and apply is not None:
        raise typer.BadParameter("--dry-run and --apply exclude each other")
    if csv is not None and csv == decisions:
        raise typer.BadParameter("--csv would overwrite the decisions: give it another file")
    settings = context.obj()
    try:
        with lazy.show_reconcile.progress() as progress:
            report = lazy.adoption.run(settings, apply, decisions, progress, reason)
    except KeyboardInterrupt:
        note = ": what was adopted stays adopted, the same command goes on" if apply else ""
        typer.echo(f"stopped{note}", err=True)
        raise typer.Exit(Exit.INTERRUPTED) from None
    if csv is not None:
        lazy.show_adopt.to_csv(csv, report)
    lazy.show_adopt.adopted(report, as_json=as_json)
    if report.written is not None and (report.undecided or report.written.refused):
        raise typer.Exit(Exit.PERSON)
