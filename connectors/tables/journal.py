"""Intent before effect: the exact body of a request, its key and its first-send time are committed before it leaves.

One row a request, and a pointer to it on every staged row it is about. A request without an outcome is the only
thing that a crash can leave in doubt, so the next writer begins with those.
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
    """A journalled request. `versions` tells which version of its order each mutation carries out."""

    key: str
    body: str
    mutations: tuple[items.Mutation, ...]
    versions: dict[str, int]
    first_sent_at: datetime


class Journal:
    """Opens and closes requests. Every write carries the lease's epoch or does not happen."""

    def __init__(self, db: database.Database, *, board_id: str, now: Callable[[], datetime]) -> None:
        self._db = db
        self._board_id = board_id
        self._now = now

    def open(self, request: Request, grant: leases.Grant) -> None:
        """Commits the intent, and the lease with it for its whole life.

        Raises LeaseLost when another process is the writer now: then nothing may be sent. May be tried again when
        nobody knows whether it was committed.
        """
        first = database.to_db_time(request.first_sent_at)
        stored = MUTATIONS.dump_json(list(request.mutations)).decode()
        wrapped = f'{{"versions": {json.dumps(request.versions)}, "mutations": {stored}}}'
        with self._db.write() as session:
            leases.renew(session, grant, self._now())
            params = (request.key, grant.token, request.body, wrapped, first, first, request.key)
            session.execute(STATEMENTS["open_request"], params)
            for mutation in request.mutations:
                staging.mark_inflight(session, mutation, request.key, request.versions, first)
            staging.recount(session, map(Version._make, request.versions.items()), self._now())

    def resend(self, key: str, grant: leases.Grant) -> None:
        """One more attempt of the same body under the same key. Raises LeaseLost."""
        with self._db.write() as session:
            leases.renew(session, grant, self._now())
            _fenced(session, "resend_request", (grant.token, key), grant)

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
        """Records what is known now: entities with the version they carry out, and groups by name.

        Raises LeaseLost when another process became the writer: it settled this request, and wrote on since.
        """
        at = database.to_db_time(self._now())
        with self._db.write() as session:
            params = (at, outcome, request_id, http_status, key, grant.name, grant.owner, grant.token)
            _fenced(session, "close_request", params, grant)
            for name, group_id in groups.items():
                ledger.remember_group(session, self._board_id, name, group_id)
            for entity, version in entities:
                ledger.remember(session, entity, version, at)
                staging.mark_done(session, entity, version, at)
            written = {Version(entity.record_uuid, version) for entity, version in entities}
            staging.recount(session, written, self._now())

    def unfinished(self) -> list[Request]:
        """Requests that nobody recorded an outcome for, the oldest first."""
        with self._db.read() as session:
            return [_request(row) for row in session.query(STATEMENTS["open_requests"])]

    def carried_out(self) -> Counter[str]:
        """How many mutations of each kind were sent in requests that the API answered. Reads all requests."""
        kinds: Counter[str] = Counter()
        with self._db.read() as session:
            for (stored,) in session.stream(STATEMENTS["carried_out"]):
                kinds.update(mutation["kind"] for mutation in json.loads(stored)["mutations"])
        return kinds

    def calls_since(self, moment: datetime) -> int:
        """How often the API was written to since then."""
        with self._db.read() as session:
            return int(session.query(STATEMENTS["requests_since"], (database.to_db_time(moment),))[0]["calls"] or 0)


def _fenced(session: database.Session, statement: str, params: Sequence[database.Value], grant: leases.Grant) -> None:
    """One row, which only the holder of the current epoch writes. Raises LeaseLost."""
    if session.execute(STATEMENTS[statement], params) == 0:
        raise leases.lost(grant)


def _request(row: dict[str, Any]) -> Request:
    held: dict[str, Any] = json.loads(row["mutations"])
    return Request(
        key=row["request_key"],
        body=row["body"],
        mutations=tuple(MUTATIONS.validate_python(held["mutations"])),
        versions=held["versions"],
        first_sent_at=database.from_db_time(row["first_sent_at"]),
    )
