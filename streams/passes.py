"""Detection passes as commands: one, a dry one, or one after the other for as long as the poller lives."""

import asyncio
import logging
import signal
import threading
from collections.abc import Sequence

from connectors import errors, locks
from schemas import detection, events
from streams import boardview, commands, delivery, plans
from streams.detect import Detector, Publish
from streams.resources import Resources
from streams.settings import Settings

log = logging.getLogger(__name__)


def detect(settings: Settings, chosen: detection.Filters | None, *, accept: bool) -> detection.PassReport:
    """One pass."""
    with commands.opened(settings) as parts:
        parts.ensure_topics()
        return one_pass(parts, parts.detector(publisher(parts)), chosen, accept=accept)


def one_pass(
    parts: Resources, detector: Detector, chosen: detection.Filters | None = None, *, accept: bool = False
) -> detection.PassReport:
    """One pass at a time on this machine: two at once would emit every change twice, harmlessly but in vain."""
    lock = locks.FileLock(parts.settings.home / "locks" / "detect")
    lock.acquire(wait=True)
    try:
        return detector.run(chosen, accept=accept)
    finally:
        lock.release()


def dry_run(settings: Settings, chosen: detection.Filters | None) -> list[plans.Planned]:
    """What one pass would tell the board, order by order. Nothing is emitted, staged or sent."""
    with commands.opened(settings) as parts:
        stager, known_groups = parts.stager(), parts.ledger.groups()
        changed = parts.detector(publisher(parts)).preview(chosen)
        known = parts.ledger.known([event.record_uuid for event in changed])
        labels = boardview.LabelBook(asyncio.run(commands.with_board(parts, lambda board: board.columns())))
        planner = plans.Planner(parts.mappings, labels)
        planned: list[plans.Planned] = []
        for event in changed:
            order, staged = stager.order(event), events.OrderStaged(**event.identity)
            if order.problems:
                planned.append(plans.Planned(event=staged, problems=order.problems))
                continue
            held = known.get(event.record_uuid, plans.NOTHING)
            planned.append(planner.whole(staged, order, held, known_groups))
            known_groups |= {m.group_name: "" for m in planned[-1].mutations if m.kind == "create_group"}
        return planned


def poll(settings: Settings, every: float) -> None:
    """Passes with a pause between them, until SIGTERM or SIGINT. What it cannot get over ends the process."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with commands.opened(settings) as parts:
        parts.ensure_topics()
        detector = parts.detector(publisher(parts))
        held: str | None = None
        while not stop.is_set():
            try:
                report = one_pass(parts, detector)
            except errors.OrdersyncError as error:
                delivery.end_process(delivery.EXIT_AGAIN, f"detect: {error}")
                return
            if report.held is not None and report.held != held:
                log.error("the guard holds: %s", report.held)
            held = report.held
            # What was deferred is let in as soon as the window has room again.
            stop.wait(min(every, 1.0) if report.deferred else every)


def publisher(parts: Resources) -> Publish:
    """Returns once Kafka has confirmed every event."""

    def publish(changed: Sequence[events.OrderChanged]) -> None:
        parts.producer.send_all(delivery.outgoing(changed, parts.settings.topic_prefix))

    return publish
