"""The start of every command and process: the connectors, the broker's topics, one read of the board."""

import contextlib
import getpass
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from connectors import errors
from connectors.monday import board as boards
from connectors.monday import board_values
from connectors.tables import identities
from streams.delivery import health
from streams.resources import Resources
from streams.runtime import embedded, heartbeat
from streams.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds between two attempts to reach a broker that does not answer.
ASK_EVERY = 1.0


@contextmanager
def everything(settings: Settings) -> Iterator[Resources]:
    """The connectors, with the broker and the board that the settings name, or the embedded ones.

    Raises Misconfigured for a broken mapping, or when an embedded server cannot start.
    """
    with database(settings) as parts:
        # Loading the mapping first reports a broken one before anything starts.
        log.debug("the mapping of board %s is sound", parts.mappings.board.board.id)
        with embedded.endpoints(settings, parts.limits) as ends:
            parts.bootstrap, parts.monday_url = ends.bootstrap, ends.monday_url
            yield parts


@contextmanager
def database(settings: Settings) -> Iterator[Resources]:
    """The connectors of commands that need SQL only: no broker, no board. A home of an earlier version is respelled."""
    parts = Resources(settings)
    if settings.server is None and settings.database_path.exists():
        respelled = identities.respell(parts.db)
        if respelled:
            log.warning("%d orders have their record_uuid in capitals now, as every order has", respelled)
    try:
        yield parts
    finally:
        parts.close()


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
