"""Applying a matching: the key column of each adopted item, then its ledger rows, then the link of its production row.

It goes piece by piece. A piece is in the ledger once its keys are on the board, so a run that was stopped finds its
items again by their keys and goes on. Setting a key to the same value once more changes nothing: such a request needs
no journal, and is simply sent again when no answer came.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field

from connectors import backoff, errors
from connectors.monday import board_values, documents, responses
from connectors.monday import client as clients
from connectors.tables import chunks, lease, row_text
from mappings import columns
from mappings import items as mapped
from schemas import identity, items
from schemas.base import Cell
from streams.adopt import sizes
from streams.adopt.matching import Kind, Match
from streams.adopt.reading import World
from streams.progress import Progress
from streams.reconcile.expected import Expectations
from streams.resources import Resources, new_id
from streams.sync import cells, refresh

log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[object]]

# Adopted items that need no key are written to the ledger so many at once.
AT_ONCE = 200


@dataclass
class Written:
    """What was written: keys to the board, items and sizes to the ledger, links to production.

    `refused`: items whose key the API refused, with the reason; they are not adopted. `gone`: orders that left the
    source meanwhile. `doubles`: subitems that were left.
    """

    keys: int = 0
    items: int = 0
    sizes: int = 0
    linked: int = 0
    gone: int = 0
    calls: int = 0
    refused: dict[str, str] = field(default_factory=dict)


def needs_key(match: Match, world: World, key_column: str) -> bool:
    """Whether the item does not show the key of its order yet; another spelling of it will do."""
    return identity.same(cells.text_of(world.items[match.item_id], key_column)) != match.record_uuid


@dataclass(frozen=True)
class Entities:
    """Makes the ledger rows of adopted items."""

    parts: Resources
    expectations: Expectations
    labels: sizes.Labels
    preferred: Collection[str]

    def of(self, matches: Sequence[Match], world: World) -> dict[str, list[tuple[items.Entity, int]]]:
        """Item and sizes of each order, each with the settled version of the order; an order that left is absent.

        Raises what SQL raises.
        """
        mappings = self.parts.mappings
        watched = columns.watched(mappings, self.expectations.size_columns)
        item_ids = {match.record_uuid: match.item_id for match in matches}
        made: dict[str, list[tuple[items.Entity, int]]] = {}
        for row in self.parts.row_states.some(list(item_ids), watched):
            if row.record_uuid not in item_ids or row.copies is not None:
                continue
            uuid, item = row.record_uuid, world.items[item_ids[row.record_uuid]]
            read: list[Cell] = [cell if isinstance(cell, str | int) else None for cell in row_text.cells(row.text)]
            order = self.expectations.of(uuid, dict(zip(watched, read, strict=True))).order
            # What a refused row shall show is not known: all that the board shows is unsure.
            desired = {} if order is None else mapped.board_columns(order.values, uuid, mappings)
            desired[mappings.board.key.id] = uuid
            quantities = {} if order is None else order.sizes
            found, _ = sizes.assigned(item, self.labels, self.preferred)
            entities = [refresh.item_entity(uuid, desired, _keyed(item, mappings.board.key.id, uuid), mappings)]
            entities += [
                refresh.size_entity(uuid, size, quantities.get(size, 0), subitem, mappings)
                for size, subitem in found.items()
            ]
            # An order that no pass has read has no version.
            made[uuid] = [(entity, row.settled_version or 0) for entity in entities]
        return made


def _keyed(item: board_values.BoardItem, key_column: str, uuid: str) -> board_values.BoardItem:
    return item.model_copy(update={"columns": item.columns | {key_column: board_values.Shown(text=uuid)}})


@contextlib.asynccontextmanager
async def held(parts: Resources) -> AsyncIterator[tuple[lease.Grant, Callable[[], Awaitable[None]]]]:
    """The lease of the board, renewed until the end; with a function that raises LeaseLost once it is lost.

    Raises Misconfigured while a worker holds it.
    """
    right = parts.lease()
    grant = await asyncio.to_thread(right.acquire)
    if grant is None:
        holder = await asyncio.to_thread(parts.lease_status.holder)
        raise errors.Misconfigured(
            f"a worker writes to the board ({holder}): stop `ordersync run` first, and start it again afterwards"
        )

    async def renew() -> None:
        if not await asyncio.to_thread(right.renew, grant):
            raise lease.lost(grant)

    async def keep() -> None:
        while True:
            await asyncio.sleep(grant.seconds / 3)
            with contextlib.suppress(errors.Transient):
                await renew()

    keeper = asyncio.create_task(keep())
    try:
        yield grant, renew
    finally:
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError, errors.OrdersyncError):
            await keeper
        with contextlib.suppress(errors.OrdersyncError):
            await asyncio.to_thread(right.release, grant)


@dataclass(frozen=True)
class KeyWriter:
    """Writes keys. `renew` runs before each request leaves, and raises LeaseLost; `sleep` waits seconds."""

    client: clients.Client
    board_id: str
    key_column: str
    renew: Callable[[], Awaitable[None]]
    sleep: Sleep

    async def write(self, matches: Sequence[Match]) -> dict[str, str]:
        """Writes the key of each match, in one request. Returns the reason of each item that the API refused.

        Raises Transient when the API does not answer, LeaseLost, and AccountStop or BoardStop.
        """
        refused: dict[str, str] = {}
        left = list(matches)
        for pause in (*backoff.RESEND_PAUSES, None):
            wait = pause
            try:
                left, asked = await self._send(left, refused)
                wait = max(pause or 0.0, asked) if asked else pause
            except errors.Rejected as rejected:
                if len(left) > 1:
                    half = len(left) // 2
                    return refused | await self.write(left[:half]) | await self.write(left[half:])
                return refused | {left[0].item_id: str(rejected)}
            except (errors.OutcomeUnknown, errors.Transient) as error:
                if pause is None:
                    raise
                wait = error.wait if error.wait is not None else pause
                log.warning("keys are sent once more in %.1f s: %s", wait, error)
            if not left:
                return refused
            if wait is None:
                break
            await self.sleep(wait)
        raise errors.Transient(f"the API does not say whether it wrote the keys of {len(left)} items")

    async def _send(self, matches: Sequence[Match], refused: dict[str, str]) -> tuple[list[Match], float]:
        """Sends one request. Returns the matches to send once more, and the pause that the API asks for."""
        changes = [
            items.UpdateItem(
                record_uuid=match.record_uuid, item_id=match.item_id, columns={self.key_column: match.record_uuid}
            )
            for match in matches
        ]
        request = documents.render(changes, board_id=self.board_id, group_ids={})
        reply = await self.client.send(request.body, key=new_id(), mutations=len(changes), leave=self.renew)
        again: list[Match] = []
        wait = 0.0
        for match, verdict in zip(matches, responses.judge(reply, request.aliases), strict=True):
            match verdict:
                case items.Done():
                    pass
                case items.Refused():
                    refused[match.item_id] = f"{verdict.code}: {verdict.message}"
                case responses.Throttled():
                    again.append(match)
                    wait = max(wait, verdict.wait)
                case responses.Stopped():
                    raise verdict.error()
                case items.Unknown():
                    again.append(match)
        return again, wait


@dataclass(frozen=True)
class Applier:
    """Writes matches, piece by piece."""

    parts: Resources
    entities: Entities
    keys: KeyWriter
    grant: lease.Grant

    async def apply(self, matches: Sequence[Match], world: World, report: Progress) -> Written:
        """Writes what is not in the ledger yet. Raises what the API and SQL raise; then the next run goes on."""
        key_column = self.parts.mappings.board.key.id
        new = [match for match in matches if match.kind is not Kind.KNOWN]
        keyed = [match for match in new if not needs_key(match, world, key_column)]
        keyless = [match for match in new if needs_key(match, world, key_column)]
        written, done = Written(), 0
        parents = await asyncio.to_thread(self.parts.production.legacy_parents) if new else set()
        pieces = itertools.chain(
            ((some, False) for some in chunks.batched(keyed, AT_ONCE)),
            ((some, True) for some in chunks.batched(keyless, self.parts.settings.batch_size)),
        )
        for some, write_keys in pieces:
            await self._piece(some, world, written, parents, write_keys=write_keys)
            done += len(some)
            report("adopting items", done, len(new))
        return written

    async def _piece(
        self, some: Sequence[Match], world: World, written: Written, parents: Collection[str], *, write_keys: bool
    ) -> None:
        # Before the keys: an order that has left the source gets none.
        made = await asyncio.to_thread(self.entities.of, some, world)
        written.gone += len(some) - len(made)
        there = [match for match in some if match.record_uuid in made]
        if write_keys and there:
            refused = await self.keys.write(there)
            written.refused |= refused
            there = [match for match in there if match.item_id not in refused]
            written.keys += len(there)
        entities = [pair for match in there for pair in made[match.record_uuid]]
        # The ledger is last: what it knows is never looked at again.
        links = [(match.record_uuid, match.item_id) for match in there if match.item_id in world.legacy.single]
        if links:
            await asyncio.to_thread(self.parts.production.link, links, parents)
        if entities:
            await asyncio.to_thread(self.parts.ledger.correct, entities, self.grant)
        written.items += len(there)
        written.sizes += len(entities) - len(there)
        written.linked += len(links)
