"""The worker's steady comparison of the whole table: slice by slice, within a stated time and a stated share of a core.

A slice compares the next orders, in the order of their identities, cell by cell (streams/reconcile/verify.py), and once
more those that were wrong. The last slice of a round also looks for what no source row explains. The named value
`verify.round` holds the place, and what `status` shows. Of several workers, the first whose slice is due takes it.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from connectors import errors
from schemas.base import Model
from streams.reconcile.verify import Slice
from streams.runtime.verify_timer import LAST, Store

log = logging.getLogger(__name__)

ROUND = "verify.round"
# Orders of one slice: few enough that a slice takes a fraction of a second.
COUNT = 500
# Wrong orders that a round names; more are one message of the same kind.
MOST = 100
# The longest pause, and the pause after a slice that was taken by another worker, in seconds.
LONGEST = 5.0


class Round(Model):
    """A round over the table. `wrong`: orders by identity, each with its finding; `strays` are not in the source.

    `rows` of this round were compared, with `busy` seconds of a core; `took` is the duration of the round before in
    seconds, `compared` its rows and `share` its share of a core. Times are UTC; the next slice is due at `due`.
    """

    at: datetime
    since: datetime
    due: datetime
    after: str = ""
    rows: int = 0
    busy: float = 0.0
    wrong: dict[str, str] = {}
    strays: dict[str, str] = {}
    ended: datetime | None = None
    compared: int = 0
    took: float = 0.0
    share: float = 0.0

    def __str__(self) -> str:
        told = f"{self.rows:,} rows compared cell by cell since {self.since:%H:%M} UTC"
        if self.ended is not None:
            told += f"; before that all {self.compared:,} in {self.took:,.0f} s"
        orders = len(self.wrong) + len(self.strays)
        return told + (f"; {orders} orders are wrong: `ordersync verify` lists them" if orders else "")


@dataclass(frozen=True)
class VerifySlices:
    """`look(after, count, also)` is Verifier.look. `within`: seconds of a round; `share` of one core is never exceeded,
    though a round takes longer then. `now` is UTC, `busy` the seconds of a core that this thread has used.
    """

    store: Store
    look: Callable[[str, int, Collection[str]], Slice]
    within: float
    share: float
    now: Callable[[], datetime]
    busy: Callable[[], float] = time.thread_time

    async def run(self) -> None:
        """Runs until the task is cancelled. An OrdersyncError is logged, and the slice is due once more."""
        while True:
            pause = LONGEST
            try:
                pause = await asyncio.to_thread(self.step)
            except errors.OrdersyncError as error:
                log.warning("verify: %s", error)
            await asyncio.sleep(min(LONGEST, pause))

    def step(self) -> float:
        """Takes the next slice if it is due. Returns the seconds until the next one is. Raises what `look` raises."""
        now, known = self.now(), read(self.store)
        if known is not None and now < known.due:
            return (known.due - now).total_seconds()
        before = known or Round(at=now, since=now, due=now)
        began = self.busy()
        # Another worker must not take the same slice meanwhile.
        claimed = before.model_copy(update={"due": now + timedelta(seconds=LONGEST)})
        self.store.set(ROUND, claimed.model_dump(mode="json"))
        found = self.look(before.after, COUNT, sorted(before.wrong))
        # What this step itself takes after the look is a thousandth of it.
        spent = self.busy() - began
        # Due from the beginning of this slice, so that rounds do not get longer by the time that slices take.
        after = self._next(before, found, spent, now)
        self._note(before, after)
        self.store.set(ROUND, after.model_dump(mode="json"))
        return max(0.0, (after.due - self.now()).total_seconds())

    def _next(self, before: Round, found: Slice, spent: float, now: datetime) -> Round:
        rows, busy = before.rows + found.rows, before.busy + spent
        wrong = {one.record_uuid: str(one) for one in found.wrong[:MOST]}
        total = max(1, rows, int((self.store.get(LAST) or {}).get("rows", 0)))
        # An empty slice ends a round: an empty table waits for the whole time.
        even = self.within * (found.rows if rows else total) / total
        update: dict[str, Any] = {
            "at": now,
            "due": now + timedelta(seconds=max(even, spent / self.share)),
            "after": found.last,
            "rows": rows,
            "busy": busy,
            "wrong": wrong,
        }
        if not found.last:
            took = max(0.001, (now - before.since).total_seconds())
            strays = {one.record_uuid: str(one) for one in found.strays[:MOST]}
            update |= {"since": now, "rows": 0, "busy": 0.0, "strays": strays, "ended": now, "compared": rows}
            update |= {"took": round(took, 1), "share": round(min(1.0, busy / took), 4)}
        return before.model_copy(update=update)

    def _note(self, before: Round, after: Round) -> None:
        known = before.wrong | before.strays
        for uuid, text in (after.wrong | after.strays).items():
            if uuid not in known:
                log.error("verify: %s", text)


def read(store: Store) -> Round | None:
    """The stored round; None for none, and for one of another version of ordersync. Raises Transient."""
    stored = store.get(ROUND)
    try:
        return None if stored is None else Round.model_validate(stored)
    except ValidationError:
        return None


def wrong(store: Store) -> set[str]:
    """The orders that the slices know to be wrong. Raises Transient."""
    known = read(store)
    return set() if known is None else {*known.wrong, *known.strays}
