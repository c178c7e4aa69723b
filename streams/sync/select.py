"""Which staged versions sync writes: the newest valid one of each order, the most urgent first."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from schemas import events, items, versions
from schemas.batches import StagingStatus
from schemas.orders import StagedOrder
from schemas.versions import Version

# Of events that wait at the same time, a change in the source goes before a retry, a retry before an order that the
# mapping changed, and that before a repair.
URGENCY = {events.Cause.LIVE: 0, events.Cause.RETRY: 1, events.Cause.REMAP: 2, events.Cause.REPLAY: 3}
OVER = (StagingStatus.PROMOTED, StagingStatus.SUPERSEDED)


class Staging(Protocol):
    """The STG tables (connectors.tables.staging.Staging). Raises Transient or Misconfigured."""

    def versions(self, record_uuids: Sequence[str]) -> dict[str, dict[int, versions.StagedVersion]]:
        """All staged versions of each order, by number."""

    def load(self, identities: Sequence[Version]) -> dict[Version, StagedOrder]:
        """The staged orders; a version that is not staged is absent."""


@dataclass
class Work:
    """One order of a batch of events and its results so far. `stale`: the reason to plan it once more.

    `in_doubt`: one of its mutations got no answer, so that the order waits. `no_room`: it waits because the board is
    full, or has items of which nothing is known. `copies`: the mutations that remove items and
    subitems that the board shows twice.
    """

    event: events.OrderStaged
    order: StagedOrder
    copies: list[items.RemoveItem] = field(default_factory=list)
    mutations: int = 0
    failure: events.OrderFailed | None = None
    stale: str | None = None
    in_doubt: bool = False
    no_room: bool = False

    @property
    def version(self) -> Version:
        """The version that it writes."""
        return Version(self.event.record_uuid, self.event.version)

    @property
    def goes_on(self) -> bool:
        """Neither failed, nor waiting, nor to be planned once more."""
        return self.failure is None and self.stale is None and not self.waits

    @property
    def waits(self) -> bool:
        """It is parked at the end of this batch of events."""
        return self.in_doubt or (self.no_room and self.failure is None)

    @property
    def replayed(self) -> bool:
        """Sync plans it against the board itself, not against the ledger."""
        return self.event.cause is events.Cause.REPLAY


@dataclass(frozen=True)
class Chosen:
    """`work` is to be written. `already_done` orders are on the board, with their item: only the event is missing."""

    work: list[Work] = field(default_factory=list)
    already_done: list[tuple[events.OrderStaged, str | None]] = field(default_factory=list)
    superseded: list[Version] = field(default_factory=list)


def choose(staged: Sequence[events.OrderStaged], staging: Staging) -> Chosen:
    """Sorts these events by the state of their version. Leaves out settled versions and failures without a retry.

    A replay writes the settled version once more, as long as no newer version exists. Raises what `staging` raises.
    """
    latest = {Version(event.record_uuid, event.version): event for event in staged}
    known = staging.versions(sorted({uuid for uuid, _ in latest}))
    loaded = staging.load(sorted(latest))
    chosen = Chosen()
    for version, event in sorted(latest.items(), key=lambda pair: URGENCY[pair[1].cause]):
        order = loaded.get(version)
        if order is None or order.problems:
            continue
        if order.status is StagingStatus.API_SUCCESS:
            chosen.already_done.append((event, order.item_id))
        elif _is_over(order.status, event.cause):
            continue
        elif versions.is_superseded(event.version, newest_valid=versions.newest_valid(known[event.record_uuid])):
            chosen.superseded.append(version)
        else:
            chosen.work.append(Work(event, order))
    return chosen


def _is_over(status: StagingStatus, cause: events.Cause) -> bool:
    if status is StagingStatus.API_FAILED:
        return cause is events.Cause.LIVE
    return status in OVER and cause is not events.Cause.REPLAY
