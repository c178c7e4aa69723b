"""`ordersync adopt`: takes over the items of a board that is in use. Without a plan it only says what it would do."""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors import errors
from connectors.monday import board as boards
from connectors.monday import client as clients
from mappings import sizes as size_columns
from schemas import detection
from schemas.bindings import Binding, Creates
from streams.adopt import applying, decisions, matching, reading, sizes
from streams.detect import plans
from streams.progress import Progress, silent
from streams.reconcile.expected import Expectations
from streams.resources import Resources, utcnow
from streams.runtime import api_calls, connect
from streams.settings import Settings
from streams.sync import outline


@dataclass
class Report:
    """What adopt found, and what it wrote: `written` is None for a dry run.

    `keys`: items that get the key of their order, at this `cost`. `creates`: what orders without an item may do now.
    """

    plan_id: str
    world: reading.World
    found: matching.Matching
    keys: int
    doubles: list[sizes.Double]
    cost: detection.Cost
    creates: Creates
    written: applying.Written | None = None
    reads: int = 0

    @property
    def undecided(self) -> int:
        """The orders that wait for a person's decision."""
        return len(self.found.undecided)

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        world, found = self.world, self.found
        return {
            "plan": self.plan_id,
            "orders": len(world.source.rows),
            "items": len(world.items),
            "matched": {kind.value: found.counts[kind] for kind in matching.Kind},
            "undecided_orders": self.undecided,
            "ambiguous": [one._asdict() for one in found.ambiguous],
            "doubles": [one._asdict() for one in self.doubles],
            "orders_without_item": found.rows_left,
            "items_of_other_orders": len(found.spare),
            "items_left_alone": len(found.unmatched),
            "rows_excluded": world.source.excluded,
            "rows_without_identity": world.source.unusable,
            "production_rows_of_earlier_workflow": world.legacy.rows,
            "keys_to_write": self.keys,
            "cost": self.cost.model_dump(mode="json"),
            "calls_to_read": self.reads,
            "creates": self.creates.value,
            "written": None if self.written is None else vars(self.written),
        }


def run(
    settings: Settings,
    plan_id: str | None = None,
    decided: Path | None = None,
    progress: Progress = silent,
    reason: str = "",
) -> Report:
    """Matches the board with the source; with the id of a plan, adopts its matches.

    Raises Misconfigured for an unbound home, a plan that is not that of now, a decision that is impossible, and while a
    worker writes; and what SQL and the API raise. An adoption that was stopped goes on when it is run again.
    """
    chosen = matching.Decided() if decided is None else decisions.read(decided)
    with connect.everything(settings) as parts:
        return asyncio.run(_run(parts, plan_id, chosen, progress, reason))


def effect(report: Report) -> str:
    """What an adoption wrote, in one line."""
    written = report.written or applying.Written()
    text = f"{written.items} items and {written.sizes} sizes adopted, {written.keys} keys written"
    return text + (f"; {report.undecided} orders wait for a decision" if report.undecided else "")


async def _run(
    parts: Resources, plan_id: str | None, chosen: matching.Decided, progress: Progress, reason: str
) -> Report:
    used = await asyncio.to_thread(api_calls.calls_today, parts.state, parts.journal.calls_since, utcnow())
    async with parts.board_client(calls_today=used) as client:
        try:
            return await adopt(parts, client, plan_id, chosen, progress, reason)
        finally:
            api_calls.note(parts.state, client.budget.snapshot().requests, utcnow())


