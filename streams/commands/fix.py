"""`verify --fix`: emits the repairs of what verify and audit found, and waits for them."""

import dataclasses
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from connectors import kafka
from mappings import columns, hashing
from schemas import events
from streams.commands import stall
from streams.delivery import consumer
from streams.detect import holds
from streams.progress import Progress
from streams.reconcile import audit, repair, verify
from streams.reconcile.findings import Kind
from streams.resources import Resources, new_id, utcnow
from streams.runtime import passes

# Seconds that the sweep for lost events may take before a repair attempt.
SWEEP_WITHIN = 10.0
# Seconds between two steps of the sweep.
SWEEP_PAUSE = 0.5

# What no event repairs: an operator must see to it.
_NOT_REPAIRED = {Kind.UNEXPLAINED, Kind.FUTURE, Kind.SUM}
# What has to leave board and production.
_REMOVED = {Kind.STILL_IN_PRODUCTION, Kind.NOT_IN_SOURCE, Kind.ITEM_NOT_IN_SOURCE}


def stall_detector(
    parts: Resources, repairer: repair.Repairer, within: float, report: Callable[[int], None]
) -> stall.StallDetector:
    """Waits for what this repairer emitted, as long as the worker makes progress."""
    return stall.StallDetector(repairer.waiting, parts.orders.unsettled_mutations, within, report)


