"""SYNC_Plans and SYNC_PlanRows: the plans of guard stops with their changes, until they are emitted or forgotten."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import sql
from connectors import database
from schemas import detection

STATEMENTS = sql.load("plans")
HELD, ACCEPTED, EMITTED, FORGOTTEN = "HELD", "ACCEPTED", "EMITTED", "FORGOTTEN"
# The held plans that keep their changes: an operator may accept one that was shown a while ago.
KEPT = 10


class Plans:
    """Stores plans. Every write is one transaction. Times are UTC."""

    def __init__(self, db: database.Database, *, now: Callable[[], datetime]) -> None:
        self._db = db
        self._now = now

    def get(self, plan_id: str) -> detection.Plan | None:
        """The plan with this id, None if there never was one."""
        with self._db.read() as session:
            rows = session.query(STATEMENTS["plan"], (plan_id,))
        return detection.Plan.model_validate_json(str(rows[0]["plan_json"])) if rows else None

    def state(self, plan_id: str) -> str | None:
        """HELD, ACCEPTED, EMITTED or FORGOTTEN; None if there never was such a plan."""
        with self._db.read() as session:
            rows = session.query(STATEMENTS["plan"], (plan_id,))
        return str(rows[0]["state"]) if rows else None

    def hold(self, plan: detection.Plan, rows: Iterator[tuple[str, str, str]]) -> None:
        """Stores a plan and its changes (record_uuid, change, new hash). Forgets all but the newest held plans."""
        at, text = database.to_db_time(plan.made_at), plan.model_dump_json()
        with self._db.write() as session:
            if session.execute(STATEMENTS["replace_plan"], (at, HELD, text, plan.id)) == 0:
                session.execute(STATEMENTS["add_plan"], (plan.id, at, HELD, text, plan.id))
            session.execute(STATEMENTS["forget_changes"], (plan.id,))
            session.execute_many(
                STATEMENTS["add_change"], ((plan.id, uuid, change, row_hash) for uuid, change, row_hash in rows)
            )
            held = [str(row["plan_id"]) for row in session.query(STATEMENTS["of_state"], (HELD,))]
            for old in held[:-KEPT]:
                _end(session, old, FORGOTTEN)

    def accept(self, plan_id: str) -> None:
        """Notes that an operator accepted a held plan: the next passes emit its changes."""
        with self._db.write() as session:
            session.execute(STATEMENTS["accept"], (database.to_db_time(self._now()), plan_id))

    def accepted(self) -> list[tuple[detection.Plan, list[tuple[str, str, str]]]]:
        """The accepted plans that are not emitted in full, with their changes."""
        with self._db.read() as session:
            plans = session.query(STATEMENTS["of_state"], (ACCEPTED,))
            return [
                (
                    detection.Plan.model_validate_json(str(row["plan_json"])),
                    [(str(u), str(c), str(h)) for u, c, h in session.stream(STATEMENTS["changes"], (row["plan_id"],))],
                )
                for row in plans
            ]

    def finish(self, plan_ids: Sequence[str]) -> None:
        """Notes that accepted plans are emitted; what changed since is judged anew."""
        with self._db.write() as session:
            for plan_id in plan_ids:
                _end(session, plan_id, EMITTED)


def _end(session: database.Session, plan_id: str, state: str) -> None:
    session.execute(STATEMENTS["end"], (state, plan_id))
    session.execute(STATEMENTS["forget_changes"], (plan_id,))