async def adopt(
    parts: Resources,
    client: clients.Client,
    plan_id: str | None = None,
    chosen: matching.Decided = matching.NOTHING_DECIDED,
    progress: Progress = silent,
    reason: str = "",
    *,
    sleep: applying.Sleep = asyncio.sleep,
) -> Report:
    """`run` with a client of the API. `sleep` waits seconds before keys are sent once more."""
    board = boards.Board(client, parts.mappings.board.board.id)
    binding = await asyncio.to_thread(connect.check_account, parts, await board.identity())
    if binding is None:
        raise errors.Misconfigured("this home is bound to no board yet: run `ordersync setup` first")
    async with contextlib.AsyncExitStack() as stack:
        right = None
        if plan_id is not None:
            # Before the board is read: nothing but adopt writes to it from here on.
            right = await stack.enter_async_context(applying.held(parts))
            await asyncio.to_thread(_require_certainty, parts)
        adoption = await _match(parts, client, board, binding, chosen, progress, read_only=plan_id is None)
        report = adoption.report
        if plan_id is None or right is None:
            return report
        plans.require_same(plan_id, report.plan_id)
        grant, renew = right
        keys = applying.KeyWriter(client, board.board_id, parts.mappings.board.key.id, renew, sleep)
        applier = applying.Applier(parts, adoption.entities, keys, grant)
        before = client.budget.snapshot().requests
        with parts.actions.noted(connect.operator(), "adopt", subject=f"plan {plan_id}", reason=reason) as note:
            report.written = await applier.apply(report.found.matches, report.world, progress)
            report.written.calls = client.budget.snapshot().requests - before
            report.creates = await asyncio.to_thread(_conclude, parts, binding, report)
            note.effect = effect(report)
    return report


@dataclass(frozen=True)
class _Adoption:
    report: Report
    entities: applying.Entities


async def _match(
    parts: Resources,
    client: clients.Client,
    board: boards.Board,
    binding: Binding,
    chosen: matching.Decided,
    progress: Progress,
    *,
    read_only: bool,
) -> _Adoption:
    shown = outline.Outline(board, parts.ledger, parts.mappings, read_only=read_only)
    await shown.refresh()
    used = client.budget.snapshot().calls_today
    world = await reading.read(parts, board, shown.groups, used, progress)
    # In a thread: the lease is renewed meanwhile.
    return await asyncio.to_thread(_plan, parts, world, binding, chosen)


def _plan(parts: Resources, world: reading.World, binding: Binding, chosen: matching.Decided) -> _Adoption:
    try:
        found = matching.match(
            world.source.rows, world.shown, production=world.legacy.keys, known=world.known, decided=chosen
        )
    except ValueError as error:
        raise errors.Misconfigured(f"{error}: correct the decisions, or run `ordersync adopt` for a new file") from None
    columns = size_columns.size_columns(parts.orders.columns(), parts.mappings.board.sizes)
    labels = sizes.Labels(columns, parts.mappings)
    new = [match for match in found.matches if match.kind is not matching.Kind.KNOWN]
    preferred = frozenset(chosen.adopted.values())
    doubles = [double for match in new for double in sizes.assigned(world.items[match.item_id], labels, preferred)[1]]
    keys = sum(applying.needs_key(match, world, parts.mappings.board.key.id) for match in new)
    report = Report(
        plan_id=plans.digest(f"{match.record_uuid} {match.item_id}" for match in found.matches),
        world=world,
        found=found,
        keys=keys,
        doubles=doubles,
        cost=plans.Pace(parts.per_minute, parts.settings.batch_size).cost(keys),
        creates=binding.creates,
        reads=world.calls,
    )
    expectations = Expectations(parts.mappings, columns, parts.target_lengths)
    return _Adoption(report, applying.Entities(parts, expectations, labels, preferred))


def _require_certainty(parts: Resources) -> None:
    """Refuses while a request is in doubt: an item that it creates may not show yet."""
    if waiting := len(parts.journal.unfinished()):
        raise errors.Misconfigured(
            f"{waiting} requests to the board are in doubt: let `ordersync run` settle them, then run adopt again"
        )


def _conclude(parts: Resources, binding: Binding, report: Report) -> Creates:
    """Lets creates go on, once nothing on the board is undecided. Returns what they may do now."""
    written = report.written
    if report.undecided or (written is not None and written.refused) or binding.creates is Creates.FREE:
        return binding.creates
    parts.bindings.replace(binding.model_copy(update={"creates": Creates.FREE, "adopted_at": utcnow()}))
    return Creates.FREE
