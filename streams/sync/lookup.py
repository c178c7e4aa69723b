"""The lookup: which mutations of an unanswered request the board shows, and which ledger values are unsure after it.

A lookup finds items by the key column, subitems by parent and size, groups by name, and adopts them. A column of an
adopted item that shows the value of the create is confirmed; any other one is unsure, and the next plan sends it once
more. An update that was not confirmed leaves its columns unsure, so the next plan sends these once more.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from connectors import backoff
from connectors.monday import board_values
from schemas import items
from schemas.base import ColumnValue
from streams.sync import cells

log = logging.getLogger(__name__)

# Equals no value that a mapping can produce, so a plan always differs from it.
UNSURE: ColumnValue = {"ordersync": "unsure"}

# The mutations that leave a duplicate on the board if the API executes them twice.
Create = items.CreateItem | items.CreateSubitem | items.CreateGroup
# The mutations whose effect a lookup finds on the board.
Visible = Create | items.RenameGroup
# The result of a create that the board shows, and its entity for the ledger (None for a group).
Adopted = tuple[items.Done, items.Entity | None]
# What identifies a mutation among those that a check is asked for.
At = TypeVar("At")


class Present(NamedTuple):
    """The ids that are active on our boards: those of items on the board, those of subitems on its subitem board."""

    items: frozenset[str] = frozenset()
    subitems: frozenset[str] = frozenset()


class FoundItem(Protocol):
    """An item or subitem as the board shows it; `columns` by id, at least those that are filled."""

    @property
    def id(self) -> str:
        """Its id on the board; a later item has a larger number."""

    @property
    def board_id(self) -> str:
        """The board that it is on."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def group_title(self) -> str:
        """The title of its group."""

    @property
    def columns(self) -> Mapping[str, board_values.Shown]:
        """Its columns, by id."""


class Board(Protocol):
    """Reads of the board, each for many orders: every API call costs the same (streams.sync.board.BoardView).

    Raises Transient, AccountStop or BoardStop.
    """

    async def find(self, record_uuids: Sequence[str]) -> Mapping[str, Sequence[FoundItem]]:
        """The active items of these orders."""

    async def find_sizes(self, parent_item_ids: Sequence[str]) -> Mapping[tuple[str, str], Sequence[FoundItem]]:
        """The active subitems of these items, by parent and size label."""

    async def groups(self) -> dict[str, str]:
        """Group ids by name."""

    async def group_titles(self) -> Mapping[str, str]:
        """Group titles by id."""

    async def present(self, ids: Collection[str]) -> Present:
        """Those of these items and subitems that are active on our boards."""


