"""Drill `kafka-lost`: all Kafka data is deleted in the middle of a sync, twice; both ways back are gone."""

import random
import time
from pathlib import Path

from connectors.tables import lost_events
from streams.reconcile import fields
from tests.chaos.drill import stand
from tests.chaos.real.outcome import Outcome

ORDERS = 300
# Of the first sync so many orders have arrived when Kafka is lost; of the second so many, out of these edits.
ARRIVED = 60
EDITED, EDITS_ARRIVED = 140, 15
MARK = "after the first loss"


def kafka_lost(folder: Path, seed: int) -> Outcome:
    """First the workers live on and the poller's own sweep mends it; then everything dies, and a person asks."""
    with stand.stand(folder, seed, orders=ORDERS, minute=3.0) as at:
        parts, stage = at.parts, at.stage
        at.figures["orders"] = ORDERS
        at.until(lambda: parts.production.count() >= ARRIVED, "the first sync is under way")
        began = time.monotonic()
        stage.broker.wipe()
        at.figures["arrived_before"] = parts.production.count()
        stage.broker.start()
        at.settles()
        at.figures["by_itself_s"] = time.monotonic() - began
        swept = _swept(at, 0)
        at.proves()

        uuids = sorted(fact[0] for fact in at.produced() if fact[2] == fields.NAME and not fact[1])
        stand.update(parts, random.Random(f"edits of {seed}").sample(uuids, EDITED), "PATTERN ID", MARK)
        at.until(lambda: _marked(at) >= EDITS_ARRIVED, "the second sync is under way")
        began = time.monotonic()
        for name in stage.services:
            stage.kill(name)
        stage.broker.wipe()
        at.figures |= {"edits": EDITED, "edits_arrived_before": _marked(at)}
        stage.broker.start()
        at.ordersync("verify", "--fix", "--wait")
        at.settles()
        at.figures["verify_fix_s"] = time.monotonic() - began
        _swept(at, swept)
        if (arrived := _marked(at)) != EDITED:
            at.wrong.append(f"{arrived} of {EDITED} edits arrived")
        at.proves()
    return at.outcome


def _swept(at: stand.Stand, before: int) -> int:
    """How many orders were ever found to wait in vain; some since then, or nothing was lost."""
    found = int(at.parts.state.get(lost_events.FOUND) or 0)
    at.figures["given_back"] = found
    if found == before:
        at.wrong.append("nobody waited for an event that was lost, so nothing is shown")
    return found


def _marked(at: stand.Stand) -> int:
    with at.parts.db.read() as session:
        return int(session.value("SELECT COUNT(*) FROM MON_CustMasterSchedule WHERE [PATTERN ID] = ?", (MARK,)))
