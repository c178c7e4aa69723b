"""The result of each mutation of a request, and the ledger entries that follow from it."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connectors import errors
from connectors.monday import error_table, responses
from connectors.tables.journal import Request
from mappings import plan
from schemas import items
from streams.sync import lookup
from streams.sync import ports as writer_ports

log = logging.getLogger(__name__)

# The key of a ledger entry: record_uuid and "" for an item, record_uuid and size for a subitem.
Place = tuple[str, str]
NOT_FOUND = "resourcenotfound"
OF_OUTLINE = ("columnvalue", "invalidcolumnid")


@dataclass(frozen=True)
class Stale:
    """The ledger changed after the order was planned: plan it once more."""

    reason: str


@dataclass(frozen=True)
class InDoubt:
    """The API may have carried it out, or may do so yet: nothing about its order may be sent meanwhile."""

    reason: str


@dataclass(frozen=True)
class NoRoom:
    """The board is full: the create did not take place, and its order waits for room."""

    reason: str


Result = items.Done | items.Refused | Stale | InDoubt | NoRoom


@dataclass
class Outcome:
    """`results`: None for a mutation that did not take place and has to be sent once more, after `wait` seconds.

    `entities` and `groups` are for the ledger, each entity with the version that it carries out. `stop`: the error with
    which the API stops the account or the board.
    """

    results: list[Result | None] = field(default_factory=list)
    entities: dict[Place, tuple[items.Entity, int]] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0
    stop: errors.OrdersyncError | None = None

    def changed(self) -> list[tuple[items.Entity, int]]:
        """The entities for the ledger. Inactive items are last, because the ledger retires their sizes with them."""
        return sorted(self.entities.values(), key=lambda pair: not pair[0].active)


@dataclass
class OutcomeResolver:
    """Finds the outcome of one request."""

    ledger: writer_ports.Ledger
    board_lookup: lookup.BoardLookup
    board_id: str
    subitem_board_id: str

    async def resolve(
        self,
        request: Request,
        verdicts: Sequence[responses.Verdict],
        found: Mapping[int, lookup.Adopted],
        *,
        answered: bool,
    ) -> Outcome:
        """The outcome, from the API's verdicts and from the creates that a lookup `found` on the board.

        `answered`: the API answered the request, although it may have left out some aliases. Raises what the ledger and
        the board raise.
        """
        mutations = request.mutations
        uuids = sorted({_place(mutation)[0] for mutation in mutations} - {""})
        known = await asyncio.to_thread(self.ledger.known, uuids)
        entities = {
            (entity.record_uuid, entity.size_label): entity
            for item, sizes in known.values()
            for entity in ([item] if item else []) + sizes
        }
        removed = await self._removed_targets(mutations, verdicts, entities)
        outcome = Outcome()
        for at, (mutation, verdict) in enumerate(zip(mutations, verdicts, strict=True)):
            result: Result | None = None
            entity: items.Entity | None = None
            if isinstance(verdict, responses.Throttled):
                outcome.wait = max(outcome.wait, verdict.wait)
            elif isinstance(verdict, responses.Stopped):
                outcome.stop = verdict.error()
            elif at in removed:
                result, entity = self._gone(mutation, removed[at], entities)
            elif isinstance(verdict, items.Refused):
                result = _refusal(verdict)
            elif at in found:
                done, entity = found[at]
                result = done if entity is None else Stale(f"{done.id} was found on the board")
            elif isinstance(verdict, items.Unknown):
                result = Stale(verdict.reason) if answered else None
                entity = _unsure(mutation, entities)
            else:
                result = verdict
                if not isinstance(mutation, items.GroupMutation):
                    entity = plan.apply(entities.get(_place(mutation)), mutation, verdict, board_id=self.board_id)
            if entity is not None:
                place = (entity.record_uuid, entity.size_label)
                entities[place] = entity
                outcome.entities[place] = (entity, request.versions[entity.record_uuid])
            if isinstance(mutation, items.CreateGroup) and isinstance(result, items.Done):
                outcome.groups[mutation.group_name] = result.id
            outcome.results.append(result)
        return outcome

    async def _removed_targets(
        self,
        mutations: Sequence[items.Mutation],
        verdicts: Sequence[responses.Verdict],
        entities: Mapping[Place, items.Entity],
    ) -> dict[int, str]:
        """The mutations whose target a user removed or moved to another board: its id, or the name of its group.

        The API may refuse a write to an item of another board, or carry it out there: then its answer names that board.
        """
        doubted = {
            at: mutation
            for at, (mutation, verdict) in enumerate(zip(mutations, verdicts, strict=True))
            if self._may_be_gone(mutation, verdict)
        }
        targets = {at: _targets(mutation, entities) for at, mutation in doubted.items()}
        present = await self.board_lookup.present({each for ids in targets.values() for each in ids})
        removed: dict[int, str] = {}
        for at, mutation in doubted.items():
            if gone := _first_gone(mutation, targets[at], present):
                removed[at] = gone
        grouped = {
            at: mutation.group_name
            for at, mutation in doubted.items()
            if at not in removed and isinstance(mutation, items.CreateItem | items.MoveItem) and _missed(verdicts[at])
        }
        if grouped:
            before, now = await asyncio.to_thread(self.ledger.groups), await self.board_lookup.groups()
            await asyncio.to_thread(self.ledger.remember_groups, now)
            removed |= {at: f"group {name}" for at, name in grouped.items() if now.get(name) != before.get(name)}
        return removed

    def _gone(
        self, mutation: items.Mutation, removed: str, entities: Mapping[Place, items.Entity]
    ) -> tuple[Result, items.Entity | None]:
        """Marks an item or subitem that a user removed as inactive, so that the next plan creates it once more."""
        if removed not in _targets(mutation, entities):
            return Stale(f"{removed} is not on the board any more"), None
        uuid, size = _place(mutation)
        is_item = isinstance(mutation, items.CreateSubitem) or removed != lookup.target(mutation)
        known = entities.get((uuid, "" if is_item else size))
        ours = known is not None and (mutation.kind != "remove_item" or known.item_id == mutation.item_id)
        entity = known.model_copy(update={"active": False}) if known is not None and ours else None
        if isinstance(mutation, items.RemoveItem):
            return items.Done(id=mutation.item_id), entity
        log.warning("%s of order %s is not on the board any more: sync creates it once more", removed, uuid)
        return Stale(f"{removed} is not on the board any more"), entity

    def _may_be_gone(self, mutation: items.Mutation, verdict: responses.Verdict) -> bool:
        """Whether this verdict may mean that the target is not on our board any more."""
        if isinstance(verdict, items.Refused):
            return _missed(verdict) or error_table.is_about_columns(verdict.code)
        if not isinstance(verdict, items.Done) or verdict.board_id is None:
            return False
        if isinstance(mutation, items.UpdateItem | items.MoveItem):
            return verdict.board_id != self.board_id
        if isinstance(mutation, items.CreateSubitem | items.UpdateSubitem):
            return verdict.board_id != self.subitem_board_id
        return False


def _missed(verdict: responses.Verdict) -> bool:
    return isinstance(verdict, items.Refused) and is_missing(verdict)


def _targets(mutation: items.Mutation, entities: Mapping[Place, items.Entity]) -> tuple[str, ...]:
    """The ids that this mutation needs on our boards, the item first: a moved item takes its subitems along."""
    target = lookup.target(mutation)
    item = entities.get((_place(mutation)[0], "")) if isinstance(mutation, items.UpdateSubitem) else None
    parent = item.item_id if item is not None and item.active else ""
    return tuple(each for each in (parent, target) if each)


def _first_gone(mutation: items.Mutation, targets: Sequence[str], present: lookup.Present) -> str:
    """The first of its targets that is not where it belongs; "" if all are there."""
    for each in targets:
        if isinstance(mutation, items.RemoveItem):
            there = each in present.items | present.subitems
        elif isinstance(mutation, items.UpdateSubitem) and each == mutation.item_id:
            there = each in present.subitems
        else:
            there = each in present.items
        if not there:
            return each
    return ""


def adopted(request: Request, found: Mapping[int, lookup.Adopted]) -> Outcome:
    """The effects on the ledger of the creates that the board shows, by their position in the request."""
    shown = Outcome()
    for at, (done, entity) in found.items():
        mutation = request.mutations[at]
        if isinstance(mutation, items.CreateGroup):
            shown.groups[mutation.group_name] = done.id
        elif entity is not None:
            shown.entities[_place(mutation)] = (entity, request.versions[entity.record_uuid])
    return shown


def is_missing(verdict: items.Refused) -> bool:
    """True if the API does not find an item, subitem or group that the mutation names."""
    # The API's error formats spell the code differently.
    return verdict.code.casefold().replace("_", "").startswith(NOT_FOUND)


def is_of_outline(verdict: items.Refused) -> bool:
    """True if the API refuses a value or column that the outline of the board may explain: a user may have changed it.

    A missing group needs no such check: OutcomeResolver reads the groups.
    """
    return verdict.code.casefold().replace("_", "").startswith(OF_OUTLINE)


def refused(rejected: errors.Rejected) -> items.Refused | NoRoom:
    """The rejection of a request with one mutation, as the result of that mutation."""
    return _refusal(
        items.Refused(
            code=rejected.code,
            message=str(rejected),
            http_status=rejected.http_status,
            request_id=rejected.request_id,
        )
    )


def without_room(
    error: error_table.ApiError, mutations: Sequence[items.Mutation], results: Sequence[Result | None]
) -> list[Result | None]:
    """The results of a request that was refused as a whole with this error, after a lookup.

    If the board is full, a create that the lookup did not find waits for room. The API refused only a create, so the
    other mutations are sent once more.
    """
    full = error_table.is_full(error.code)
    return [
        NoRoom(error.message) if full and result is None and is_create(mutation) else result
        for mutation, result in zip(mutations, results, strict=True)
    ]


def is_create(mutation: items.Mutation) -> bool:
    """Whether the mutation needs room on the board."""
    return isinstance(mutation, items.CreateItem | items.CreateSubitem)


def _refusal(verdict: items.Refused) -> items.Refused | NoRoom:
    return NoRoom(verdict.message) if error_table.is_full(verdict.code) else verdict


def _unsure(mutation: items.Mutation, entities: Mapping[Place, items.Entity]) -> items.Entity | None:
    known = entities.get(_place(mutation))
    if known is None or isinstance(mutation, lookup.Visible):
        return None
    return lookup.unsure(known, mutation)


def _place(mutation: items.Mutation) -> Place:
    if isinstance(mutation, items.GroupMutation):
        return "", ""
    return mutation.record_uuid, getattr(mutation, "size_label", "")
