"""What became of each mutation of a request, and what the ledger shall know after it."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connectors import errors
from connectors.monday import responses
from connectors.tables.journal import Request
from mappings import plan
from schemas import items
from streams.sync import lookup
from streams.sync import ports as writer_ports

log = logging.getLogger(__name__)

# An item is identity and "", a subitem identity and size.
Place = tuple[str, str]
NOT_FOUND = "resourcenotfound"


@dataclass(frozen=True)
class Stale:
    """The ledger knows something else now than the plan did: plan again."""

    reason: str


Result = items.Done | items.Refused | Stale


@dataclass
class Outcome:
    """`results`: None for a mutation that surely did not take place and is to be sent again, after `wait` seconds."""

    results: list[Result | None] = field(default_factory=list)
    entities: dict[Place, tuple[items.Entity, int]] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0
    stop: errors.OrdersyncError | None = None

    def changed(self) -> list[tuple[items.Entity, int]]:
        """Items that are gone come last: their sizes go with them, whatever happened to those before."""
        return sorted(self.entities.values(), key=lambda one: not one[0].active)


@dataclass
class OutcomeResolver:
    """Judges one request."""

    ledger: writer_ports.Ledger
    board_lookup: lookup.BoardLookup
    board_id: str

    async def judge(
        self,
        request: Request,
        verdicts: Sequence[responses.Verdict],
        found: Mapping[int, lookup.Adopted],
        *,
        answered: bool,
    ) -> Outcome:
        """From the API's verdicts, and from what the board shows of the creates that it did not speak of."""
        mutations = request.mutations
        uuids = sorted({_place(mutation)[0] for mutation in mutations} - {""})
        known = await asyncio.to_thread(self.ledger.known, uuids)
        held = {
            (entity.record_uuid, entity.size_label): entity
            for item, sizes in known.values()
            for entity in ([item] if item else []) + sizes
        }
        lost = await self._lost(mutations, verdicts)
        outcome = Outcome()
        for at, (mutation, verdict) in enumerate(zip(mutations, verdicts, strict=True)):
            result: Result | None = None
            entity: items.Entity | None = None
            if isinstance(verdict, responses.Throttled):
                outcome.wait = max(outcome.wait, verdict.wait)
            elif isinstance(verdict, responses.Stopped):
                outcome.stop = verdict.error()
            elif at in lost:
                result, entity = self._gone(mutation, lost[at], held)
            elif isinstance(verdict, items.Refused):
                result = verdict
            elif at in found:
                done, entity = found[at]
                result = done if entity is None else Stale(f"{done.id} was found on the board")
            elif isinstance(verdict, items.Unknown):
                result = Stale(verdict.reason) if answered else None
                entity = _doubted(mutation, held)
            else:
                result = verdict
                if not isinstance(mutation, items.CreateGroup):
                    entity = plan.apply(held.get(_place(mutation)), mutation, verdict, board_id=self.board_id)
            if entity is not None:
                place = (entity.record_uuid, entity.size_label)
                held[place] = entity
                outcome.entities[place] = (entity, request.versions[entity.record_uuid])
            if isinstance(mutation, items.CreateGroup) and isinstance(result, items.Done):
                outcome.groups[mutation.group_name] = result.id
            outcome.results.append(result)
        return outcome

    async def _lost(self, mutations: Sequence[items.Mutation], verdicts: Sequence[responses.Verdict]) -> dict[int, str]:
        """Mutations that were refused because a person took away what they are about: its id, or the group's."""
        refused = {
            at: mutations[at]
            for at, verdict in enumerate(verdicts)
            if isinstance(verdict, items.Refused) and is_missing(verdict)
        }
        targets = {at: lookup.target(mutation) for at, mutation in refused.items()}
        gone = await self.board_lookup.gone(sorted(set(targets.values()) - {""}))
        lost = {at: target for at, target in targets.items() if target in gone}
        grouped = {
            at: mutation.group_name
            for at, mutation in refused.items()
            if at not in lost and isinstance(mutation, items.CreateItem | items.MoveItem)
        }
        if grouped:
            before, now = await asyncio.to_thread(self.ledger.groups), await self.board_lookup.groups()
            await asyncio.to_thread(self.ledger.remember_groups, now)
            lost |= {at: f"group {name}" for at, name in grouped.items() if now.get(name) != before.get(name)}
        return lost

    def _gone(
        self, mutation: items.Mutation, what: str, held: Mapping[Place, items.Entity]
    ) -> tuple[Result, items.Entity | None]:
        """The board shall be equal to the table, so what a person removed is forgotten and made again."""
        if what != lookup.target(mutation):
            return Stale(f"{what} is not on the board any more"), None
        uuid, size = _place(mutation)
        known = held.get((uuid, "" if isinstance(mutation, items.CreateSubitem) else size))
        ours = known is not None and (mutation.kind != "remove_item" or known.item_id == mutation.item_id)
        entity = known.model_copy(update={"active": False}) if known is not None and ours else None
        if isinstance(mutation, items.RemoveItem):
            return items.Done(id=mutation.item_id), entity
        log.warning("%s of order %s is not on the board any more: it is made again", what, uuid)
        return Stale(f"{what} is not on the board any more"), entity


def is_missing(verdict: items.Refused) -> bool:
    """Something that the mutation names is not on the board, for all the API knows."""
    # Formats of the API spell its codes differently.
    return verdict.code.casefold().replace("_", "").startswith(NOT_FOUND)


def refused(rejected: errors.Rejected) -> items.Refused:
    """A refusal of a whole request, as that of the one mutation in it."""
    return items.Refused(
        code=rejected.code,
        message=str(rejected),
        http_status=rejected.http_status,
        request_id=rejected.request_id,
    )


def _doubted(mutation: items.Mutation, held: Mapping[Place, items.Entity]) -> items.Entity | None:
    known = held.get(_place(mutation))
    if known is None or isinstance(mutation, lookup.Create):
        return None
    return lookup.unsure(known, mutation)


def _place(mutation: items.Mutation) -> Place:
    if isinstance(mutation, items.CreateGroup):
        return "", ""
    return mutation.record_uuid, getattr(mutation, "size_label", "")
