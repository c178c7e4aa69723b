"""Which staged versions are to be written: the newest of each order, the urgent ones first."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from schemas import events, items
from schemas.batches import StagingStatus
from schemas.orders import StagedOrder

Identity = tuple[str, int]

# Of what waits at the same time, a change of today goes before the mending of yesterday.
URGENCY = {events.Cause.LIVE: 0, events.Cause.RETRY: 1, events.Cause.REPLAY: 2}
OVER = (StagingStatus.PROMOTED, StagingStatus.SUPERSEDED)


class Staging(Protocol):
    """The STG tables (connectors.tables.staging.Staging)."""

    def versions(self, record_uuids: Sequence[str]) -> dict[str, dict[int, StagingStatus]]: ...
    def load(self, identities: Sequence[Identity]) -> dict[Identity, StagedOrder]: ...


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
    """`told` is on the board already, with its item, and only has to be said; `old` was replaced by a newer version."""

    work: list[Work] = field(default_factory=list)
    told: list[tuple[events.OrderStaged, str | None]] = field(default_factory=list)
    old: list[Identity] = field(default_factory=list)


def choose(staged: Sequence[events.OrderStaged], staging: Staging) -> Chosen:
    """What is to be done about these events; an event of what is settled, or recorded as failed, is left out.

    A replay is the exception: the version that is settled is done once more, as long as no newer one is there.
    """
    latest = {(event.record_uuid, event.version): event for event in staged}
    versions = staging.versions(sorted({uuid for uuid, _ in latest}))
    failed = {
        (uuid, version)
        for uuid, known in versions.items()
        for version, status in known.items()
        if status is StagingStatus.API_FAILED
    }
    loaded = staging.load(sorted({*latest, *failed}))
    chosen = Chosen()
    for identity, event in sorted(latest.items(), key=lambda one: URGENCY[one[1].cause]):
        order = loaded.get(identity)
        if order is None or order.problems:
            continue
        if order.status is StagingStatus.API_SUCCESS:
            chosen.told.append((event, order.item_id))
        elif _is_over(order.status, event.cause):
            continue
        elif _newest(event.record_uuid, versions, loaded) > event.version:
            chosen.old.append(identity)
        else:
            chosen.work.append(Work(event, order))
    return chosen


def _is_over(status: StagingStatus, cause: events.Cause) -> bool:
    if status is StagingStatus.API_FAILED:
        return cause is events.Cause.LIVE
    return status in OVER and cause is not events.Cause.REPLAY


def _newest(
    record_uuid: str, versions: dict[str, dict[int, StagingStatus]], loaded: dict[Identity, StagedOrder]
) -> int:
    """A version that we refused never touched the board and replaces nothing; one that the API refused may have."""
    orders = {version: loaded.get((record_uuid, version)) for version in versions[record_uuid]}
    return max(version for version, order in orders.items() if order is None or not order.problems)
