"""From admitted candidates to Kafka: one batch a customer, then the events, and only then the snapshot rows.

A snapshot row moves only after Kafka has confirmed its event, so a crash between the two emits a change twice and
loses none.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mappings import hashing
from mappings.loading import Mappings
from schemas import detection, events
from streams.detect import admission
from streams.detect import events as detect_events
from streams.detect.ports import Batches

CHUNK = 500

Publish = Callable[[Sequence[events.OrderChanged]], None]


class Snapshots(Protocol):
    """The snapshot rows (connectors.tables.orders.Orders)."""

    def move_snapshots(self, snapshots: Sequence[detection.Snapshot]) -> None:
        """Moves these snapshot rows in one transaction. Raises Transient or Misconfigured for the database."""


@dataclass(frozen=True)
class PassOutput:
    """The events of a pass, the snapshot row that each order gets, by record_uuid, and the rows that raised."""

    events: list[events.OrderChanged]
    snapshots: dict[str, detection.Snapshot]
    refusals: list[detection.Refusal]

    @property
    def silent(self) -> list[detection.Snapshot]:
        """Snapshot rows that move without an event: the board shows nothing of the order, before or after."""
        emitted = {event.record_uuid for event in self.events}
        return [snapshot for uuid, snapshot in self.snapshots.items() if uuid not in emitted]


@dataclass(frozen=True)
class Emitter:
    """`publish` returns after Kafka has confirmed every event, in order; then `snapshots` moves the snapshot rows."""

    batches: Batches
    publish: Publish
    snapshots: Snapshots
    mappings: Mappings
    now: Callable[[], datetime]
    new_id: Callable[[], str]

    def build(
        self,
        admitted: Sequence[tuple[str, admission.Candidate]],
        rows: detect_events.Rows,
        *,
        columns: Sequence[str],
        size_columns: Collection[str],
        version: int,
    ) -> PassOutput:
        """Builds the output and emits nothing. `rows` holds the target values of `columns`, as canonical text."""
        changed, snapshots, refused = detect_events.build_events(
            admitted,
            rows,
            columns=columns,
            size_columns=size_columns,
            version=version,
            mappings=self.mappings,
            row_hash_of=hashing.RowHasher(columns),
            now=self.now(),
            new_id=self.new_id,
        )
        return PassOutput(changed, snapshots, refused)

    def emit(self, output: PassOutput, *, version: int, started_by: str) -> None:
        """Opens the batches, emits the events and moves the snapshot rows after them.

        Raises what `publish` raises; the snapshot rows of events that Kafka has not confirmed stay as they are.
        """
        totals: dict[tuple[str, str], int] = {}
        for event in output.events:
            totals[event.batch_id, event.customer] = totals.get((event.batch_id, event.customer), 0) + 1
        self.batches.open(
            [(batch, customer, total) for (batch, customer), total in totals.items()],
            version=version,
            started_by=started_by,
        )
        for start in range(0, len(output.events), CHUNK):
            chunk = output.events[start : start + CHUNK]
            self.publish(chunk)
            self.snapshots.move_snapshots([output.snapshots[event.record_uuid] for event in chunk])
        if silent := output.silent:
            self.snapshots.move_snapshots(silent)
        self.batches.confirm({batch for batch, _ in totals})