@dataclass
class FixLoop:
    """The repairs of one command. `within`: seconds without any progress after which the command stops waiting.

    `held`: orders that it leaves alone because their customer is on hold; `left_alone`: orders that ordersync does not
    know; `failed`: findings that their repair did not change, by order. `stalled`: why it stopped waiting, if it did.
    """

    parts: Resources
    report: Progress
    within: float
    held: set[str] = field(default_factory=set)
    stalled: str | None = None
    left_alone: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    _tried: set[str] = field(default_factory=set, init=False)
    # The findings that were repaired, in their words.
    _tried_words: dict[str, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._repairer = self.parts.repairer()
        self._sweep = self.parts.lost_event_sweep()
        self._lost = 0

    def detect_lost(self) -> int:
        """Runs the lost-event sweep and a pass that detects these orders again. Returns how many orders there were."""
        lost, until = 0, time.monotonic() + SWEEP_WITHIN
        tables = self._sweep.tables
        while not lost and tables.waiting(tables.newest()) and time.monotonic() < until:
            try:
                lost = self._sweep.advance()
            except kafka.TopicMissing:
                self.parts.ensure_topics()
            if not lost:
                time.sleep(SWEEP_PAUSE)
        if lost:
            self._detect()
        self._lost = lost
        return lost

    def build_repairs(
        self, verified: verify.TablesReport, audited: audit.BoardReport | None
    ) -> list[events.OrderChanged]:
        """The events that repair these findings.

        A repair that the API has rejected is emitted once more, but only once in a command. A finding that is still the
        same after its repair is `failed`, and what ordersync did not make is `left_alone`.
        """
        wrong = {one.record_uuid: one for one in verified.wrong if one.kind not in _NOT_REPAIRED}
        drift = audited.drift if audited else ()
        words = {uuid: str(one) for uuid, one in wrong.items()}
        for one in drift:
            words[one.record_uuid] = f"{words[one.record_uuid]}; {one}" if one.record_uuid in words else str(one)
        self.failed |= {uuid: text for uuid, text in words.items() if self._tried_words.get(uuid) == text}
        extra = {one.record_uuid for one in drift if one.kind is audit.Kind.EXTRA}
        extra |= {uuid for uuid, one in wrong.items() if one.kind in _REMOVED}
        on_board = {one.record_uuid for one in drift} | {g.record_uuid for g in (audited.groups if audited else ())}
        refused = audit.Refused.of(self.parts.failures, self.parts.repairs).repairs - self._tried
        self._tried |= refused
        held = self._repairer.on_hold(sorted({*wrong, *on_board, *refused}), holds.holds(self.parts.state))
        self.held |= held
        self.left_alone |= self._not_ours(sorted(extra - held))
        skipped = held | self.failed.keys() | self.left_alone
        self._tried_words |= {uuid: text for uuid, text in words.items() if uuid not in skipped}
        new, resent = self._by_kind(sorted((wrong.keys() | on_board | refused) - extra - skipped), wrong.keys())
        return [
            *self._repairer.source_events(new),
            *self._repairer.resend_events(resent),
            *self._repairer.removal_events(dict.fromkeys(sorted(extra - skipped), "")),
        ]

    def _not_ours(self, record_uuids: Sequence[str]) -> set[str]:
        """Those of these orders that neither a snapshot row nor the ledger knows."""
        settled, known = self.parts.repairs.settled(record_uuids), self.parts.ledger.known(record_uuids)
        return {uuid for uuid in record_uuids if uuid not in settled and uuid not in known}

    def _by_kind(self, record_uuids: Sequence[str], wrong: Collection[str]) -> tuple[list[str], list[str]]:
        """The orders that get a new version from their source rows, and those whose settled version is sent again.

        The latter are those that only the board shows otherwise, unless the staged version is not what the source row
        converts to; and those that have no convertible source row, for the settled version is their last good one.
        """
        comparison, settled = self.parts.comparison(), self.parts.repairs.settled(record_uuids)
        expectations = comparison.expectations
        watched = columns.watched(expectations.mappings, expectations.size_columns)
        rows = self.parts.orders.rows(record_uuids, watched)
        new, resent = [], []
        for uuid in record_uuids:
            order = settled.get(uuid)
            staged = None if order is None else order.staged
            if uuid not in rows:
                resent.append(uuid)
                continue
            expected = expectations.of(uuid, dict(zip(watched, hashing.cells(rows[uuid][2]), strict=True)))
            if staged is not None and (
                (expected.refused and uuid in wrong)
                or (uuid not in wrong and comparison.staged_alike(expected, staged.stg_id))
            ):
                resent.append(uuid)
            else:
                new.append(uuid)
        return new, resent

    def emit(self, changed: Sequence[events.OrderChanged], *, wait: bool) -> int:
        """Emits these events within the admission window. Returns how many it emitted.

        With `wait` it emits all of them, unless the worker stalls before the window has room.
        """
        publish, done = self._publisher(), 0

        def publish_portion(portion: Sequence[events.OrderChanged]) -> None:
            nonlocal done
            publish(portion)
            done += len(portion)
            self.report("repairing", done, len(changed))

        emitted = self._repairer.emit(changed, publish_portion, self._stall_detector() if wait else None)
        if wait and emitted < len(changed):
            self._stop_waiting()
        return emitted

    def earlier_repairs(self) -> bool:
        """Whether a repair is on its way that an earlier command has emitted."""
        return bool(self.parts.repairs.on_their_way_again())

    def settle(self) -> None:
        """Waits until no repair is on its way, of this command or an earlier one. Detects lost events meanwhile."""
        wait = self._stall_detector()
        unsettled = self.parts.orders.unsettled_mutations
        while self._repairer.waiting() or self.earlier_repairs() or (self._lost and unsettled()):
            if self._sweep.advance():
                self._detect()
            if not wait():
                return self._stop_waiting()
        return None

    def _stall_detector(self) -> stall.StallDetector:
        def report(waiting: int) -> None:
            self.report("waiting for the board", waiting, None)

        return stall_detector(self.parts, self._repairer, self.within, report)

    def _stop_waiting(self) -> None:
        self.stalled = stall.stall_reason(self.parts.state, utcnow(), self.within)

    def _publisher(self) -> repair.Publish:
        replay_id = f"verify-{new_id()[:8]}"

        def publish(changed: Sequence[events.OrderChanged]) -> None:
            messages = consumer.outgoing(changed, self.parts.settings.topic_prefix)
            named = [dataclasses.replace(message, headers={"replay-id": replay_id}) for message in messages]
            self.parts.producer.send_all(named)

        return publish

    def _detect(self) -> None:
        """Runs a pass at once. The guard may stop it; `ordersync status` shows that."""
        passes.one_pass(self.parts, self.parts.detector(passes.publisher(self.parts)))
