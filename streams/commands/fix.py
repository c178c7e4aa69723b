"""`verify --fix`: emits the repairs of what verify and audit found, and waits for them."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from connectors import kafka
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

_REEMITTED = {Kind.NOT_IN_PRODUCTION, Kind.STILL_IN_PRODUCTION, Kind.PRODUCTION_EDITED}


def stall_detector(
    parts: Resources, repairer: repair.Repairer, within: float, report: Callable[[int], None]
) -> stall.StallDetector:
    """Waits for what this repairer emitted, as long as the worker makes progress."""
    return stall.StallDetector(repairer.waiting, parts.orders.unsettled_mutations, within, report)


@dataclass
class FixLoop:
    """The repairs of one command. `within`: seconds without any progress after which the command stops waiting.

    `held`: orders that it leaves alone because their customer is on hold. `stalled`: why it stopped waiting, if it did.
    """

    parts: Resources
    report: Progress
    within: float
    held: set[str] = field(default_factory=set)
    stalled: str | None = None
    _tried: set[str] = field(default_factory=set, init=False)

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
        """The events that repair these findings. Detects rows again that were never settled.

        A repair that the API has rejected is emitted once more, but only once in a command.
        """
        kinds = {one.record_uuid: one.kind for one in verified.wrong}
        drift = audited.drift if audited else ()
        never_settled = {uuid for uuid, kind in kinds.items() if kind is Kind.NEVER_SENT}
        reemitted = {uuid for uuid, kind in kinds.items() if kind in _REEMITTED}
        reemitted |= {one.record_uuid for one in drift if one.kind is not audit.Kind.EXTRA}
        reemitted |= {group.record_uuid for group in audited.groups} if audited else set()
        refused = audit.Refused.of(self.parts.failures, self.parts.repairs).repairs - self._tried
        self._tried |= refused
        extra = {one.record_uuid for one in drift if one.kind is audit.Kind.EXTRA}
        concerned = sorted(never_settled | reemitted | refused | extra)
        held = self._repairer.on_hold(concerned, holds.holds(self.parts.state))
        self.held |= held
        changed = self._repairer.resend_events(sorted((reemitted | refused) - held))
        unknown = reemitted - held - {event.record_uuid for event in changed}
        if never_settled - held or unknown:
            self.parts.repairs.detect_again(sorted((never_settled - held) | unknown))
            self._detect()
        return changed + self._repairer.removal_events(dict.fromkeys(sorted(extra - held), ""))

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
