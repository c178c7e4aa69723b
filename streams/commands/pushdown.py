"""The trial of push-down detection: a sample of rows, compared by the server and here.

Two questions. Does the server leave out only rows that equal their snapshot? And would it see any of them become any
other: have two rows of the sample one hash there exactly if they have one text here?
"""

import random
import statistics
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

# A row that is edited between two statements looks different to each: it is asked about again.
TRIES = 3


class Source(Protocol):
    """The order table, whose server hashes (connectors.tables.orders_pushdown.PushdownOrders)."""

    def identities(self) -> Iterator[str]: ...
    def duplicates(self) -> dict[str, int]: ...
    def scan(self, columns: Sequence[str]) -> Iterator[tuple[str, str | None, str, str | None]]: ...
    def hashed(
        self, record_uuids: Sequence[str], columns: Sequence[str]
    ) -> Iterator[tuple[str, str | None, str | None, str, bytes]]: ...


@dataclass(frozen=True)
class Verdict:
    """`rows` of the sample, how many `differ` from their snapshot, and in words what the two ways do not agree on."""

    rows: int
    differ: int
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class PushdownTrial:
    """Writes nothing. Its memory grows with the sample, not with the table."""

    source: Source
    columns: Sequence[str]
    row_hash: Callable[[str], str]
    rng: random.Random

    def look(self, rows: int) -> Verdict:
        """Compares so many rows, or all if there are fewer; those that share an identity are no orders."""
        doubled = self.source.duplicates()
        chosen = sample((uuid for uuid in self.source.identities() if uuid not in doubled), rows, self.rng)
        differing, unseen = self._compared(chosen)
        for _ in range(TRIES):
            if unseen:
                _, unseen = self._compared(sorted(unseen))
        wrong = [f"{uuid} differs from its snapshot, and the server leaves it out" for uuid in sorted(unseen)]
        return Verdict(len(chosen), len(differing), (*wrong, *self._mistaken(chosen)))

    def _compared(self, chosen: Sequence[str]) -> tuple[set[str], set[str]]:
        """Which of the chosen rows differ from their snapshot, and which of these the server leaves out."""
        wanted = set(chosen)
        seen = {uuid for uuid, *_ in self.source.scan(self.columns) if uuid in wanted}
        found = self.source.hashed(chosen, self.columns)
        differing = {uuid for uuid, known, _, text, _ in found if known != self.row_hash(text)}
        return differing, differing - seen

    def _mistaken(self, chosen: Sequence[str]) -> Iterator[str]:
        """Pairs of rows that one way tells apart and the other does not."""
        by_text: dict[str, tuple[str, bytes]] = {}
        by_hash: dict[bytes, tuple[str, str]] = {}
        for uuid, _, _, text, server_hash in self.source.hashed(chosen, self.columns):
            here = self.row_hash(text)
            first, its_hash = by_text.setdefault(here, (uuid, server_hash))
            if its_hash != server_hash:
                yield f"{first} and {uuid} are equal, and the server tells them apart"
            first, its_text = by_hash.setdefault(server_hash, (uuid, here))
            if its_text != here:
                yield f"{first} and {uuid} differ, and the server takes one for the other"


def sample(uuids: Iterable[str], size: int, rng: random.Random) -> list[str]:
    """So many of them, each as likely as any other, in one look."""
    kept: list[str] = []
    for seen, uuid in enumerate(uuids, 1):
        if len(kept) < size:
            kept.append(uuid)
        elif (at := rng.randrange(seen)) < size:
            kept[at] = uuid
    return kept


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
class PushdownCheck:
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
