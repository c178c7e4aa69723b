"""What the writer needs of the outside: the API, the journal of requests, the ledger of what the board holds."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from connectors.monday import responses
from connectors.tables.journal import Request
from connectors.tables.lease import Grant
from schemas import items


class Client(Protocol):
    """One paced POST (connectors.monday.client.Client)."""

    async def send(
        self, body: str, *, key: str | None, mutations: int, leave: Callable[[], Awaitable[None]] | None = None
    ) -> responses.Reply: ...


class Journal(Protocol):
    """Requests and what became of them (connectors.tables.journal.Journal)."""

    def open(self, request: Request, grant: Grant) -> None: ...
    def resend(self, key: str, grant: Grant) -> None: ...
    def close(
        self,
        key: str,
        entities: Sequence[tuple[items.Entity, int]],
        groups: Mapping[str, str],
        grant: Grant,
        *,
        outcome: str,
        request_id: str | None = None,
        http_status: int | None = None,
    ) -> None: ...
    def unfinished(self) -> list[Request]: ...


class Ledger(Protocol):
    """What the board is known to hold (connectors.tables.ledger.Ledger)."""

    def known(self, record_uuids: Sequence[str]) -> Mapping[str, tuple[items.Entity | None, list[items.Entity]]]: ...
    def groups(self) -> dict[str, str]: ...
    def remember_groups(self, groups: Mapping[str, str]) -> None: ...
