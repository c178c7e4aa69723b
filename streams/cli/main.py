"""The program `ordersync`. Its exit codes are in exit_codes.py."""

import functools
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from connectors import errors
from schemas import detection
from schemas.mappings import MappingError
from streams import settings
from streams.cli import adopt as cli_adopt
from streams.cli import archive as cli_archive
from streams.cli import exit_codes, lazy
from streams.cli import failures as cli_failures
from streams.cli import plans as cli_plans
from streams.cli import reconcile as cli_reconcile

app = typer.Typer(
    name="ordersync",
    help="Keeps a Monday.com board equal to the order table ORDERS_UNIFIED: every change, in order, exactly once.\n\n"
    "Begin with `ordersync demo`, which needs no preparation. For your own tables: `setup`, then `validate`, "
    "then `run`.",
    epilog=exit_codes.HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

Customer = Annotated[
    str | None, typer.Option(help="Only this customer: its name or a customer alias, in upper or lower case.")
]


@app.callback()
def common(
    context: typer.Context,
    home: Annotated[Path | None, typer.Option(help="Folder of the embedded database, broker and board.")] = None,
    database: Annotated[str | None, typer.Option(help="SQLite file of the tables, or a SQL Server.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print log lines of level INFO too.")] = False,
) -> None:
    """Reads the options of all commands. The other settings are in docs/operations.md."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    # Faust logs a dozen lines at every start and stop; only its warnings help an operator.
    for name in ("faust", "mode", "aiokafka"):
        logging.getLogger(name).setLevel(logging.WARNING)
    context.obj = functools.partial(settings.load, home=home, database=database)


@app.command()
def setup(
    context: typer.Context,
    sample_orders: Annotated[int, typer.Option(help="Write so many sample orders to an empty ORDERS_UNIFIED.")] = 0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same sample orders.")] = 1,
    print_sql: Annotated[bool, typer.Option(help="Only print the T-SQL script of the tables, for a DBA.")] = False,
    print_grants: Annotated[bool, typer.Option(help="Only print the T-SQL script of the rights it needs.")] = False,
    grant: Annotated[bool, typer.Option("--grant", help="Also grant these rights to the role of that script.")] = False,
    rebind: Annotated[
        bool, typer.Option("--rebind", help="Bind this home to what the settings name now, and forget another board.")
    ] = False,
) -> None:
    """Creates what is missing: tables, topics, the key column of the board; binds the home to database and board.

    A second run changes nothing.
    """
    if print_sql or print_grants:
        scripts = [(print_sql, lazy.setup.tsql_script), (print_grants, lazy.setup.grants_script)]
        lazy.show.plain("\n".join(script() for wanted, script in scripts if wanted))
        return
    lazy.show.lines(lazy.setup.setup(context.obj(), sample_orders=sample_orders, seed=seed, grant=grant, rebind=rebind))


@app.command()
def validate(context: typer.Context) -> None:
    """Checks settings, mapping, tables, board and topics against each other. Writes nothing; names every mistake.

    On SQL Server it also measures, on a sample, whether the server or the client compares faster.
    """
    validation = lazy.validate.validate(context.obj())
    lazy.show.lines(validation.notes)
    lazy.show.mistakes(validation.mistakes)
    if validation.mistakes:
        raise typer.Exit(exit_codes.Exit.WRONG)


@app.command()
def detect(
    context: typer.Context,
    customer: Customer = None,
    po_number: Annotated[str | None, typer.Option(help="Only this PO number.")] = None,
    aag_season: Annotated[str | None, typer.Option(help="Only this AAG season.")] = None,
    customer_season: Annotated[str | None, typer.Option(help="Only this customer season.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this number of orders.")] = None,
    accept: Annotated[
        bool, typer.Option(help="Accept what the guard holds, after a question; `accept PLAN` asks none.")
    ] = False,
    dry_run: Annotated[bool, typer.Option(help="Only print the mutations that would be sent, and their cost.")] = False,
    every: Annotated[
        float | None, typer.Option(min=0.1, help="Run passes, so many seconds apart, until stopped.")
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(
            "--hash", metavar="server|client", help="Which side compares; default: SQL Server if it has the tables."
        ),
    ] = None,
    oracle: Annotated[
        int | None, typer.Option(min=1, help="Only check on so many rows that the server finds all changes.")
    ] = None,
) -> None:
    """Compares ORDERS_UNIFIED with its snapshot rows once and emits the changes; with --every, it is the poller."""
    given = context.obj(detect_hash=compare)
    chosen = detection.Filters(
        customer=customer, po_number=po_number, aag_season=aag_season, customer_season=customer_season, limit=limit
    )
    if oracle is not None:
        if chosen.any or accept or dry_run or every is not None:
            raise typer.BadParameter("--oracle reads rows of the whole table: leave the other options out")
        verdict = lazy.detect.trial(given, oracle)
        lazy.show.trial(verdict)
        if verdict.wrong:
            raise typer.Exit(exit_codes.Exit.WRONG)
        return
    if every is not None:
        if chosen.any or accept or dry_run:
            raise typer.BadParameter("--every reads the whole table: leave the other options out")
        lazy.poller.poll(given, every)
        return
    if dry_run:
        lazy.show.planned(lazy.detect.dry_run(given, chosen if chosen.any else None))
        return
    if accept:
        if chosen.any:
            raise typer.BadParameter("--accept looks at the whole table: leave the filters out")
        cli_plans.accept_held(context)
        return
    report = lazy.detect.detect(given, chosen if chosen.any else None)
    lazy.show.detected(report)
    if report.held is not None:
        raise typer.Exit(exit_codes.Exit.PERSON)


@app.command()
def work(context: typer.Context) -> None:
    """Runs a worker, which stages, syncs, settles and retries until it is stopped. `run` starts it for you."""
    lazy.service.work(context.obj())


@app.command()
def run(context: typer.Context) -> None:
    """Runs poller and worker, and restarts them whenever they end. This is the always-on service."""
    lazy.service.run(context.obj())


@app.command()
def status(
    context: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Only print what is wrong with the service, one line each; see exit codes.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for a program.")] = False,
) -> None:
    """Shows the state of all orders, by customer; the last pass, open batches, failures, the API calls of the day.

    With --check, exit codes: 0 well, 1 failures wait, 3 something asks for an operator, 5 a part is down. The highest
    one counts.
    """
    if check:
        found = lazy.status.check(context.obj)
        lazy.show.diagnosis(found, as_json=as_json)
        raise typer.Exit(exit_codes.OF_SEVERITY[found.gravest])
    lazy.show.status(lazy.status.status(context.obj()), as_json=as_json)


@app.command()
def board(
    context: typer.Context,
    search: Annotated[str | None, typer.Argument(help="Part of a group's or an item's name.")] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Run the bundled board until it is stopped.")] = False,
) -> None:
    """Shows the board: its groups, or the items and sizes whose name contains the given text."""
    if serve:
        lazy.service.serve_board(context.obj())
        return
    lazy.show.board(lazy.service.board(context.obj()), search)


@app.command()
def demo(
    context: typer.Context,
    orders: Annotated[int, typer.Option(min=69, help="Sample orders; GREYSON PO 4755 is always among them.")] = 300,
    seed: Annotated[int, typer.Option(help="The same seed gives the same orders and changes.")] = 1,
    minute: Annotated[float, typer.Option(min=0.5, help="Length of the board's minute, in seconds.")] = 3.0,
    keep: Annotated[bool, typer.Option(help="Leave everything running at the end.")] = False,
) -> None:
    """Runs everything on this machine, from empty tables to a proof: a real Kafka, real workers, the bundled board.

    It uses a home folder of its own and SQLite, whatever the environment and ordersync.yaml say; only the option
    `--database` of ordersync may name a SQL Server.
    """
    base, ignored = settings.alone(**context.obj.keywords)
    if ignored:
        lazy.show.plain(f"a demo uses only what it brings along, so it ignores: {', '.join(ignored)}")
    if not lazy.demo.run(base, orders=orders, seed=seed, minute=minute, keep=keep):
        raise typer.Exit(exit_codes.Exit.WRONG)


cli_adopt.register(app)
cli_failures.register(app)
cli_plans.register(app)
cli_archive.register(app)
cli_reconcile.register(app)


def main() -> None:
    """Runs the command of the arguments. An error of ordersync is one message on stderr, never a traceback."""
    try:
        app()
    except MappingError as error:
        raise SystemExit(f"ordersync: {error}") from None
    except errors.OrdersyncError as error:
        raise SystemExit(f"ordersync: {error}") from None
