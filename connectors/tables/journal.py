"""Intent before effect: the exact body of a request, its key and its first-send time are committed before it leaves.

One row a request, and a pointer to it on every staged row it is about. A request without an outcome is the only
thing that a crash can leave in doubt, so the next writer begins with those.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

import sql
from connectors import database, errors
from connectors.tables import batches, ledger
from connectors.tables import lease as leases
from schemas import items
from schemas.base import Model

STATEMENTS = sql.load("sync")
MUTATIONS: TypeAdapter[list[items.Mutation]] = TypeAdapter(list[items.Mutation])
# Positions after a staged order's key that are kept for sizes which left it (`OrderChanged.stg_id`).
LEFT_SIZES = 1024


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
            self._keep(session, grant)
            params = (request.key, grant.token, request.body, wrapped, first, first, request.key)
            session.execute(STATEMENTS["open_request"], params)
            for mutation in request.mutations:
                _mark_inflight(session, mutation, request, first)
            batches.recount(session, _batches(session, request.versions.items()), self._now())

    def resend(self, key: str, grant: leases.Grant) -> None:
        """One more attempt of the same body under the same key. Raises LeaseLost."""
        with self._db.write() as session:
            self._keep(session, grant)
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
                _mark_done(session, entity, version, at)
            written = {(entity.record_uuid, version) for entity, version in entities}
            batches.recount(session, _batches(session, written), self._now())

    def unfinished(self) -> list[Request]:
        """Requests that nobody recorded an outcome for, the oldest first."""
        with self._db.read() as session:
            return [_request(row) for row in session.query(STATEMENTS["open_requests"])]

    def calls_since(self, moment: datetime) -> int:
        """How often the API was written to since then."""
        with self._db.read() as session:
            return int(session.query(STATEMENTS["requests_since"], (database.to_db_time(moment),))[0]["calls"] or 0)

    def holder(self, name: str) -> str | None:
        """Who holds a lease now, and in which epoch; None when nobody does."""
        with self._db.read() as session:
            found = session.query(STATEMENTS["lease"], (name,))
        if not found or found[0]["owner"] is None:
            return None
        lapsed = str(found[0]["expires_at"]) < database.to_db_time(self._now())
        return None if lapsed else f"epoch {found[0]['token']}, until {found[0]['expires_at']}"

    def finish(self, ends: Sequence[tuple[str, int, str | None]]) -> None:
        """Identity, version and item id of orders that the board now shows: API_SUCCESS."""
        at = database.to_db_time(self._now())
        with self._db.write() as session:
            for record_uuid, version, item_id in ends:
                number = None if item_id is None else int(item_id)
                session.execute(STATEMENTS["sizes_confirmed"], (at, item_id, number, record_uuid, version))
                session.execute(STATEMENTS["order_done"], (at, number, number, record_uuid, version))
            batches.recount(session, _batches(session, [end[:2] for end in ends]), self._now())

    def begin_again(self, identities: Sequence[tuple[str, int]]) -> None:
        """Settled versions that were replayed: `finish` ends them like any other, and they are promoted once more."""
        with self._db.write() as session:
            session.execute_many(STATEMENTS["order_again"], identities)
            batches.recount(session, _batches(session, identities), self._now())

    def supersede(self, identities: Sequence[tuple[str, int]]) -> None:
        """Versions that a newer staged one replaces."""
        at = database.to_db_time(self._now())
        with self._db.write() as session:
            for record_uuid, version in identities:
                if session.execute(STATEMENTS["order_superseded"], (at, record_uuid, version)):
                    session.execute(STATEMENTS["sizes_superseded"], (at, record_uuid, version))
            batches.recount(session, _batches(session, identities), self._now())

    def stage_left_sizes(self, left: Sequence[tuple[int, str, int, Sequence[str]]]) -> None:
        """Staged key, identity, version and labels of sizes that left an order: they are staged as 0."""
        at = database.to_db_time(self._now())
        with self._db.write() as session:
            for stg_id, record_uuid, version, sizes in left:
                for size in sizes:
                    # Behind the sizes that this version has by now: a second run may find others to have left.
                    key = stg_id + LEFT_SIZES
                    session.execute(STATEMENTS["stage_left_size"], (key, at, size, size, record_uuid, version, size))

    def _keep(self, session: database.Session, grant: leases.Grant) -> None:
        """Whoever may send now may go on sending for the lease's whole life."""
        _fenced(session, "renew_lease", leases.renewal(grant, self._now()), grant)


def _fenced(session: database.Session, statement: str, params: Sequence[database.Value], grant: leases.Grant) -> None:
    """One row, which only the holder of the current epoch writes."""
    if session.execute(STATEMENTS[statement], params) == 0:
        raise errors.LeaseLost(f"the lease {grant.name!r} is held by another process")


def _batches(session: database.Session, identities: Iterable[tuple[str, int]]) -> set[str]:
    found = (session.value(STATEMENTS["batch_of"], identity) for identity in identities)
    return {str(batch) for batch in found if batch is not None}


def _mark_inflight(session: database.Session, mutation: items.Mutation, request: Request, first_sent_at: str) -> None:
    if isinstance(mutation, items.CreateGroup):
        return
    operation = "CREATE" if mutation.kind.startswith("create") else "UPDATE"
    if isinstance(mutation, items.RemoveItem):
        operation = "DELETE"
    version = request.versions[mutation.record_uuid]
    params = (
        request.key,
        first_sent_at,
        mutation.model_dump_json(),
        operation,
        mutation.record_uuid,
        version,
    )
    if isinstance(mutation, items.CreateSubitem | items.UpdateSubitem):
        session.execute(STATEMENTS["size_inflight"], (*params, mutation.size_label))
    else:
        session.execute(STATEMENTS["order_inflight"], params)


def _mark_done(session: database.Session, entity: items.Entity, version: int, at: str) -> None:
    number = int(entity.item_id)
    if entity.size_label:
        board = int(entity.board_id) if entity.board_id else None
        params = (number, number, board, at, entity.record_uuid, version, entity.size_label)
        session.execute(STATEMENTS["size_done"], params)
    else:
        session.execute(STATEMENTS["order_item"], (number, number, entity.record_uuid, version))


def _request(row: dict[str, Any]) -> Request:
    held: dict[str, Any] = json.loads(row["mutations"])
    return Request(
        key=row["request_key"],
        body=row["body"],
        mutations=tuple(MUTATIONS.validate_python(held["mutations"])),
        versions=held["versions"],
        first_sent_at=database.from_db_time(row["first_sent_at"]),
    )
