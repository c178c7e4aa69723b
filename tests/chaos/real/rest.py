"""When a stage is at rest, so that it can be judged: no pass finds anything, and nobody has anything left to do."""

import time
from collections.abc import Iterator
from datetime import datetime

from streams.resources import utcnow
from streams.runtime import status
from tests.chaos.real.judge_oracle import Log
from tests.chaos.real.stage import Stage

LOOK = 0.1


def settle(stage: Stage, log: Log, since: datetime, *, within: float) -> list[str]:
    """Waits until nothing is on its way, of what the source held at that time. What still was in the end, in words."""
    deadline = time.monotonic() + within
    drained = False
    while True:
        left = list(_unsettled(stage, since))
        if not left and not (left := log.behind()):
            if drained:
                return []
            # One pass more, now that every event is worked: what a dead poller told last may undo a row.
            drained, since = True, utcnow()
            continue
        if time.monotonic() > deadline:
            return left
        time.sleep(LOOK)


def _unsettled(stage: Stage, since: datetime) -> Iterator[str]:
    seen = status.collect(stage.parts)
    last = seen.last_pass
    if seen.held:
        yield f"the guard holds: {seen.held}"
    if last is None or last.started_at < since or not last.quiet:
        yield f"no quiet pass since {since:%H:%M:%S}, the last is {last and last.number}"
    if not seen.settled:
        waiting = {state.value: n for state, n in seen.total.items() if n}
        yield f"{waiting}, {seen.undetected} undetected, {seen.leaving} leaving"
    if seen.open_batches:
        yield f"{len(seen.open_batches)} open batches"
    with stage.parts.db.read() as session:
        for what, table in (("orders", "ERR_MON_CustMasterSchedule"),
                            ("sizes", "ERR_MON_CustMasterSchedule_Subitems")):  # fmt: skip
            retries = session.value(
                f"SELECT COUNT(*) FROM {table} WHERE resolved_date IS NULL AND retryable = 1"
                " AND max_retries_reached = 0"
            )
            if retries:
                yield f"{retries} {what} to try again"
        if doubted := session.value("SELECT COUNT(*) FROM SYNC_Requests WHERE finished_at IS NULL"):
            yield f"{doubted} requests in doubt"
        if parked := session.value("SELECT COUNT(*) FROM SYNC_State WHERE name LIKE 'parked.%'"):
            yield f"{parked} parked events"
