"""The poller process runs passes, and between them the archive, roll backs and the lost-event sweep."""

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Iterator

from connectors import errors, kafka
from streams.archive import wiring
from streams.delivery import exits, health
from streams.detect import plans
from streams.diagnosis import deadline, evidence, heartbeat
from streams.reconcile.lost_events import LostEventSweep
from streams.resources import Resources, utcnow
from streams.runtime import connect, passes
from streams.settings import Settings

log = logging.getLogger(__name__)

# Seconds between two moves of the lost-event sweep.
SWEEP_EVERY = 2.0
# Seconds in which a process that ends tries to note why: what ended it may be the database.
NOTE_WITHIN = 2.0
# Characters of an unknown error that are noted; the log has all of it.
MOST_CHARACTERS = 300


def poll(settings: Settings, every: float) -> None:
    """Runs passes with a pause of `every` seconds between them, until SIGTERM or SIGINT.

    Trouble that a restart may cure ends the process. Raises Misconfigured when it cannot begin.
    """
    stop = threading.Event()

    def request_stop(*_: object) -> None:
        if not stop.is_set():
            stop.set()
            exits.end_within()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, request_stop)
    with connect.everything(settings) as parts:
        state = health.Health()
        reporter = heartbeat.Reporter(
            parts.state,
            state,
            parts.noise,
            name=heartbeat.POLLER,
            bootstrap=parts.bootstrap,
            role=heartbeat.POLLER,
            every=every,
            now=utcnow,
        )
        threading.Thread(target=_report, args=(reporter, stop), name="report", daemon=True).start()
        if connect.wait_for_topics(parts.ensure_topics, state, stop.wait):
            _passes(parts, every, stop)
        reporter.stop()


def between_passes(parts: Resources) -> wiring.BetweenPasses:
    """The work between two passes: archive and roll backs."""
    return wiring.BetweenPasses(parts, passes.publisher(parts), lambda: passes.alone(parts))


def _passes(parts: Resources, every: float, stop: threading.Event) -> None:
    detector, sweep, between = parts.detector(passes.publisher(parts)), parts.lost_event_sweep(), between_passes(parts)
    held = False
    while not stop.is_set():
        try:
            parts.mapping_files.require_unchanged()
            with _noting_failure(parts):
                report = passes.one_pass(parts, detector)
            # Once a stop: the text counts the changes of now, so it may differ from pass to pass.
            if report.held is not None and not held:
                log.error("the guard stopped detection: %s. %s", report.held, plans.way_out(report.plan))
            held = report.held is not None
            between.go_on()
            # A short pause, so that deferred changes are admitted soon after the admission window has room.
            _pause(parts, sweep, between, min(every, 1.0) if report.deferred else every, stop)
        except errors.OrdersyncError as error:
            exits.end_process(exits.EXIT_AGAIN, f"detect: {error}")


@contextlib.contextmanager
def _noting_failure(parts: Resources) -> Iterator[None]:
    """Notes the error of a pass in SQL, so that every page names it while this process starts again; erases the note of
    the pass before when a pass succeeds.
    """
    try:
        yield
    except Exception as error:
        known = isinstance(error, errors.OrdersyncError)
        reason = " ".join(str(error).split())[:MOST_CHARACTERS]
        failed = evidence.FailedPass(
            at=utcnow(), reason=reason if known else f"{type(error).__name__}: {reason}", known=known
        )
        note = deadline.Question(lambda: parts.state.set(evidence.FAILED_PASS, failed.model_dump(mode="json")))
        with contextlib.suppress(errors.OrdersyncError, TimeoutError):
            note.answer(NOTE_WITHIN)
        raise
    if parts.state.get(evidence.FAILED_PASS) is not None:
        parts.state.erase_all([evidence.FAILED_PASS])


def _pause(
    parts: Resources, sweep: LostEventSweep, between: wiring.BetweenPasses, seconds: float, stop: threading.Event
) -> None:
    """Archives, then sweeps. Returns early when the sweep found lost events: the next pass detects their orders."""
    deadline = time.monotonic() + seconds
    between.archive(lambda: not stop.is_set() and time.monotonic() < deadline)
    while (left := deadline - time.monotonic()) > 0 and not stop.wait(min(left, SWEEP_EVERY)):
        try:
            if sweep.advance():
                return
        except kafka.TopicMissing as error:
            log.warning("%s: creating it again", error)
            parts.ensure_topics()
        except errors.Transient as error:
            # A pass without changes needs no broker; a pass with changes reports this trouble itself.
            log.debug("sweep: %s", error)


def _report(reporter: heartbeat.Reporter, stop: threading.Event) -> None:
    while not stop.wait(heartbeat.EVERY):
        reporter.try_report()
