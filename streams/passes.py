"""Detection passes as commands: one, a dry one, or one after the other for as long as the poller lives."""

import asyncio
import logging
import random
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from connectors import errors, kafka, locks
from connectors.tables import orders_pushdown
from mappings import columns, hashing, sizes
from schemas import detection, events
from streams import boardview, broker, commands, delivery, health, oracle, plans, reporting, topics
from streams.detect import Detector
from streams.emission import Publish
from streams.resources import Resources, utcnow
from streams.settings import Settings
from streams.sweep import Sweep

if TYPE_CHECKING:
    from streams import archiving

log = logging.getLogger(__name__)

POLLER = "poller"
# Seconds between two looks for what was lost with the log.
SWEEP_EVERY = 2.0


def detect(settings: Settings, chosen: detection.Filters | None, *, accept: bool) -> detection.PassReport:
    """One pass."""
    with commands.opened(settings) as parts:
        parts.ensure_topics()
        report = one_pass(parts, parts.detector(publisher(parts)), chosen, accept=accept)
        _between(parts).archive(lambda: True)
        return report


def one_pass(
    parts: Resources, detector: Detector, chosen: detection.Filters | None = None, *, accept: bool = False
) -> detection.PassReport:
    """One pass at a time on this machine: two at once would emit every change twice, harmlessly but in vain."""
    with alone(parts):
        return detector.run(chosen, accept=accept)


@contextmanager
def alone(parts: Resources) -> Iterator[None]:
    """While no pass runs on this machine."""
    lock = locks.FileLock(parts.settings.home / "locks" / "detect")
    lock.acquire(wait=True)
    try:
        yield
    finally:
        lock.release()


def _between(parts: Resources) -> "archiving.Between":
    # Here, not above: the worker loads this file too, and has no use for Parquet.
    from streams import archiving

    return archiving.Between(parts, publisher(parts), lambda: alone(parts))


def dry_run(settings: Settings, chosen: detection.Filters | None) -> list[plans.Planned]:
    """What one pass would tell the board, order by order. Nothing is emitted, staged or sent."""
    with commands.opened(settings) as parts:
        return planned(parts, parts.detector(publisher(parts)).preview(chosen))


def planned(parts: Resources, changed: Sequence[events.OrderChanged]) -> list[plans.Planned]:
    """What the board would be told of these events, against what it is known to hold."""
    stager, known_groups = parts.stager(), parts.ledger.groups()
    known = parts.ledger.known([event.record_uuid for event in changed])
    labels = asyncio.run(commands.with_board(parts, lambda board: boardview.read_labels(board, parts.mappings)))
    planner = plans.Planner(parts.mappings, labels)
    found: list[plans.Planned] = []
    for event in changed:
        order, staged = stager.order(event), events.OrderStaged(**event.identity)
        if order.problems:
            found.append(plans.Planned(event=staged, problems=order.problems))
            continue
        held = known.get(event.record_uuid, plans.NOTHING)
        found.append(planner.whole(staged, order, held, known_groups))
        known_groups |= {m.group_name: "" for m in found[-1].mutations if m.kind == "create_group"}
    return found


def trial(settings: Settings, rows: int) -> oracle.Verdict:
    """Whether the server's compare sees what one here sees, on a sample of rows. Raises Misconfigured without one."""
    if settings.server is None:
        raise errors.Misconfigured("there is no server whose compare could be tried: the tables are in a SQLite file")
    with commands.database_only(settings) as parts:
        source = orders_pushdown.PushdownOrders(parts.db, utcnow, hashing.row_hash)
        size_columns = sizes.size_columns(source.columns(), parts.mappings.board.sizes)
        watched = columns.watched(parts.mappings, size_columns)
        return oracle.Oracle(source, watched, hashing.row_hash, random.Random()).look(rows)


def poll(settings: Settings, every: float) -> None:
    """Passes with a pause between them, until SIGTERM or SIGINT. What it cannot get over ends the process."""
    stop = threading.Event()

    def told(*_: object) -> None:
        if not stop.is_set():
            stop.set()
            delivery.end_within()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    with commands.opened(settings) as parts:
        state = health.Health()
        reporter = reporting.Reporter(
            parts.state, state, parts.noise, name=POLLER, bootstrap=parts.bootstrap, role=POLLER, now=utcnow
        )
        threading.Thread(target=_report, args=(reporter, stop), name="report", daemon=True).start()
        if broker.wait_for_topics(parts.ensure_topics, state, stop.wait):
            _passes(parts, every, stop)


def _passes(parts: Resources, every: float, stop: threading.Event) -> None:
    detector, sweep, between = parts.detector(publisher(parts)), parts.sweep(), _between(parts)
    held: str | None = None
    while not stop.is_set():
        try:
            report = one_pass(parts, detector)
            if report.held is not None and report.held != held:
                log.error("the guard holds: %s", report.held)
            held = report.held
            between.go_on()
            # What was deferred is let in as soon as the window has room again.
            _pause(parts, sweep, between, min(every, 1.0) if report.deferred else every, stop)
        except errors.OrdersyncError as error:
            delivery.end_process(delivery.EXIT_AGAIN, f"detect: {error}")


def _pause(parts: Resources, sweep: Sweep, between: "archiving.Between", seconds: float, stop: threading.Event) -> None:
    """Archives first. Returns early when orders were found whose events are lost: they are detected again."""
    until = time.monotonic() + seconds
    between.archive(lambda: not stop.is_set() and time.monotonic() < until)
    while (left := until - time.monotonic()) > 0 and not stop.wait(min(left, SWEEP_EVERY)):
        try:
            if sweep.look():
                return
        except kafka.TopicMissing as error:
            log.warning("%s: making it again", error)
            parts.ensure_topics()
        except errors.Transient as error:
            # A pass that finds nothing new needs no broker; one that does will say so.
            log.debug("sweep: %s", error)


def _report(reporter: reporting.Reporter, stop: threading.Event) -> None:
    while not stop.wait(reporting.EVERY):
        reporter.try_to_tell()


def publisher(parts: Resources) -> Publish:
    """Returns once Kafka has confirmed every event.

    Raises Transient when the topic was made anew since the first one. A broker that lost its data gives producer ids
    out a second time, and may take events under an old one for repetitions of another's: confirmed and not stored.
    """
    name = topics.named(topics.CHANGED, parts.settings.topic_prefix)
    ids: dict[str, str] = {}

    def publish(changed: Sequence[events.OrderChanged]) -> None:
        if not ids:
            ids.update(parts.admin.topic_ids([name]))
        parts.producer.send_all(delivery.outgoing(changed, parts.settings.topic_prefix))
        # After it was sent and before the snapshot moves: what is in doubt is emitted again by a process of its own.
        if parts.admin.topic_ids([name]) != ids:
            raise errors.Transient(f"{name} was deleted or made anew")

    return publish
