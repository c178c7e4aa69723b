"""The command line. Exit codes: 0 done, 1 something is wrong and was said, 2 wrong usage, 3 the guard holds."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from connectors import errors
from schemas import detection
from schemas.mappings import MappingError
from streams import settings
from streams.cli import archive as cli_archive
from streams.cli import failures as cli_failures
from streams.cli import reconcile as cli_reconcile
from streams.cli import show
from streams.commands import detect as commands_detect
from streams.commands import service as commands
from streams.commands import setup as commands_setup
from streams.commands import validate as validating
from streams.runtime import poller

HELD = 3

app = typer.Typer(
    name="ordersync",
    help="Keeps a Monday.com board equal to the order table ORDERS_UNIFIED: every change, in order, exactly once.\n\n"
    "Begin with `ordersync demo`, which needs nothing prepared. For tables of your own: `setup`, then `validate`, "
    "then `run`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

Customer = Annotated[str | None, typer.Option(help="Only this customer; an alias does, in any case.")]


@app.callback()
def common(
    context: typer.Context,
    home: Annotated[Path | None, typer.Option(help="Folder of the embedded database, broker and board.")] = None,
    database: Annotated[str | None, typer.Option(help="SQLite file of the tables, or a SQL Server.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False,
) -> None:
    """Options of every command; more settings in README, "Settings"."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    # What Faust and its parts do at every start and stop helps nobody; their trouble does.
    for name in ("faust", "mode", "aiokafka"):
        logging.getLogger(name).setLevel(logging.WARNING)
    context.obj = lambda **more: settings.load(home=home, database=database, **more)


@app.command()
def setup(
    context: typer.Context,
    sample_orders: Annotated[int, typer.Option(help="Fill an empty ORDERS_UNIFIED with so many sample orders.")] = 0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same sample orders.")] = 1,
    print_sql: Annotated[bool, typer.Option(help="Only print the T-SQL script, for a DBA to read and run.")] = False,
    print_grants: Annotated[bool, typer.Option(help="Only print the T-SQL script of the rights it needs.")] = False,
    grant: Annotated[bool, typer.Option("--grant", help="Also give them to the role of that script.")] = False,
) -> None:
    """Makes what is missing: tables, topics, the key column of the board. Running it again changes nothing."""
    if print_sql or print_grants:
        asked = [(print_sql, commands_setup.tsql_script), (print_grants, commands_setup.grants_script)]
        show.plain("\n".join(script() for wanted, script in asked if wanted))
        return
    show.lines(commands_setup.setup(context.obj(), sample_orders=sample_orders, seed=seed, grant=grant))


@app.command()
def validate(context: typer.Context) -> None:
    """Checks settings, mapping, tables, board and topics against each other. Writes nothing; names every mistake.

    On SQL Server it also times both ways to compare, on a sample.
    """
    found = validating.validate(context.obj())
    show.lines(found.notes)
    show.mistakes(found.mistakes)
    if found.mistakes:
        raise typer.Exit(1)


@app.command()
def detect(
    context: typer.Context,
    customer: Customer = None,
    po_number: Annotated[str | None, typer.Option(help="Only this PO number.")] = None,
    aag_season: Annotated[str | None, typer.Option(help="Only this AAG season.")] = None,
    customer_season: Annotated[str | None, typer.Option(help="Only this customer season.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many orders.")] = None,
    accept: Annotated[bool, typer.Option(help="Let one pass through that the guard stopped, after a look.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Only print what the board would be told, and what it costs.")] = False,
    every: Annotated[float | None, typer.Option(min=0.1, help="Go on, with a pause of so many seconds.")] = None,
    compare: Annotated[
        str | None,
        typer.Option(
            "--hash", metavar="server|client", help="Who compares; default: SQL Server if it holds the tables."
        ),
    ] = None,
    oracle: Annotated[
        int | None, typer.Option(min=1, help="Only try on so many rows that the server sees all.")
    ] = None,
) -> None:
    """Compares ORDERS_UNIFIED with its snapshot once and emits what changed; with --every, it is the poller."""
    given = context.obj(detect_hash=compare)
    chosen = detection.Filters(
        customer=customer, po_number=po_number, aag_season=aag_season, customer_season=customer_season, limit=limit
    )
    if oracle is not None:
        if chosen.any or accept or dry_run or every is not None:
            raise typer.BadParameter("--oracle looks at rows of the whole table: leave the other options out")
        verdict = commands_detect.trial(given, oracle)
        show.tried(verdict)
        if verdict.wrong:
            raise typer.Exit(1)
        return
    if every is not None:
        if chosen.any or accept or dry_run:
            raise typer.BadParameter("--every looks at the whole table: leave the other options out")
        poller.poll(given, every)
        return
    if dry_run:
        show.planned(commands_detect.dry_run(given, chosen if chosen.any else None))
        return
    report = commands_detect.detect(given, chosen if chosen.any else None, accept=accept)
    show.detected(report)
    if report.held is not None:
        raise typer.Exit(HELD)


@app.command()
def work(context: typer.Context) -> None:
    """The worker: stages, syncs, settles and retries until it is stopped. `run` starts it for you."""
    commands.work(context.obj())


@app.command()
def run(context: typer.Context) -> None:
    """Runs poller and worker, and starts them again whenever they end. This is the always-on service."""
    commands.run(context.obj())


@app.command()
def status(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="For a program to read.")] = False
) -> None:
    """Where every order stands, by customer; the last pass, open batches, failures, the API's budget."""
    show.status(commands.status(context.obj()), as_json=as_json)


@app.command()
def board(
    context: typer.Context,
    search: Annotated[str | None, typer.Argument(help="Part of a group's or an item's name.")] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Run the bundled board until it is stopped.")] = False,
) -> None:
    """The board as people see it: its groups, and with a name the items and sizes that carry it."""
    if serve:
        commands.serve_board(context.obj())
        return
    show.board(commands.board(context.obj()), search)


@app.command()
def demo(
    context: typer.Context,
    orders: Annotated[int, typer.Option(min=69, help="Sample orders; GREYSON PO 4755 is always among them.")] = 300,
    seed: Annotated[int, typer.Option(help="The same seed makes the same orders and changes.")] = 1,
    minute: Annotated[float, typer.Option(min=0.5, help="Length of the board's minute, in seconds.")] = 3.0,
    keep: Annotated[bool, typer.Option(help="Leave everything running for a look.")] = False,
) -> None:
    """The whole job on this machine, from nothing to a proof: a real Kafka, real workers, a board of its own."""
    from streams.cli import demo as cli_demo

    if not cli_demo.run(context.obj(), orders=orders, seed=seed, minute=minute, keep=keep):
        raise typer.Exit(1)


cli_failures.register(app)
cli_archive.register(app)
cli_reconcile.register(app)


def main() -> None:
    """Entry point: trouble that has a name is one message, never a traceback."""
    try:
        app()
    except MappingError as error:
        raise SystemExit(f"ordersync: {error}") from None
    except errors.OrdersyncError as error:
        raise SystemExit(f"ordersync: {error}") from None
