"""Rounds of repairs, as `verify --fix` makes them: what the looks have found is emitted, and waited for."""

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
from streams.resources import Resources, new_id, utcnow
from streams.runtime import passes

SWEEP_WITHIN = 10.0
LOOK = 0.5

_TOLD_AGAIN = {verify.Kind.NOT_IN_PRODUCTION, verify.Kind.STILL_IN_PRODUCTION, verify.Kind.PRODUCTION_EDITED}


def waits(
    parts: Resources, emitter: repair.Repairer, within: float, told: Callable[[int], None]
) -> stall.StallDetector:
    """Waits for what this repairer emitted, as long as the worker gets on."""
    return stall.StallDetector(emitter.waiting, parts.orders.unsettled_mutations, within, told)


@dataclass
class FixLoop:
    """The repairs of one command. `within`: seconds without any progress after which it waits no more.

    `held` orders are left alone, because their customer is on hold; `stalled` says why it waits no more.
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

    def lost(self) -> int:
        """Orders whose events are lost are detected again, at once."""
        found, until = 0, time.monotonic() + SWEEP_WITHIN
        tables = self._sweep.tables
        while not found and tables.waiting(tables.newest()) and time.monotonic() < until:
            try:
                found = self._sweep.advance()
            except kafka.TopicMissing:
                self.parts.ensure_topics()
            if not found:
                time.sleep(LOOK)
        if found:
            self._detect()
        self._lost = found
        return found

    def repairs(self, verified: verify.TablesReport, audited: audit.BoardReport | None) -> list[events.OrderChanged]:
        """The events that mend what was found; rows that were never settled are given back to detection.

        A repair that the API has refused is tried again, once.
        """
        kinds = {one.record_uuid: one.kind for one in verified.wrong}
        drift = audited.drift if audited else ()
        never = {uuid for uuid, kind in kinds.items() if kind is verify.Kind.NEVER_SENT}
        again = {uuid for uuid, kind in kinds.items() if kind in _TOLD_AGAIN}
        again |= {one.record_uuid for one in drift if one.kind is not audit.Kind.EXTRA}
        refused = audit.Refused.of(self.parts.failures, self.parts.repairs).repairs - self._tried
        self._tried |= refused
        extra = {one.record_uuid for one in drift if one.kind is audit.Kind.EXTRA}
        held = self._repairer.on_hold(sorted(never | again | refused | extra), holds.holds(self.parts.state))
        self.held |= held
        told = self._repairer.again(sorted((again | refused) - held))
        unknown = again - held - {event.record_uuid for event in told}
        if never - held or unknown:
            self.parts.repairs.detect_again(sorted((never - held) | unknown))
            self._detect()
        return told + self._repairer.leaving(dict.fromkeys(sorted(extra - held), ""))

    def emit(self, changed: Sequence[events.OrderChanged], *, wait: bool) -> int:
        """How many were emitted: all of them, if there is time to wait for room and the worker makes some."""
        publish, done = self._publisher(), 0

        def told(some: Sequence[events.OrderChanged]) -> None:
            nonlocal done
            publish(some)
            done += len(some)
            self.report("repairing", done, len(changed))

        emitted = self._repairer.emit(changed, told, self._patience() if wait else None)
        if wait and emitted < len(changed):
            self._give_up()
        return emitted

    def told_before(self) -> bool:
        """Is a repair on its way that another command has emitted?"""
        return bool(self.parts.repairs.on_their_way_again())

    def settle(self) -> None:
        """Until no repair is on its way, whoever emitted it. What gets lost meanwhile is looked for."""
        wait = self._patience()
        unsettled = self.parts.orders.unsettled_mutations
        while self._repairer.waiting() or self.told_before() or (self._lost and unsettled()):
            if self._sweep.advance():
                self._detect()
            if not wait():
                return self._give_up()
        return None

    def _patience(self) -> stall.StallDetector:
        def told(waiting: int) -> None:
            self.report("waiting for the board", waiting, None)

        return waits(self.parts, self._repairer, self.within, told)

    def _give_up(self) -> None:
        self.stalled = stall.stall_reason(self.parts.state, utcnow(), self.within)

    def _publisher(self) -> repair.Publish:
        replay_id = f"verify-{new_id()[:8]}"

        def publish(changed: Sequence[events.OrderChanged]) -> None:
            messages = consumer.outgoing(changed, self.parts.settings.topic_prefix)
            named = [dataclasses.replace(message, headers={"replay-id": replay_id}) for message in messages]
            self.parts.producer.send_all(named)

        return publish

    def _detect(self) -> None:
        """What was given back to detection leaves at once; the guard may hold it, and `status` says so."""
        passes.one_pass(self.parts, self.parts.detector(passes.publisher(self.parts)))
