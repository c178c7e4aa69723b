"""SYNC_Requests, the journal: the body, key and first-send time of a request are committed before it leaves.

There is one row for one request, and every staged row that the request is about points to it. Only a request without an
outcome can be in doubt after a crash, so the next writer begins with those.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

import sql
from connectors import database
from connectors.tables import lease as leases
from connectors.tables import ledger, staging
from schemas import items
from schemas.base import Model
from schemas.versions import Version

STATEMENTS = sql.load("journal")
MUTATIONS: TypeAdapter[list[items.Mutation]] = TypeAdapter(list[items.Mutation])


class Request(Model):
    """A journalled request. `versions` is the version of each order, by identity, that its mutations carry out.

    `adopted`: the positions of the creates that the board showed although the API has not confirmed them.
    """

    key: str
    body: str
    mutations: tuple[items.Mutation, ...]
    versions: dict[str, int]
    first_sent_at: datetime
    attempts: int = 1
    adopted: frozenset[int] = frozenset()

    def missing(self) -> dict[int, items.Mutation]:
        """The mutations that were not adopted, by their position."""
        return {at: mutation for at, mutation in enumerate(self.mutations) if at not in self.adopted}


class Journal:
    """Opens and closes requests. Every write checks the epoch of the lease in its own transaction. Times are UTC."""

    def __init__(self, db: database.Database, *, board_id: str, now: Callable[[], datetime]) -> None:
        self._db = db
        self._board_id = board_id
        self._now = now

    def open(self, request: Request, grant: leases.Grant) -> None:
        """Commits the intent of a request, and renews the lease for its whole duration.

        Raises LeaseLost when another process is the writer now: the caller must send nothing. The caller may repeat it
        when it does not know whether the transaction was committed.
        """
        first = database.to_db_time(request.first_sent_at)
        with self._db.write() as session:
            leases.renew(session, grant, self._now())
            params = (request.key, grant.token, request.body, _stored(request), first, first, request.key)
            session.execute(STATEMENTS["open_request"], params)
            for mutation in request.mutations:
                staging.mark_inflight(session, mutation, request.key, request.versions, first)
            staging.recount(session, map(Version._make, request.versions.items()), self._now())

    def resend(self, key: str, grant: leases.Grant) -> None:
        """Notes that the same body is sent once more under the same key. Raises LeaseLost."""
        with self._db.write() as session:
            leases.renew(session, grant, self._now())
            _fenced(session, "resend_request", (grant.token, key), grant)

    def adopt(
        self,
        request: Request,
        entities: Sequence[tuple[items.Entity, int]],
        groups: Mapping[str, str],
        grant: leases.Grant,
    ) -> None:
        """Records the creates of `request.adopted`, which goes on without an outcome, and their effects on the ledger.

        Raises LeaseLost when another process is the writer now.
        """
        with self._db.write() as session:
            params = (_stored(request), request.key, grant.name, grant.owner, grant.token)
            _fenced(session, "adopt_request", params, grant)
            self._record(session, entities, groups)

    def close(
        self,
        key: str,
        entities: Sequence[tuple[items.Entity, int]],
        groups: Mapping[str, str],
        grant: leases.Grant,
        *,
        outcome: str,
        request_id: str | None = None,
        http_status: int | None = None,
    ) -> None:
        """Records an outcome: the confirmed entities, each with its version, and the ids of created groups, by name.

        Raises LeaseLost when another process is the writer now: that one has closed this request.
        """
        at = database.to_db_time(self._now())
        with self._db.write() as session:
            params = (at, outcome, request_id, http_status, key, grant.name, grant.owner, grant.token)
            _fenced(session, "close_request", params, grant)
            self._record(session, entities, groups)

    def _record(
        self,
        session: database.Session,
        entities: Sequence[tuple[items.Entity, int]],
        groups: Mapping[str, str],
    ) -> None:
        at = database.to_db_time(self._now())
        for name, group_id in groups.items():
            ledger.remember_group(session, self._board_id, name, group_id)
        for entity, version in entities:
            ledger.remember(session, entity, version, at)
            staging.mark_done(session, entity, version, at)
        written = {Version(entity.record_uuid, version) for entity, version in entities}
        staging.recount(session, written, self._now())

    def unfinished(self) -> list[Request]:
        """The requests without a recorded outcome, the oldest first."""
        with self._db.read() as session:
            return [_request(row) for row in session.query(STATEMENTS["open_requests"])]

    def in_doubt(self) -> tuple[int, datetime | None]:
        """The number of requests without a recorded outcome, and when the oldest one left first."""
        with self._db.read() as session:
            (row,) = session.query(STATEMENTS["in_doubt"])
        return int(row["requests"]), None if row["since"] is None else database.from_db_time(row["since"])

    def carried_out(self) -> Counter[str]:
        """The number of mutations of each kind in requests that the API carried out. Reads the whole journal."""
        kinds: Counter[str] = Counter()
        with self._db.read() as session:
            for (stored,) in session.stream(STATEMENTS["carried_out"]):
                kinds.update(mutation["kind"] for mutation in json.loads(stored)["mutations"])
        return kinds

    def calls_since(self, moment: datetime) -> int:
        """The number of calls that wrote to the API since then, repeated ones included."""
        with self._db.read() as session:
            return int(session.query(STATEMENTS["requests_since"], (database.to_db_time(moment),))[0]["calls"] or 0)


def _fenced(session: database.Session, statement: str, params: Sequence[database.Value], grant: leases.Grant) -> None:
    """Writes one row, as the lease holder of the current epoch only. Raises LeaseLost."""
    if session.execute(STATEMENTS[statement], params) == 0:
        raise leases.lost(grant)


def _stored(request: Request) -> str:
    mutations = MUTATIONS.dump_json(list(request.mutations)).decode()
    head = f'"versions": {json.dumps(request.versions)}, "adopted": {json.dumps(sorted(request.adopted))}'
    return f'{{{head}, "mutations": {mutations}}}'


def _request(row: dict[str, Any]) -> Request:
    stored: dict[str, Any] = json.loads(row["mutations"])
    return Request(
        key=row["request_key"],
        body=row["body"],
        mutations=tuple(MUTATIONS.validate_python(stored["mutations"])),
        versions=stored["versions"],
        first_sent_at=database.from_db_time(row["first_sent_at"]),
        attempts=row["attempts"],
        # Earlier versions of ordersync stored no adopted creates.
        adopted=frozenset(stored.get("adopted", ())),
    )
