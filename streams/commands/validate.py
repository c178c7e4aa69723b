"""`ordersync validate`: compares mapping, tables, board and topics, and measures push-down detection."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from connectors import errors
from connectors.database import sqlserver
from connectors.monday import api_version
from connectors.tables import orders_pushdown, staging
from mappings import checks, columns, hashing, sizes
from schemas.bindings import Creates
from streams import topics
from streams.binding import compare
from streams.commands import pushdown
from streams.detect import baseline, guard, undecided
from streams.resources import Resources, utcnow
from streams.runtime import connect
from streams.settings import Settings


@dataclass(frozen=True)
class Validation:
    """One line each: `mistakes` have to be corrected, `notes` are for information."""

    mistakes: list[str]
    notes: list[str]


def validate(settings: Settings, now: Callable[[], datetime] = utcnow) -> Validation:
    """Every disagreement between mapping, tables, board and topics. Writes nothing. A note warns of an old API version.

    Raises what SQL, Kafka and the board raise.
    """
    with connect.everything(settings) as parts:
        live = parts.orders.columns()
        staged = [(column.name, column.type) for column in parts.db.columns(staging.MASTER)]
        ids = parts.mappings.board.board
        mistakes = checks.check(
            parts.mappings,
            table_columns=live,
            staging_columns=staged,
            board_columns=_columns(parts, ids.id),
            subitem_columns=_columns(parts, ids.subitem_board_id),
        )
        mistakes += _undecided(parts, live)
        mistakes += parts.admin.compare(topics.specs(settings.topic_prefix, settings.kafka_replication))
        account, bound = _binding(parts)
        mistakes += account
        warning = api_version.support(now().date()).warning
        notes = [bound] if warning is None else [bound, warning]
        if not isinstance(parts.db, sqlserver.SqlServerDatabase):
            return Validation(mistakes, notes)
        pushdown_report = check_pushdown(parts, mistakes + parts.db.mistakes())
        return Validation(pushdown_report.mistakes, [*notes, *parts.db.notes(), *pushdown_report.notes])


def _undecided(parts: Resources, live: list[tuple[str, str]]) -> list[str]:
    """Integer columns with numbers that are no sizes yet, in one line."""
    try:
        names = undecided.find(parts.orders, live, baseline.today(live, parts.mappings), parts.mappings)
    except guard.Stop:  # A column is missing; the comparison of mapping and table names it.
        return []
    return [f"{undecided.asked(names).reason}: {undecided.ACTION}"] if names else []


def _binding(parts: Resources) -> tuple[list[str], str]:
    """The mistake if the account is not the bound one, and a note of what this home is, or would be, bound to."""
    identity = asyncio.run(connect.ask_board(parts, lambda board: board.identity()))
    stored = parts.bindings.stored()
    if stored is None:
        named = connect.new_binding(parts, identity, Creates.FREE, "")
        return [], f"not bound yet; `ordersync setup` binds it to {named.text}"
    other = compare.other_account(stored, identity)
    return [str(compare.refused(other))] if other else [], f"bound to {stored.text}"


def check_pushdown(parts: Resources, mistakes: list[str]) -> Validation:
    """These mistakes and the columns that the server cannot hash; without any mistake, the measured times."""
    source = orders_pushdown.PushdownOrders(parts.db, utcnow, hashing.RowHasher)
    live = source.columns()
    names = {name for name, _ in live}
    check = pushdown.PushdownCheck(source, parts.orders, hashing.RowHasher, time.perf_counter)
    unhashable = check.unhashable([name for name in columns.watched(parts.mappings, ()) if name in names])
    on_server = parts.settings.hashes_on_server
    if on_server:
        mistakes = mistakes + [f"{line}: change its type, or set detect_hash to client" for line in unhashable]
    if mistakes or unhashable:
        return Validation(mistakes, [] if on_server else unhashable)
    try:
        timing = check.timing(columns.watched(parts.mappings, sizes.size_columns(live, parts.mappings.board.sizes)))
    except errors.Misconfigured as error:
        return Validation([str(error)], [])
    if timing is None:
        return Validation([], ["ORDERS_UNIFIED is empty: nothing was measured"])
    return Validation([], [timing.describe(on_server=on_server, setting=parts.settings.detect_hash)])


def _columns(parts: Resources, board_id: str) -> list[tuple[str, str, str]]:
    """Id, title and type of a board's columns."""
    live = asyncio.run(connect.ask_board(parts, lambda board: board.columns(), board_id))
    return [(column.id, column.title, column.type) for column in live]
