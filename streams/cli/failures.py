"""`errors`, `retry` and `trace`: the arguments. The work is streams/commands/failures.py and trace.py."""

import re
from datetime import timedelta
from typing import Annotated

import typer

from streams.cli import lazy
from streams.cli.exit_codes import Exit

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

Customer = Annotated[
    str | None, typer.Option(help="Only of this customer: its name or a customer alias, in upper or lower case.")
]
Type = Annotated[
    str | None, typer.Option("--type", help="Only of this type: API_ERROR, VALIDATION_ERROR, UNDECODABLE …")
]
Code = Annotated[str | None, typer.Option(help="Only with this code.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for a program.")]


def register(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.command("errors")(list_errors)
    app.command("retry")(retry)
    app.command("trace")(show_trace)


def list_errors(
    context: typer.Context,
    customer: Customer = None,
    of_type: Type = None,
    code: Code = None,
    kind: Annotated[str | None, typer.Option(help="Only ORDER or SIZE.")] = None,
    age: Annotated[str | None, typer.Option(help="Only failures at least this old: 90s, 30m, 2h, 3d.")] = None,
    warnings: Annotated[
        bool, typer.Option("--warnings", help="The warnings of orders on the board instead of the failures.")
    ] = False,
    as_json: Json = False,
    dismiss: Annotated[int | None, typer.Option(metavar="ID", help="End this failure by hand; needs --reason.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why the failure does not matter any more.")] = None,
) -> None:
    """Lists the open failures: which order, why, and what happens next or what to do. Or the warnings."""
    if dismiss is not None or reason is not None:
        if dismiss is None or not (reason or "").strip():
            raise typer.BadParameter("--dismiss ID and --reason TEXT go together")
        lazy.failures.dismiss(context.obj(), dismiss, str(reason).strip())
        lazy.show.plain(f"failure {dismiss} is dismissed")
        return
    if warnings:
        if any((of_type, code, kind, age)):
            raise typer.BadParameter("--warnings takes --customer and --json only: a warning has no type, code or age")
        lazy.show_failures.warnings(lazy.failures.warnings(context.obj(), customer), as_json=as_json)
        return
    chosen = lazy.failures.Filters(customer=customer, type=of_type, code=code, kind=_kind(kind), age=_age(age))
    lazy.show_failures.failures(lazy.failures.listed(context.obj(), chosen), as_json=as_json)


def retry(
    context: typer.Context,
    ids: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", help="As `ordersync errors` lists them.")
    ] = None,
    customer: Customer = None,
    of_type: Type = None,
    code: Code = None,
    everything: Annotated[bool, typer.Option("--all", help="All open failures.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Only print what would be done.")] = False,
) -> None:
    """Retries failures at once: after their cause was repaired, or before they are due."""
    chosen = lazy.failures.Filters(ids=tuple(ids or ()), customer=customer, type=of_type, code=code)
    if chosen.any == everything:
        raise typer.BadParameter("name failures by ID, --customer, --type or --code; or all of them by --all")
    with lazy.show_failures.progress("retrying") as progress:
        done = lazy.failures.retry(context.obj(), chosen, dry_run=dry_run, progress=progress)
    lazy.show_failures.retried(done, dry_run=dry_run)


def show_trace(
    context: typer.Context,
    order: Annotated[str, typer.Argument(help="A record_uuid, an AAG ORDER NUMBER or a PO number.")],
    as_json: Json = False,
) -> None:
    """Shows the history of one order: detected, staged, sent, settled, failed, and how it differs from its row now."""
    found = lazy.trace.find(context.obj(), order)
    if not found:
        raise typer.BadParameter(f"no order has the record_uuid, order number or PO number {order!r}")
    if len(found) > 1:
        lazy.show_failures.matches(found)
        raise typer.Exit(Exit.WRONG)
    lazy.show_failures.traced(lazy.trace.trace(context.obj(), found[0]), as_json=as_json)


def _age(text: str | None) -> timedelta | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)([smhd])", text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is no age: 90s, 30m, 2h or 3d", param_hint="--age")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def _kind(text: str | None) -> str | None:
    if text is not None and text.upper() not in ("ORDER", "SIZE"):
        raise typer.BadParameter("ORDER or SIZE", param_hint="--kind")
    return text
