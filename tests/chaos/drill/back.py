"""Drill `rollback`: a customer with 500 orders goes back to the morning and is released, twice."""

import random
import time
from collections.abc import Sequence
from pathlib import Path

from schemas.batches import SyncState
from streams.reconcile import fields
from streams.resources import new_id, utcnow
from streams.runtime import status
from tests.chaos.drill import stand
from tests.chaos.real.outcome import Outcome

CUSTOMER, OTHER = "GREYSON CLOTHIERS", "TRACKSMITH"
ORDERS, OTHERS = 500, 60
EDITED, DELETED, ADDED, EDITED_WHILE_HELD = 120, 20, 20, 15
ROUNDS = 2


def rollback(folder: Path, seed: int) -> Outcome:
    """Edits, deletions and new orders are undone; while the customer is held its source goes on, unheard."""
    with stand.stand(folder, seed, prepare=stand.filled(seed, {CUSTOMER: ORDERS, OTHER: OTHERS})) as at:
        at.figures |= {"orders": ORDERS, "edited": EDITED, "deleted": DELETED, "added": ADDED}
        rng = random.Random(f"rollback of {seed}")
        at.settles()
        for number in range(1, ROUNDS + 1):
            _there_and_back(at, rng, number)
        at.proves()
    return at.outcome


def _there_and_back(at: stand.Stand, rng: random.Random, number: int) -> None:
    at.until(lambda: not status.collect(at.parts).unarchived, "every customer is archived")
    morning, before = utcnow(), at.shown()
    uuids = _a_day(at, rng, number)
    at.settles()
    if at.shown() == before:
        at.wrong.append(f"round {number}: the day changed nothing, so nothing is shown")
    mutations = at.stage.stats()["mutations_done"]
    at.figures[f"back_{number}_s"] = _settled(at, "--to", morning.isoformat(), "--yes")
    at.figures[f"mutations_{number}"] = at.stage.stats()["mutations_done"] - mutations
    _exact(at, before, f"round {number}, rolled back")
    # The source has other orders than the board now; each of its rows is held.
    if (held := status.collect(at.parts).total[SyncState.HELD]) != len(uuids):
        at.wrong.append(f"round {number}: {held} of {len(uuids)} rows are held")
    stand.update(at.parts, rng.sample(uuids, EDITED_WHILE_HELD), "PATTERN ID", f"while held {number}")
    at.settles()
    _exact(at, before, f"round {number}, held while its source goes on")
    at.figures[f"release_{number}_s"] = _settled(at, "--release")
    at.wrong += [f"round {number}, released: {said}" for said in at.stage.prove().wrong]


def _settled(at: stand.Stand, *how: str) -> float:
    """Seconds from the command to the end of all that came of it."""
    began = time.monotonic()
    at.ordersync("rollback", "--customer", "greyson", *how)
    at.settles()
    return time.monotonic() - began


def _a_day(at: stand.Stand, rng: random.Random, number: int) -> list[str]:
    """What happens to the customer's orders. Those that it has then."""
    uuids = _orders(at)
    edited = rng.sample(uuids, EDITED)
    deleted = rng.sample(sorted(set(uuids) - set(edited)), DELETED)
    stand.update(at.parts, edited, "PATTERN ID", f"day {number}")
    stand.update(at.parts, edited[::2], "CUSTOMER SEASON", f"{2030 + number} FALL")
    with at.parts.db.read() as session:
        models = session.query("SELECT * FROM ORDERS_UNIFIED WHERE [CUSTOMER NAME] = ?", (CUSTOMER,))[:ADDED]
    added = [
        {**row, "record_uuid": new_id(), "AAG ORDER NUMBER": f"ADDED-{number}-{n}"} for n, row in enumerate(models)
    ]
    stand.insert(at.parts, added)
    stand.delete(at.parts, deleted)
    return _orders(at)


def _orders(at: stand.Stand) -> list[str]:
    with at.parts.db.read() as session:
        rows = session.query("SELECT record_uuid FROM ORDERS_UNIFIED WHERE [CUSTOMER NAME] = ?", (CUSTOMER,))
    return sorted(str(row["record_uuid"]) for row in rows)


def _exact(at: stand.Stand, wanted: Sequence[fields.FieldValue], when: str) -> None:
    """Board and production say just this."""
    for name, side in (("the board", at.shown()), ("production", at.produced())):
        differing = set(side) ^ set(wanted)
        if side != list(wanted):
            at.wrong.append(f"{when}: {name} differs in {len(differing)} facts, such as {min(differing, default='')}")
