"""What `validate` says of detection on a server that hashes: what it cannot hash, and which way is quicker there."""

import statistics
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

SAMPLE = 1_000
RUNS = 3
# A difference below this says nothing on a server that works.
CLEAR = 0.8


class Server(Protocol):
    """The order table, whose server hashes (connectors.tables.orders_pushdown.PushdownOrders)."""

    def refused(self, columns: Sequence[str]) -> list[tuple[str, str]]: ...
    def identities(self) -> Generator[str, None, None]: ...
    def hasher(self, columns: Sequence[str]) -> Callable[[Sequence[str]], int]: ...


class Client(Protocol):
    """The order table, whose rows travel (connectors.tables.orders.Orders)."""

    def rows(
        self, record_uuids: Sequence[str], columns: Sequence[str]
    ) -> Mapping[str, tuple[str | None, str | None, str]]: ...


@dataclass(frozen=True)
class Timing:
    """Seconds that each way took for so many rows, medians of some runs."""

    rows: int
    server: float
    client: float

    def told(self, *, on_server: bool, setting: str | None) -> str:
        """In words; `on_server` is the way that the setting chooses, and `setting` what it says, if anything."""
        ratio = self.server / self.client
        chosen, other = ("server", "client") if on_server else ("client", "server")
        why = f"detect_hash is {setting}" if setting else "detect_hash is not set"
        quicker = (1 / ratio if on_server else ratio) < CLEAR
        advice = f"; `detect_hash: {other}` would be quicker" if quicker else ""
        return (
            f"a sample of {self.rows:,} rows: the server compares them in {self.server:.3f} s, the client in "
            f"{self.client:.3f} s ({ratio:.2f} times as long on the server); {why}, the {chosen} compares{advice}"
        )


@dataclass(frozen=True)
class Check:
    """Writes nothing. `clock` counts seconds."""

    server: Server
    client: Client
    row_hash: Callable[[str], str]
    clock: Callable[[], float]

    def unhashable(self, columns: Sequence[str]) -> list[str]:
        """One line for each of the columns that the server cannot hash."""
        refused = self.server.refused(columns)
        return [f"the server cannot hash [{name}] of ORDERS_UNIFIED, which is {kind}" for name, kind in refused]

    def timing(self, columns: Sequence[str]) -> Timing | None:
        """How long each way takes to hash the first rows and to look at their snapshots; None of an empty table.

        The runs are in turn, so that what disturbs one way disturbs both; the first of each only warms up.
        """
        with closing(self.server.identities()) as identities:
            uuids = list(islice(identities, SAMPLE))
        if not uuids:
            return None
        ways = (self.server.hasher(columns), self._hasher(columns))
        taken: list[list[float]] = [[], []]
        for _ in range(1 + RUNS):
            for way, seconds in zip(ways, taken, strict=True):
                begun = self.clock()
                way(uuids)
                seconds.append(self.clock() - begun)
        server, client = (statistics.median(seconds[1:]) for seconds in taken)
        return Timing(len(uuids), server, client)

    def _hasher(self, columns: Sequence[str]) -> Callable[[Sequence[str]], int]:
        def hashes(uuids: Sequence[str]) -> int:
            return len({self.row_hash(text) for _, _, text in self.client.rows(uuids, columns).values()})

        return hashes
