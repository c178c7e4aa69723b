"""How long the board waits when its writer dies: out of the journal, after the fact."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from connectors import database
from streams.resources import Resources
from streams.runtime import supervisor


@dataclass(frozen=True)
class WorkerDeath:
    """When (seconds since the epoch), at what (a named point or a kill at a random time), and whether it wrote."""

    at: float
    where: str
    writer: bool


# Of the 99th percentiles of Times, in seconds.
# What is all in doubt waits for its in-flight window (87 s), and somebody has to write again first.
GOALS = {"recovery": 5.0, "several_died": 15.0, "takeover": 15.0, "all_in_doubt": 100.0}


@dataclass
class Times:
    """Seconds from deaths of the writer to the next confirmed write, by where it died.

    `all_in_doubt`: all that waited was in requests that nobody had answered, so it had to be looked for first, as long
    as reads may lag behind writes. `board_in_trouble`: it refused, hung or lost its answers as well. The others are
    deaths under load: something else waited, and nothing else was wrong. `several_died`: not `alone`, so that it had no
    standby yet, or its group waited for another one. `takeover`: it, or another worker, stayed down, so that its group
    waited for it until its session had run out.
    """

    recovery: dict[str, list[float]] = field(default_factory=dict)
    several_died: dict[str, list[float]] = field(default_factory=dict)
    takeover: dict[str, list[float]] = field(default_factory=dict)
    all_in_doubt: dict[str, list[float]] = field(default_factory=dict)
    board_in_trouble: dict[str, list[float]] = field(default_factory=dict)

    def add(self, other: "Times") -> None:
        for name, ours in vars(self).items():
            for where, seconds in getattr(other, name).items():
                ours.setdefault(where, []).extend(seconds)

    def over(self) -> list[str]:
        """Each that took longer than its goal, in words."""
        return [
            f"{name} after {where} in {one:.1f} s"
            for name, goal in GOALS.items()
            for where, some in getattr(self, name).items()
            for one in some
            if one > goal
        ]

    def by_place(self) -> Iterator[str]:
        """One line a place."""
        for name, times in vars(self).items():
            for where, seconds in sorted(times.items()):
                told = f"n={len(seconds)} p50={percentile(seconds, 50):.1f} max={max(seconds):.1f}"
                yield f"  {name} after {where}: {told}"


def percentile(seconds: Iterable[float], share: float) -> float:
    """The smallest value that so many percent do not exceed; NaN of none."""
    ordered = sorted(seconds)
    return ordered[max(0, math.ceil(len(ordered) * share / 100) - 1)] if ordered else math.nan


def alone(death: WorkerDeath, deaths: Iterable[WorkerDeath], seconds: float) -> bool:
    """Whether no other death of a worker fell into these seconds, or so shortly before that its start was not over.
    What comes when the goal is missed already excuses nothing.
    """
    begin, end = death.at - supervisor.WELL_AFTER, death.at + min(seconds, GOALS["recovery"])
    return not any(begin < other.at < end for other in deaths if other is not death)


def to_next_write(parts: Resources, died: float, away: Sequence[tuple[float, float]]) -> tuple[float, bool] | None:
    """Seconds from a death to the next request that was answered in full, of work that waited by then; and whether
    some of that work was in no request in doubt. None when nothing waited, or when the broker was away meanwhile.
    """
    with parts.db.read() as session:
        staged = {
            (str(row["source_uuid"]), int(row["version"])): (_seconds(row["start_time"]), row["Group"])
            for row in session.query(
                "SELECT s.source_uuid, s.version, s.[Group], b.start_time FROM STG_MON_CustMasterSchedule AS s"
                " JOIN MON_BatchProcessing AS b ON b.batch_id = s.stg_batch_id"
            )
        }
        rows = session.query(
            "SELECT created_at, finished_at, outcome, mutations FROM SYNC_Requests"
            " WHERE finished_at IS NOT NULL ORDER BY finished_at"
        )
    later = [row for row in rows if _seconds(row["finished_at"]) > died]
    doubted = [row for row in later if _seconds(row["created_at"]) < died]
    orders_in_doubt = {order for row in doubted for order, _ in _orders(row)}
    groups_in_doubt = {group for row in doubted for group in _groups(row)}
    detected = {order: at for order, (at, _) in staged.items()}
    in_doubt = orders_in_doubt | {uuid for (uuid, _), (_, group) in staged.items() if group in groups_in_doubt}
    writes = [
        (_seconds(row["finished_at"]), [order for order in _orders(row) if detected.get(order, died) < died])
        for row in later
        if row["outcome"] == "DONE"
    ]
    next_write = next((done for done, orders in writes if orders), None)
    if next_write is None or any(begin < next_write and end > died for begin, end in away):
        return None
    return next_write - died, any(order not in in_doubt for _, orders in writes for order, _ in orders)


def _orders(row: database.Row) -> list[tuple[str, int]]:
    """Identity and version of what a request is about."""
    return list(json.loads(row["mutations"])["versions"].items())


def _groups(row: database.Row) -> list[str]:
    """The groups that a request makes."""
    mutations = json.loads(row["mutations"])["mutations"]
    return [one["group_name"] for one in mutations if one["kind"] == "create_group"]


def _seconds(told: object) -> float:
    return database.from_db_time(str(told)).timestamp()
