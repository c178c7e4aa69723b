"""How long the board waits when its writer dies: out of the journal, after the fact."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from connectors import database
from streams.resources import Resources


@dataclass(frozen=True)
class WriterDeath:
    """When (seconds since the epoch), and at what: a named point or a kill at a random time."""

    at: float
    where: str


@dataclass
class Times:
    """Seconds from deaths of the writer under load to the next confirmed write, by where it died."""

    restarted: dict[str, list[float]] = field(default_factory=dict)
    taken_over: dict[str, list[float]] = field(default_factory=dict)

    def add(self, other: "Times") -> None:
        for ours, theirs in ((self.restarted, other.restarted), (self.taken_over, other.taken_over)):
            for where, seconds in theirs.items():
                ours.setdefault(where, []).extend(seconds)

    def by_place(self) -> Iterator[str]:
        """One line a place."""
        for what, times in (("recovery", self.restarted), ("takeover", self.taken_over)):
            for where, seconds in sorted(times.items()):
                told = f"n={len(seconds)} p50={percentile(seconds, 50):.1f} max={max(seconds):.1f}"
                yield f"  {what} after {where}: {told}"


def percentile(seconds: Iterable[float], share: float) -> float:
    """The smallest value that so many percent do not exceed; NaN of none."""
    ordered = sorted(seconds)
    return ordered[max(0, math.ceil(len(ordered) * share / 100) - 1)] if ordered else math.nan


def to_next_write(parts: Resources, died: float, away: Sequence[tuple[float, float]]) -> float | None:
    """Seconds from a death to the next request that was answered in full, of work that waited by then.

    None when nothing waited, or when the broker was away meanwhile.
    """
    with parts.db.read() as session:
        detected = {
            (str(row["source_uuid"]), int(row["version"])): _seconds(row["start_time"])
            for row in session.query(
                "SELECT s.source_uuid, s.version, b.start_time FROM STG_MON_CustMasterSchedule AS s"
                " JOIN MON_BatchProcessing AS b ON b.batch_id = s.stg_batch_id"
            )
        }
        rows = session.query(
            "SELECT finished_at, mutations FROM SYNC_Requests WHERE outcome = 'DONE' ORDER BY finished_at"
        )
    for row in rows:
        done = _seconds(row["finished_at"])
        orders = json.loads(row["mutations"])["versions"].items()
        if done > died and any(detected.get(order, died) < died for order in orders):
            hidden = any(begin < done and end > died for begin, end in away)
            return None if hidden else done - died
    return None


def _seconds(told: object) -> float:
    return database.from_db_time(str(told)).timestamp()
