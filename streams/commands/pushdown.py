"""Push-down detection, checked on a sample: the server's comparison of rows against the comparison in Python.

The trial answers two questions. Does the server leave out only rows that equal their snapshot row? Do two rows of the
sample have the same hash on the server exactly if they have the same canonical text here? The check names the columns
that the server cannot hash, and measures which side compares faster.
"""

import random
import statistics
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

# A row that is edited between the two statements differs only in one of them: the trial checks it once more.
TRIES = 3


class Source(Protocol):
    """The order table, whose server hashes (connectors.tables.orders_pushdown.PushdownOrders)."""

    def identities(self) -> Iterator[str]:
        """The record_uuid of every row. Like all methods, raises Transient while the server is away."""

    def duplicates(self) -> dict[str, int]:
        """Every record_uuid that several rows share, with their number."""

    def scan(self, columns: Sequence[str]) -> Iterator[tuple[str, str | None, str, str | None]]:
        """The rows that differ from their snapshot row: record_uuid, known hash, canonical text, state."""

    def hashed(
        self, record_uuids: Sequence[str], columns: Sequence[str]
    ) -> Iterator[tuple[str, str | None, str | None, str, bytes]]:
        """These rows: record_uuid, known hash, state, canonical text, the server's hash."""


@dataclass(frozen=True)
class Verdict:
    """The number of `rows` in the sample, of those that `differ` from their snapshot row, and the disagreements."""

    rows: int
    differ: int
    wrong: tuple[str, ...]


@dataclass(frozen=True)
class PushdownTrial:
    """Compares a sample on both sides; writes nothing. Its memory grows with the sample, not with the table."""

    source: Source
    columns: Sequence[str]
    row_hash: Callable[[str], str]
    rng: random.Random

    def check(self, rows: int) -> Verdict:
        """Compares this number of rows, or all if there are fewer. Rows that share a record_uuid are refused rows."""
        shared = self.source.duplicates()
        chosen = sample((uuid for uuid in self.source.identities() if uuid not in shared), rows, self.rng)
        differing, left_out = self._compare(chosen)
        for _ in range(TRIES):
            if left_out:
                _, left_out = self._compare(sorted(left_out))
        wrong = [f"{uuid} differs from its snapshot row, and the server leaves it out" for uuid in sorted(left_out)]
        return Verdict(len(chosen), len(differing), (*wrong, *self._mistaken(chosen)))

    def _compare(self, chosen: Sequence[str]) -> tuple[set[str], set[str]]:
        """The chosen rows that differ from their snapshot row, and those of them that the server leaves out."""
        wanted = set(chosen)
        scanned = {uuid for uuid, *_ in self.source.scan(self.columns) if uuid in wanted}
        hashed = self.source.hashed(chosen, self.columns)
        differing = {uuid for uuid, known, _, text, _ in hashed if known != self.row_hash(text)}
        return differing, differing - scanned

    def _mistaken(self, chosen: Sequence[str]) -> Iterator[str]:
        """Pairs of rows that are equal on one side only, one line each."""
        by_text: dict[str, tuple[str, bytes]] = {}
        by_hash: dict[bytes, tuple[str, str]] = {}
        for uuid, _, _, text, server_hash in self.source.hashed(chosen, self.columns):
            python_hash = self.row_hash(text)
            first, first_server_hash = by_text.setdefault(python_hash, (uuid, server_hash))
            if first_server_hash != server_hash:
                yield f"{first} and {uuid} are equal, and the server hashes them differently"
            first, first_python_hash = by_hash.setdefault(server_hash, (uuid, python_hash))
            if first_python_hash != python_hash:
                yield f"{first} and {uuid} differ, and the server hashes them alike"


def sample(uuids: Iterable[str], size: int, rng: random.Random) -> list[str]:
    """A uniform random sample of this size, in one iteration (reservoir sampling)."""
    kept: list[str] = []
    for count, uuid in enumerate(uuids, 1):
        if len(kept) < size:
            kept.append(uuid)
        elif (at := rng.randrange(count)) < size:
            kept[at] = uuid
    return kept


SAMPLE = 1_000
RUNS = 3
# A ratio above this is no clear difference on a busy server.
CLEAR = 0.8


class Server(Protocol):
    """The order table, whose server hashes (connectors.tables.orders_pushdown.PushdownOrders)."""

    def refused(self, columns: Sequence[str]) -> list[tuple[str, str]]:
        """The columns that the server cannot hash, each with its type. Raises Transient while the server is away."""

    def identities(self) -> Generator[str, None, None]:
        """The record_uuid of every row. Raises Transient while the server is away."""

    def hasher(self, columns: Sequence[str]) -> Callable[[Sequence[str]], int]:
        """A function that has the server hash these rows and returns how many it hashed. Raises Transient, like it."""


class Client(Protocol):
    """The order table, whose rows are hashed here (connectors.tables.orders.Orders)."""

    def rows(
        self, record_uuids: Sequence[str], columns: Sequence[str]
    ) -> Mapping[str, tuple[str | None, str | None, str]]:
        """By record_uuid: known hash, state, canonical text. Raises Transient while the server is away."""


@dataclass(frozen=True)
class Timing:
    """Seconds that each side took to hash this number of rows: the medians of several runs."""

    rows: int
    server: float
    client: float

    def describe(self, *, on_server: bool, setting: str | None) -> str:
        """One line. `on_server`: whether the server compares now; `setting`: the value of detect_hash, if it is set."""
        ratio = self.server / self.client
        chosen, other = ("server", "client") if on_server else ("client", "server")
        why = f"detect_hash is {setting}" if setting else "detect_hash is not set"
        faster = (1 / ratio if on_server else ratio) < CLEAR
        advice = f"; `detect_hash: {other}` would be faster" if faster else ""
        return (
            f"a sample of {self.rows:,} rows: the server compares them in {self.server:.3f} s, the client in "
            f"{self.client:.3f} s ({ratio:.2f} times as long on the server); {why}, the {chosen} compares{advice}"
        )


@dataclass(frozen=True)
class PushdownCheck:
    """Checks the types of the watched columns, and measures both sides. Writes nothing. `clock` counts seconds."""

    server: Server
    client: Client
    row_hasher: Callable[[Sequence[str]], Callable[[str], str]]
    clock: Callable[[], float]

    def unhashable(self, columns: Sequence[str]) -> list[str]:
        """One line for each column that the server cannot hash."""
        refused = self.server.refused(columns)
        return [f"the server cannot hash [{name}] of ORDERS_UNIFIED, which is {kind}" for name, kind in refused]

    def timing(self, columns: Sequence[str]) -> Timing | None:
        """The time that each side takes to hash the first rows and to read their snapshot rows. None: an empty table.

        The runs alternate, so that a disturbance hits both sides; the first run of each only opens plans and pages.
        """
        with closing(self.server.identities()) as identities:
            uuids = list(islice(identities, SAMPLE))
        if not uuids:
            return None
        sides = (self.server.hasher(columns), self._hasher(columns))
        durations: list[list[float]] = [[], []]
        for _ in range(1 + RUNS):
            for hashes, seconds in zip(sides, durations, strict=True):
                started = self.clock()
                hashes(uuids)
                seconds.append(self.clock() - started)
        server, client = (statistics.median(seconds[1:]) for seconds in durations)
        return Timing(len(uuids), server, client)

    def _hasher(self, columns: Sequence[str]) -> Callable[[Sequence[str]], int]:
        row_hash = self.row_hasher(columns)

        def hashes(uuids: Sequence[str]) -> int:
            return len({row_hash(text) for _, _, text in self.client.rows(uuids, columns).values()})

        return hashes