@dataclass(frozen=True)
class BoardLookup:
    """Checks the board after each of `pauses` (seconds); together they outlast the lag of reads behind writes.

    `numeric`: ids of the columns that contain numbers.
    """

    board: Board
    sleep: Callable[[float], Awaitable[object]]
    numeric: Collection[str]
    pauses: Collection[float] = backoff.LOOKUP_PAUSES

    async def find(self, mutations: Mapping[int, items.Mutation]) -> dict[int, Adopted]:
        """The creates and renames among `mutations` that the board shows, by the same keys. The others did not happen.

        Only for a request that the API has answered: one that may still be in flight is for streams.sync.in_doubt.
        Raises what the board raises.
        """
        missing = {at: mutation for at, mutation in mutations.items() if isinstance(mutation, Visible)}
        found: dict[int, Adopted] = {}
        for pause in self.pauses:
            if not missing:
                break
            await self.sleep(pause)
            found |= await self.check(missing)
            missing = {at: mutation for at, mutation in missing.items() if at not in found}
        return found

    async def check(self, mutations: Mapping[At, items.Mutation]) -> dict[At, Adopted]:
        """The creates and renames among `mutations` that the board shows now. Raises what the board raises."""
        creates = [mutation for mutation in mutations.values() if isinstance(mutation, Create)]
        uuids = sorted({create.record_uuid for create in creates if isinstance(create, items.CreateItem)})
        parents = sorted({create.parent_item_id for create in creates if isinstance(create, items.CreateSubitem)})
        shown = await self.board.find(uuids) if uuids else {}
        sizes = await self.board.find_sizes(parents) if parents else {}
        found = await self._check_groups(mutations)
        for at, mutation in mutations.items():
            if isinstance(mutation, items.CreateItem):
                if candidates := shown.get(mutation.record_uuid):
                    found[at] = self._adopt(mutation, candidates)
            elif isinstance(mutation, items.CreateSubitem) and (
                candidates := sizes.get((mutation.parent_item_id, mutation.size_label))
            ):
                found[at] = self._adopt(mutation, candidates)
        if found:
            log.info("lookup: the board shows %d mutations that the API did not confirm: adopted", len(found))
        return found

    async def _check_groups(self, mutations: Mapping[At, items.Mutation]) -> dict[At, Adopted]:
        """The groups among `mutations` that were created, or have the title that a rename gives them."""
        created = {at: one for at, one in mutations.items() if isinstance(one, items.CreateGroup)}
        renamed = {at: one for at, one in mutations.items() if isinstance(one, items.RenameGroup)}
        groups = await self.board.groups() if created else {}
        titles = await self.board.group_titles() if renamed else {}
        found = {at: groups[one.group_name] for at, one in created.items() if one.group_name in groups}
        found |= {at: one.group_id for at, one in renamed.items() if titles.get(one.group_id) == one.group_name}
        return {at: (items.Done(id=group_id), None) for at, group_id in found.items()}

    def _adopt(self, create: items.CreateItem | items.CreateSubitem, candidates: Sequence[FoundItem]) -> Adopted:
        """Adopts the oldest candidate. Newer ones are copies that a user created, and only the user may remove them."""
        size = create.size_label if isinstance(create, items.CreateSubitem) else ""
        oldest, *copies = sorted(candidates, key=lambda candidate: int(candidate.id))
        if copies:
            subject = f"order {create.record_uuid}" + (f", size {size}," if size else "")
            log.error("%s is on the board %d times: %s is ours", subject, len(candidates), oldest.id)
        confirmed = {
            name: value
            for name, value in create.columns.items()
            if cells.shows(oldest.columns, name, value, self.numeric)
        }
        entity = items.Entity(
            record_uuid=create.record_uuid,
            size_label=size,
            item_id=oldest.id,
            board_id=oldest.board_id,
            name=oldest.name,
            group_name=oldest.group_title,
            columns=dict.fromkeys([*create.columns, *oldest.columns], UNSURE) | confirmed,
        )
        return items.Done(id=oldest.id, board_id=oldest.board_id), entity

    async def present(self, ids: Collection[str]) -> Present:
        """Those of these items and subitems that are active on our boards. Raises what the board raises."""
        return await self.board.present(sorted(ids)) if ids else Present()

    async def groups(self) -> dict[str, str]:
        """Group ids by name, as the board has them now. Raises what the board raises."""
        return await self.board.groups()


def unsure(known: items.Entity, mutation: items.Mutation) -> items.Entity:
    """The ledger's entity after an update or a move that the API did not confirm."""
    if isinstance(mutation, items.MoveItem):
        return known.model_copy(update={"group_name": ""})
    if isinstance(mutation, items.UpdateItem | items.UpdateSubitem):
        sent = {column: UNSURE for column in mutation.columns if column != "name"}
        name = "" if "name" in mutation.columns else known.name
        return known.model_copy(update={"columns": {**known.columns, **sent}, "name": name})
    return known


def target(mutation: items.Mutation) -> str:
    """The id of the item or subitem that this mutation needs on the board; "" if it needs none."""
    if isinstance(mutation, items.CreateSubitem):
        return mutation.parent_item_id
    return getattr(mutation, "item_id", "")
