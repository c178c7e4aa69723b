"""What the writer needs: the API, the journal of requests, and the ledger of what the board holds."""

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
    ) -> responses.Reply:
        """The API's reply. `leave` runs right before the body leaves; the body stays here if it raises.

        Raises OutcomeUnknown, MustLookUp, Transient, Rejected, AccountStop, BoardStop, and what `leave` raises.
        """


class Journal(Protocol):
    """Requests and their outcomes (connectors.tables.journal.Journal). Raises Transient or Misconfigured."""

    def open(self, request: Request, grant: Grant) -> None:
        """Commits a request before it leaves for the first time. Raises LeaseLost."""

    def resend(self, key: str, grant: Grant) -> None:
        """Commits one more attempt of a request. Raises LeaseLost."""

    def adopt(
        self, request: Request, entities: Sequence[tuple[items.Entity, int]], groups: Mapping[str, str], grant: Grant
    ) -> None:
        """Records the adopted creates of a request that stays in doubt. Raises LeaseLost."""

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
    ) -> None:
        """Records the outcome of a request and its effects on the ledger: entity and version. Raises LeaseLost."""


class Ledger(Protocol):
    """What the board holds, as the API confirmed it (connectors.tables.ledger.Ledger).

    Raises Transient or Misconfigured.
    """

    def known(self, record_uuids: Sequence[str]) -> Mapping[str, tuple[items.Entity | None, list[items.Entity]]]:
        """Item and subitems of each order; an order that never was on the board is absent."""

    def groups(self) -> dict[str, str]:
        """Group ids by name."""

    def remember_groups(self, groups: Mapping[str, str]) -> None:
        """Replaces all group ids by these, which the board has now."""
