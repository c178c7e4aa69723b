"""The methods of the connectors that a pass calls.

Every method raises Transient while the database is busy or away, and Misconfigured when it cannot be used as it is.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Protocol

from schemas import detection
from schemas.batches import SyncState


class Source(Protocol):
    """Source and snapshot rows (connectors.tables.orders.Orders, connectors.tables.orders_pushdown)."""

    def columns(self) -> list[tuple[str, str]]:
        """Name and SQL type of the live columns, in their order; Misconfigured without the table."""

    def with_numbers(self, columns: Sequence[str]) -> list[str]:
        """Those of these integer columns in which any row has a number other than 0."""

    def known_rows(self) -> int:
        """The number of orders of the source that have a snapshot row."""

    def unsettled_mutations(self) -> int:
        """The planned mutations of all orders that are WAITING."""

    def customer_names(self) -> list[str | None]:
        """The distinct customer names, as the source writes them."""

    def scan(
        self,
        columns: Sequence[str],
        *,
        former: Sequence[str | None] | None = None,
        chosen: detection.Filters | None = None,
        raw_customers: Sequence[str] = (),
    ) -> Iterator[tuple[str, str | None, str, str | None]]:
        """Of each row with an identity: it, hash of the snapshot row, canonical text of `columns` and of `former`."""

    def nameless(self) -> int:
        """The number of rows of the last scan that have no identity."""

    def left_out(self) -> int:
        """The number of rows that the last scan skipped because they equal their snapshot rows."""

    def note_unchanged(self) -> None:
        """Stores which rows of the last scan equal their snapshot rows, for the next scan to skip."""

    def rows(
        self, record_uuids: Sequence[str], columns: Sequence[str]
    ) -> dict[str, tuple[str | None, str | None, str]]:
        """Hash and state of the snapshot row, and canonical text now, of the rows that are still in the source."""

    def without_identity(self, columns: Sequence[str]) -> list[tuple[str | None, str]]:
        """record_uuid and canonical text of the rows that have none, or one that is no UUID."""

    def customers_of(self, record_uuids: Sequence[str]) -> set[str]:
        """The customers of these orders, as the snapshot rows have them."""

    def identities_of(self, customers: Sequence[str]) -> frozenset[str]:
        """The record_uuids of these customers, as the snapshot rows have them."""

    def duplicates(self) -> dict[str, int]:
        """The number of rows of each record_uuid that more than one row has."""

    def spellings(self, record_uuids: Sequence[str]) -> dict[str, list[str]]:
        """The spellings of these identities in the source."""

    def deleted(self) -> list[tuple[str, str, SyncState, str]]:
        """Of each order that left the source: record_uuid, customer, state, hash, "" if its event was lost before."""

    def move_snapshots(self, snapshots: Sequence[detection.Snapshot]) -> None:
        """Moves these snapshot rows in one transaction."""

    def rebaseline(self, hashes: Iterable[tuple[str, str, str]], mark: Callable[[Any], None]) -> None:
        """Replaces hashes (new hash, record_uuid, old hash) and runs `mark`, in one transaction."""


class Store(Protocol):
    """Named values (connectors.tables.state.State)."""

    def get(self, name: str) -> Any:
        """The value of that name, None when there is none."""

    def all_of(self, family: str) -> dict[str, Any]:
        """The values named `family.…`, by the rest of their names."""

    def set(self, name: str, value: Any) -> None:
        """Stores a value under that name, in a transaction of its own."""

    def erase_all(self, names: list[str]) -> None:
        """Removes named values; one that is not there is fine."""

    def mark(self, name: str, value: Any) -> Callable[[Any], None]:
        """The same, to run in a transaction of the caller."""

    def erase(self, name: str) -> Callable[[Any], None]:
        """The removal of that name, to run in a transaction of the caller."""

    def next_number(self, name: str) -> int:
        """The next number of a counter, committed before it returns, so no other call gets it."""


class Batches(Protocol):
    """MON_BatchProcessing (connectors.tables.batches.Batches)."""

    def open(self, batches: Iterable[tuple[str, str, int]], *, version: int, started_by: str) -> None:
        """Opens batches (batch id, customer, number of orders) before their events are emitted."""

    def confirm(self, batch_ids: Iterable[str]) -> None:
        """Notes that Kafka has confirmed all events of these batches."""

    def close_unconfirmed(self, version: int) -> int:
        """Recounts the batches of passes before `version` that a crash cut off; returns their number."""


class Refusals(Protocol):
    """ERR rows of refused rows (connectors.tables.failures.Failures)."""

    def refuse(self, refusals: Sequence[detection.Refusal], version: int, *, partial: Collection[str] = ()) -> int:
        """Writes an ERR row for each new refusal, resolves those of corrected rows. Returns the number of new ones.

        It resolves none of the codes in `partial`, of which `refusals` may lack some.
        """
