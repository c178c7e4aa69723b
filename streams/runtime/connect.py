"""The start of every command and process: the connectors, the binding, the broker's topics, one read of the board."""

import asyncio
import contextlib
import getpass
import logging
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from connectors import errors
from connectors.monday import board as boards
from connectors.monday import board_values
from connectors.tables import identities
from schemas.bindings import Binding, Creates
from streams.binding import compare
from streams.delivery import health
from streams.diagnosis import heartbeat
from streams.resources import Resources, new_id, utcnow
from streams.runtime import embedded
from streams.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds between two attempts to reach a broker that does not answer.
ASK_EVERY = 1.0
# The number of ledger items that are looked for on the board before a home with a ledger is bound: one call.
SAMPLE = 100


@contextmanager
def everything(settings: Settings, *, check: bool = True) -> Iterator[Resources]:
    """The connectors, with the broker and the board that the settings name, or the embedded ones.

    Raises Misconfigured for a broken mapping, for a database, board or API that is not the bound one (unless `check` is
    False), or when an embedded server cannot start.
    """
    with database(settings, check=False) as parts:
        # Both before anything starts; the mapping first.
        log.debug("the mapping of board %s is sound", parts.mappings.board.board.id)
        if check:
            check_binding(parts, asks_api=True)
        with embedded.endpoints(settings, parts.limits) as ends:
            parts.bootstrap, parts.monday_url = ends.bootstrap, ends.monday_url
            yield parts


@contextmanager
def database(settings: Settings, *, check: bool = True) -> Iterator[Resources]:
    """The connectors of commands that need SQL only: no broker, no board. Raises Misconfigured as `everything` does.

    Such a command may run where neither token nor address of the API are set: then the API is not compared. A home of
    an earlier version is respelled (connectors.tables.identities).
    """
    parts = Resources(settings)
    if settings.server is None and settings.database_path.exists():
        respelled = identities.respell(parts.db)
        if respelled:
            log.warning("%d orders have their record_uuid in capitals now, as every order has", respelled)
    try:
        if check:
            check_binding(parts, asks_api=False)
        yield parts
    finally:
        parts.close()


def place(parts: Resources, *, asks_api: bool) -> compare.Place:
    """What the settings and the mapping name. Raises Misconfigured."""
    settings = parts.settings
    return compare.Place(
        database=settings.database_name,
        api=settings.api_host if asks_api or settings.names_api else "",
        board_id=parts.mappings.board.board.id,
    )


def check_binding(parts: Resources, *, asks_api: bool) -> Binding | None:
    """The binding of the database; None without one. Asks no API.

    Raises Misconfigured when home, database, board or API are not those that were bound, and what SQL raises.
    """
    stored = parts.bindings.stored() if parts.has_database else None
    if found := compare.differences(parts.bindings.of_home(), stored, place(parts, asks_api=asks_api)):
        raise compare.refused(found)
    return stored


def check_account(parts: Resources, identity: board_values.BoardIdentity) -> Binding | None:
    """The same as `check_binding`, once the API has said what the token belongs to."""
    stored = check_binding(parts, asks_api=True)
    if stored is not None and (other := compare.other_account(stored, identity)):
        raise compare.refused(other)
    return stored


async def bind(parts: Resources, board: boards.Board, identity: board_values.BoardIdentity) -> tuple[Binding, bool]:
    """The binding, and whether it is new: an unbound home is bound to what the API says, if nothing contradicts.

    The board has its key column. Raises Misconfigured when the account is another one than was bound, or when the
    ledger is that of another board; and what the board and SQL raise.
    """
    stored = await asyncio.to_thread(check_account, parts, identity)
    if stored is not None:
        await asyncio.to_thread(parts.bindings.note_in_home, stored)
        return stored, False
    ours = await asyncio.to_thread(parts.ledger.active_items, SAMPLE)
    if ours and not await _are_on(board, ours):
        raise compare.refused(
            [f"the board of its ledger, and none of {len(ours)} items of it is on board {board.board_id}"]
        )
    creates = Creates.FREE if ours else await creates_of(board, identity, parts.mappings.board.key.id)
    binding = new_binding(parts, identity, creates, new_id())
    return await asyncio.to_thread(parts.bindings.add, binding), True


async def creates_of(board: boards.Board, identity: board_values.BoardIdentity, key_column: str) -> Creates:
    """What an empty ledger lets the writer create on this board. Raises what the board raises."""
    if identity.items == 0:
        return Creates.FREE
    return Creates.HELD if await board.has_items_without(key_column) else Creates.LOOK


def new_binding(parts: Resources, identity: board_values.BoardIdentity, creates: Creates, database_id: str) -> Binding:
    """A binding of today to what the settings and the API name. Raises Misconfigured."""
    here = place(parts, asks_api=True)
    return Binding(
        **here.model_dump(),
        **identity.model_dump(exclude={"board_id"}),
        database_id=database_id,
        creates=creates,
        bound_at=utcnow(),
    )


async def _are_on(board: boards.Board, ours: Sequence[tuple[str, str]]) -> bool:
    """Whether any of these items of the ledger, by board and item id, is on this board."""
    ids = [item_id for board_id, item_id in ours if board_id == board.board_id]
    places = await board.places(ids) if ids else {}
    return any(found.board_id == board.board_id for found in places.values())


async def ask_board(parts: Resources, ask: Callable[[boards.Board], Awaitable[T]], board_id: str | None = None) -> T:
    """The result of `ask` on the configured board, or on the board of this id. Raises what the client raises."""
    async with parts.board_client() as client:
        return await ask(boards.Board(client, board_id or parts.mappings.board.board.id))


async def read_items(board: boards.Board) -> list[board_values.BoardItem]:
    """Every active item with its subitems. Raises what the client raises."""
    return [item async for page in board.items() for item in page]


def wait_for_topics(ensure: Callable[[], object], state: health.Health, stopped: Callable[[float], bool]) -> bool:
    """Creates missing topics. Blocks until the broker answers; returns False if `stopped` returned True before.

    `stopped` waits the given seconds and returns whether to stop. The process waits here because a restart would only
    wait once more. Raises Misconfigured when the broker refuses login or rights.
    """
    with contextlib.ExitStack() as waiting:
        while True:
            try:
                ensure()
                return True
            except errors.Transient as error:
                if heartbeat.BROKER not in state.holding:
                    log.warning("%s: waiting for it", error)
                    waiting.enter_context(state.hold_in_trouble(heartbeat.BROKER, str(error)))
            if stopped(ASK_EVERY):
                return False


def operator() -> str:
    """The name of the user who runs this process, or the number of a user without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # A container may run under a user id without a name.
        return f"user {os.getuid()}"
