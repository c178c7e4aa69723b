"""`errors`, `retry` and `trace`: what did not arrive, why, and the way back."""

import re
from datetime import timedelta
from typing import Annotated

import typer

from streams.cli import show, show_failures
from streams.commands import failures as failures_command
from streams.commands import trace

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

Customer = Annotated[str | None, typer.Option(help="Only of this customer; an alias does, in any case.")]
Type = Annotated[
    str | None, typer.Option("--type", help="Only of this type: API_ERROR, VALIDATION_ERROR, UNDECODABLE …")
]
Code = Annotated[str | None, typer.Option(help="Only with this code.")]
Json = Annotated[bool, typer.Option("--json", help="For a program to read.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("errors")(list_errors)
    app.command("retry")(retry)
    app.command("trace")(show_trace)


def list_errors(
    context: typer.Context,
    customer: Customer = None,
    of_type: Type = None,
    code: Code = None,
    kind: Annotated[str | None, typer.Option(help="Only ORDER or SIZE.")] = None,
    age: Annotated[str | None, typer.Option(help="Only what is at least so old: 90s, 30m, 2h, 3d.")] = None,
    as_json: Json = False,
    dismiss: Annotated[int | None, typer.Option(metavar="ID", help="End this failure by hand; needs --reason.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why nobody has to wait for it.")] = None,
) -> None:
    """What did not arrive: which, why, and what happens next or has to be done."""
    if dismiss is not None or reason is not None:
        if dismiss is None or not (reason or "").strip():
            raise typer.BadParameter("--dismiss ID and --reason TEXT go together")
        failures_command.dismiss(context.obj(), dismiss, str(reason).strip())
        show.plain(f"failure {dismiss} is dismissed")
        return
    chosen = failures_command.Filters(customer=customer, type=of_type, code=code, kind=_kind(kind), age=_age(age))
    show_failures.failures(failures_command.listed(context.obj(), chosen), as_json=as_json)


def retry(
    context: typer.Context,
    ids: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", help="As `ordersync errors` lists them.")
    ] = None,
    customer: Customer = None,
    of_type: Type = None,
    code: Code = None,
    everything: Annotated[bool, typer.Option("--all", help="All that wait.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Only say what would be done.")] = False,
) -> None:
    """Tries failures again at once: after their cause was mended, or before their time has come."""
    chosen = failures_command.Filters(ids=tuple(ids or ()), customer=customer, type=of_type, code=code)
    if chosen.any == everything:
        raise typer.BadParameter("name failures by ID, --customer, --type or --code; or all of them by --all")
    with show_failures.progress("trying again") as progress:
        done = failures_command.again(context.obj(), chosen, dry_run=dry_run, progress=progress)
    show_failures.retried(done, dry_run=dry_run)


def show_trace(
    context: typer.Context,
    order: Annotated[str, typer.Argument(help="A record_uuid, an AAG ORDER NUMBER or a PO number.")],
    as_json: Json = False,
) -> None:
    """The life of one order: detected, staged, written, settled, failed, and how it differs from its row now."""
    found = trace.find(context.obj(), order)
    if not found:
        raise typer.BadParameter(f"no order has the record_uuid, order number or PO number {order!r}")
    if len(found) > 1:
        show_failures.matches(found)
        raise typer.Exit(1)
    show_failures.traced(trace.trace(context.obj(), found[0]), as_json=as_json)


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
