"""Which staged versions are to be written: the newest of each order, the urgent ones first."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from schemas import events, items, versions
from schemas.batches import StagingStatus
from schemas.orders import StagedOrder
from schemas.versions import Version

# Of what waits at the same time, a change of today goes before the mending of yesterday.
URGENCY = {events.Cause.LIVE: 0, events.Cause.RETRY: 1, events.Cause.REPLAY: 2}
OVER = (StagingStatus.PROMOTED, StagingStatus.SUPERSEDED)


class Staging(Protocol):
    """The STG tables (connectors.tables.staging.Staging)."""

    def versions(self, record_uuids: Sequence[str]) -> dict[str, dict[int, versions.StagedVersion]]: ...
    def load(self, identities: Sequence[Version]) -> dict[Version, StagedOrder]: ...


@dataclass
class Work:
    """One order in a batch, and what became of it so far. `stale`: why it has to be planned again.

    `copies`: what the board shows of it twice, as the mutations that take it away.
    """

    event: events.OrderStaged
    order: StagedOrder
    copies: list[items.RemoveItem] = field(default_factory=list)
    mutations: int = 0
    failure: events.OrderFailed | None = None
    stale: str | None = None

    @property
    def goes_on(self) -> bool:
        """Neither failed nor to be planned again."""
        return self.failure is None and self.stale is None

    @property
    def replayed(self) -> bool:
        """Planned against the board itself, not against what it is known to hold."""
        return self.event.cause is events.Cause.REPLAY


@dataclass(frozen=True)
class Chosen:
    """`already_done` orders are on the board, with their item: only the event is missing."""

    work: list[Work] = field(default_factory=list)
    already_done: list[tuple[events.OrderStaged, str | None]] = field(default_factory=list)
    superseded: list[Version] = field(default_factory=list)


def choose(staged: Sequence[events.OrderStaged], staging: Staging) -> Chosen:
    """What is to be done about these events; an event of what is settled, or recorded as failed, is left out.

    A replay is the exception: the version that is settled is done once more, as long as no newer one is there.
    """
    latest = {Version(event.record_uuid, event.version): event for event in staged}
    known = staging.versions(sorted({uuid for uuid, _ in latest}))
    loaded = staging.load(sorted(latest))
    chosen = Chosen()
    for identity, event in sorted(latest.items(), key=lambda one: URGENCY[one[1].cause]):
        order = loaded.get(identity)
        if order is None or order.problems:
            continue
        if order.status is StagingStatus.API_SUCCESS:
            chosen.already_done.append((event, order.item_id))
        elif _is_over(order.status, event.cause):
            continue
        elif versions.is_superseded(event.version, newest_valid=versions.newest_valid(known[event.record_uuid])):
            chosen.superseded.append(identity)
        else:
            chosen.work.append(Work(event, order))
    return chosen


def _is_over(status: StagingStatus, cause: events.Cause) -> bool:
    if status is StagingStatus.API_FAILED:
        return cause is events.Cause.LIVE
    return status in OVER and cause is not events.Cause.REPLAY
