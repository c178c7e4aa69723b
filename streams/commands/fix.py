"""`verify --fix`: plans the repairs of what verify and audit found, emits them, and waits for them."""

import dataclasses
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from connectors import kafka
from connectors.tables import row_text
from connectors.tables.repairs import Settled
from mappings import columns, hashing
from schemas import events
from streams.commands import stall
from streams.delivery import consumer
from streams.detect import holds, unreadable
from streams.progress import Progress
from streams.reconcile import audit, lost_events, repair, repair_plan, verify
from streams.reconcile.findings import Kind
from streams.reconcile.repair_plan import Reason, Way
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


def _is_extra(one: repair_plan.Subject) -> bool:
    """Whether board or production has this order, and no source row explains it."""
    return any(drift.kind is audit.Kind.EXTRA for drift in one.drift) or (
        one.finding is not None and one.finding.kind in _REMOVED
    )


def _version(order: Settled | None) -> str:
    return str(order.version if order is not None else 0)


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
    # The findings that were repaired, in their words.
    _tried: dict[str, str] = field(default_factory=dict, init=False)
    _lost: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._repairer = self.parts.repairer()

    @cached_property
    def _sweep(self) -> lost_events.LostEventSweep:
        return self.parts.lost_event_sweep()

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

    def plan(self, verified: verify.TablesReport, audited: audit.BoardReport | None) -> repair_plan.RepairPlan:
        """What repairs these findings, and what is left alone. Reads the tables; emits and writes nothing.

        A repair that the API has rejected is emitted once more. What ordersync did not make is left alone; a finding
        that is the same as before its repair in this command has failed.
        """
        refused = audit.Refused.of(self.parts.failures, self.parts.repairs).repairs
        named = [one for one in verified.wrong if one.record_uuid]
        subjects = repair_plan.subjects(named, audited, refused)
        settled = self.parts.repairs.settled(sorted(subjects))
        held = self._repairer.on_hold(sorted(subjects), holds.holds(self.parts.state))
        extra = {uuid for uuid, one in subjects.items() if _is_extra(one)}
        unknown = extra - settled.keys() - self.parts.ledger.known(sorted(extra - settled.keys())).keys()
        left: list[repair_plan.LeftAlone] = []
        for uuid, one in sorted(subjects.items()):
            if reason := self._reason(uuid, one, held, unknown):
                left.append(repair_plan.LeftAlone(record_uuid=uuid, reason=reason, found=one.found))
        rest = sorted(subjects.keys() - {one.record_uuid for one in left})
        ways = self._ways([uuid for uuid in rest if uuid not in extra], subjects, settled)
        repairs: list[repair_plan.Repair] = []
        for uuid in rest:
            order, one = settled.get(uuid), subjects[uuid]
            way, content = ways[uuid] if uuid in ways else (Way.REMOVAL, _version(order))
            if way is Way.RESEND and (order is None or order.staged is None):
                left.append(repair_plan.LeftAlone(record_uuid=uuid, reason=Reason.NOTHING, found=one.found))
                continue
            repairs.append(
                repair_plan.Repair(
                    record_uuid=uuid,
                    customer=one.customer or (order.customer if order else ""),
                    way=way,
                    found=one.found,
                    content=content,
                    mutations=1 if way is Way.REMOVAL else one.mutations(self._sizes(order)),
                )
            )
        return repair_plan.RepairPlan(repairs=tuple(repairs), left=tuple(left))

    def build_events(self, plan: repair_plan.RepairPlan) -> list[events.OrderChanged]:
        """The events of these repairs; the batches of new versions are created here."""
        self.held |= plan.left_for(Reason.HELD).keys()
        self.left_alone |= plan.left_for(Reason.UNKNOWN).keys()
        self.failed |= plan.left_for(Reason.FAILED)
        self._tried |= {one.record_uuid: one.found for one in plan.repairs}
        return [
            *self._repairer.source_events(plan.of(Way.NEW)),
            *self._repairer.resend_events(plan.of(Way.RESEND)),
            *self._repairer.removal_events(dict.fromkeys(plan.of(Way.REMOVAL), "")),
        ]

    def _reason(
        self, uuid: str, one: repair_plan.Subject, held: Collection[str], unknown: Collection[str]
    ) -> Reason | None:
        """Why this order is left alone; None if it is repaired."""
        if one.finding is not None and one.finding.kind in _NOT_REPAIRED and not one.drift and not one.more:
            return Reason.PERSON
        if uuid in held:
            return Reason.HELD
        if uuid in unknown:
            return Reason.UNKNOWN
        return Reason.FAILED if self._tried.get(uuid) == one.found else None

    def _ways(
        self,
        record_uuids: Sequence[str],
        subjects: Mapping[str, repair_plan.Subject],
        settled: Mapping[str, Settled],
    ) -> dict[str, tuple[Way, str]]:
        """The way of each repair that is no removal, and its content.

        An order gets a new version from its source row. Its settled version is sent again if only the board shows it
        otherwise, unless the staged version is not what the source row converts to; and if it has no convertible source
        row, for the settled version is its last good one.
        """
        comparison = self.parts.comparison()
        expectations = comparison.expectations
        watched = columns.watched(expectations.mappings, expectations.size_columns)
        rows = self.parts.orders.rows(record_uuids, watched)
        ways: dict[str, tuple[Way, str]] = {}
        for uuid in record_uuids:
            order, finding = settled.get(uuid), subjects[uuid].finding
            resend = Way.RESEND, _version(order)
            text = rows[uuid][2] if uuid in rows else "[]"
            cells = row_text.cells(text)
            if uuid not in rows or not unreadable.is_readable(cells):
                ways[uuid] = resend
                continue
            wrong = finding is not None and finding.kind not in _NOT_REPAIRED
            staged = None if order is None else order.staged
            expected = expectations.of(uuid, dict(zip(watched, cells, strict=True)))
            resends = staged is not None and (
                expected.refused if wrong else comparison.staged_alike(expected, staged.stg_id)
            )
            ways[uuid] = resend if resends else (Way.NEW, hashing.text_hash(text))
        return ways

    def _sizes(self, order: Settled | None) -> int:
        """The number of sizes of a settled order."""
        row = order.staged.row if order is not None and order.staged is not None else {}
        return sum(bool(row.get(name)) for name in self._repairer.size_columns)

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
