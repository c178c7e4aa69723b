"""From admitted changes to Kafka: a batch a customer, then the events, and only then the snapshots.

The order of effects is the promise: what Kafka has not confirmed is not snapshotted, so a crash between the two emits a
change twice and loses none.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mappings.loading import Mappings
from schemas import detection, events
from streams.detect import admission
from streams.detect import events as detect_events
from streams.detect.ports import Batches

CHUNK = 500

Publish = Callable[[Sequence[events.OrderChanged]], None]


class Snapshots(Protocol):
    """The snapshots of the source (connectors.tables.orders.Orders)."""

    def move_snapshots(self, snapshots: Sequence[detection.Snapshot]) -> None: ...


@dataclass(frozen=True)
class PassOutput:
    """The events of a pass, and the snapshot that each row gets; some rows get theirs in silence."""

    events: list[events.OrderChanged]
    snapshots: dict[str, detection.Snapshot]

    @property
    def silent(self) -> list[detection.Snapshot]:
        """Snapshots that no event goes before: nothing was on the board, and nothing goes there."""
        told = {event.record_uuid for event in self.events}
        return [snapshot for uuid, snapshot in self.snapshots.items() if uuid not in told]


@dataclass(frozen=True)
class Emitter:
    """`publish` returns once Kafka has confirmed every event, in order; then the `snapshots` follow."""

    batches: Batches
    publish: Publish
    snapshots: Snapshots
    mappings: Mappings
    now: Callable[[], datetime]
    new_id: Callable[[], str]

    def announced(
        self,
        admitted: Sequence[tuple[str, admission.Candidate]],
        rows: detect_events.Rows,
        *,
        columns: Sequence[str],
        size_columns: Collection[str],
        version: int,
    ) -> PassOutput:
        """What would be emitted. `rows` are of `columns`, as they are to be."""
        changed, moved = detect_events.build_events(
            admitted,
            rows,
            columns=columns,
            size_columns=size_columns,
            version=version,
            mappings=self.mappings,
            now=self.now(),
            new_id=self.new_id,
        )
        return PassOutput(changed, moved)

    def emit(self, announced: PassOutput, *, version: int, started_by: str) -> None:
        """Produces the events, and moves the snapshots after them."""
        totals: dict[tuple[str, str], int] = {}
        for event in announced.events:
            totals[event.batch_id, event.customer] = totals.get((event.batch_id, event.customer), 0) + 1
        self.batches.open(
            [(batch, customer, total) for (batch, customer), total in totals.items()],
            version=version,
            started_by=started_by,
        )
        for start in range(0, len(announced.events), CHUNK):
            some = announced.events[start : start + CHUNK]
            self.publish(some)
            self.snapshots.move_snapshots([announced.snapshots[event.record_uuid] for event in some])
        if silent := announced.silent:
            self.snapshots.move_snapshots(silent)
        self.batches.confirm({batch for batch, _ in totals})
