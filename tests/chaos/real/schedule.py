"""A schedule for real processes: what happens at the source, and who is struck meanwhile. All of it from the seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from connectors import samples
from connectors.samples import maker
from connectors.samples.cells import Row
from connectors.samples.changes import Kind as What
from connectors.samples.changes import Operation, SourceChange
from connectors.simulator.faults import Kind, Rule
from tests.chaos.real.points import Point
from tests.chaos.real.stage import POLLER

# Says which edit of an order this is, on the board too (PATTERN ID, a text).
MARK = "PATTERN ID"
WRITER = "the writer"
JOINER = "worker-extra"
BAD = "FOB AIR 2.50 SEA"


@dataclass(frozen=True)
class Arm:
    """The point strikes whoever makes its n-th passage from now."""

    point: Point
    passages: int


@dataclass(frozen=True)
class Kill:
    """SIGKILL for a process, or for whichever worker writes just then. `held`: it stays down until all is settled."""

    name: str
    held: bool = False


@dataclass(frozen=True)
class Away:
    """The broker is killed, and started again after so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Join:
    """One worker more."""


@dataclass(frozen=True)
class Leave:
    """It stops in order."""


@dataclass(frozen=True)
class Trouble:
    """The board's faults from now on."""

    rules: tuple[Rule, ...]

    @property
    def hides(self) -> bool:
        """May an answer be missing, so that nothing is confirmed for a while whoever writes?"""
        return any(rule.kind is not Kind.SLOW for rule in self.rules)


Act = Arm | Kill | Away | Join | Leave | Trouble | tuple[SourceChange, ...]


@dataclass(frozen=True)
class Schedule:
    """`steps`: seconds from the start, and what happens. `marks`: each order's marks in the order of its edits."""

    seed: int
    steps: tuple[tuple[float, Act], ...]
    marks: dict[str, list[str]]
    bad: frozenset[str]

    def __str__(self) -> str:
        lines = [f"seed {self.seed}: {len(self.marks)} orders, {len(self.bad)} of them refused in the end"]
        for at, act in self.steps:
            told = [f"{c.record_uuid} {c.effect}" for c in act] if isinstance(act, tuple) else [str(act)]
            lines += [f"  {at:4.1f} s  {one}" for one in told]
        return "\n".join(lines)


@dataclass
class _Order:
    """An order of the source while its life is made up. `shown` is None while it is away."""

    row: Row
    edits: int = 0
    shown: Row | None = None
    former: Row | None = None
    marks: list[str] = field(default_factory=list)

    @property
    def uuid(self) -> str:
        return str(self.row["record_uuid"])

    @property
    def bad(self) -> bool:
        return self.shown is not None and self.shown["FREIGHT"] == BAD


class Author:
    """Writes schedules for a source with these columns."""

    def __init__(self, columns: Sequence[str], size_columns: Sequence[str]) -> None:
        self.columns = columns
        self.size_columns = size_columns

    def schedule(self, seed: int) -> Schedule:
        """The same seed, the same schedule."""
        rng = random.Random(f"real {seed}")
        orders = self._orders(seed, rng.randint(8, 14))
        steps: list[tuple[float, Act]] = []
        at = 0.0
        for number in range(rng.randint(3, 5)):
            if changes := tuple(self._round(rng, orders, first=number == 0)):
                steps.append((at, changes))
            at += rng.uniform(0.2, 1.0)
        steps += _strikes(rng, at)
        # It takes its time to start: there is work when a worker joins, and when it leaves.
        leaves = max((when for when, act in steps if isinstance(act, Leave)), default=0.0)
        while at < leaves:
            if changes := tuple(self._round(rng, orders, first=False)):
                steps.append((at, changes))
            at += rng.uniform(0.5, 1.5)
        marks = {order.uuid: order.marks for order in orders if order.marks}
        bad = frozenset(order.uuid for order in orders if order.bad)
        return Schedule(seed, tuple(sorted(steps, key=lambda step: step[0])), marks, bad)

    def _orders(self, seed: int, count: int) -> list[_Order]:
        rows = samples.generate(
            seed=seed,
            orders=maker.GREYSON_ORDERS + count,
            columns=self.columns,
            size_columns=self.size_columns,
        )
        return [_Order(one.row) for one in rows if one.expected is samples.Expected.VALID][maker.GREYSON_ORDERS :]

    def _round(self, rng: random.Random, orders: Sequence[_Order], *, first: bool) -> list[SourceChange]:
        changes = []
        for order in orders:
            if not order.edits:
                if rng.random() < (0.7 if first else 0.4):
                    changes.append(_shown(order, order.row, What.NEW_ORDER, "comes"))
            elif rng.random() < 0.5:
                changes.append(self._change(rng, order))
        return changes

    def _change(self, rng: random.Random, order: _Order) -> SourceChange:
        if order.shown is None:
            return _shown(order, order.row, What.NEW_ORDER, "returns")
        if order.bad:
            return _shown(order, {**order.shown, "FREIGHT": order.row["FREIGHT"]}, What.UNWATCHED, "is mended")
        chance = rng.random()
        if chance < 0.12:
            order.former, order.shown = None, None
            return SourceChange(
                kind=What.DELETED, operation=Operation.DELETE, record_uuid=order.uuid, cells={}, effect="leaves"
            )
        if chance < 0.27 and order.former is not None:
            # The very same row again: the same hash, and the same mark.
            return _shown(order, order.former, What.QUANTITY_UP, "is edited back", marked=False)
        if chance < 0.34:
            return _shown(order, {**order.shown, "FREIGHT": BAD}, What.BAD_PRICE, "gets a bad price")
        if chance < 0.45:
            season = rng.choice(("2026 FALL", "2026 SPRING"))
            return _shown(order, {**order.shown, "CUSTOMER SEASON": season}, What.NEW_SEASON, f"moves to {season}")
        sizes = [label for label in self.size_columns if order.shown[label]]
        size = rng.choice(sizes or ["M"])
        quantity = 0 if rng.random() < 0.15 else rng.randrange(1, 900)
        return _shown(order, {**order.shown, size: quantity}, What.QUANTITY_UP, f"has {quantity} of size {size}")


def _shown(order: _Order, row: Row, kind: What, effect: str, *, marked: bool = True) -> SourceChange:
    """The source shows this row from now on."""
    before, order.edits = order.shown, order.edits + 1
    after = {**row, MARK: f"v{order.edits}"} if marked else dict(row)
    order.former, order.shown = before, after
    order.marks.append(str(after[MARK]))
    cells = after if before is None else {name: value for name, value in after.items() if value != before[name]}
    operation = Operation.INSERT if before is None else Operation.UPDATE
    said = f"{effect} ({after[MARK]})"
    return SourceChange(kind=kind, operation=operation, record_uuid=order.uuid, cells=cells, effect=said)


# How many passages a strike may let go: the more often a point is passed, the more.
_PASSAGES = {
    Point.HASH: 4, Point.PRODUCE: 3, Point.SNAPSHOT: 3, Point.STAGE_COMMIT: 3, Point.EMIT: 3, Point.INTENT: 6,
    Point.SEND: 6, Point.RESPONSE: 6, Point.RESULT_EMIT: 2, Point.PROMOTE_COMMIT: 3, Point.ACK: 30,
}  # fmt: skip


def _strikes(rng: random.Random, end: float) -> list[tuple[float, Act]]:
    """Who is struck while the source changes, until `end`."""
    steps: list[tuple[float, Act]] = []
    for point in rng.sample(list(Point), rng.randint(1, 4)):
        steps.append((rng.uniform(0, end * 0.7), Arm(point, rng.randint(1, _PASSAGES[point]))))
    if rng.random() < 0.06:
        # Every answer takes its time, so that the writer dies in the midst of its work.
        steps += [(0.0, Trouble((Rule(kind=Kind.SLOW, rate=1.0, seconds=1.0),))), (1.5, Kill(WRITER, held=True))]
        return steps
    if rng.random() < 0.5:
        victim = rng.choice((POLLER, "worker-1", "worker-2", WRITER))
        steps.append((rng.uniform(0.3, end + 0.5), Kill(victim)))
    if rng.random() < 0.12:
        steps.append((rng.uniform(0, end), Away(rng.uniform(0, 8))))
    if rng.random() < 0.15:
        joins = rng.uniform(0, end)
        # Some leave while they start; most take part.
        steps += [(joins, Join()), (joins + rng.uniform(2.0, 12.0), Leave())]
    if rng.random() < 0.3:
        steps.append((0.0, Trouble(_rules(rng))))
    return steps


# A wait of the API is one second at most. What surely was not done and what nobody knows cost long looks at the board.
_QUICK = (Kind.THROTTLE_429, Kind.THROTTLE_200, Kind.CONFLICT_409, Kind.LOCKED_423, Kind.SLOW)
_DONE = (Kind.LOST_RESPONSE, Kind.ERROR_500_AFTER, Kind.HANG)
_UNKNOWN = (Kind.RESET, Kind.ERROR_500_BEFORE, Kind.BAD_GATEWAY_HTML)


def _rules(rng: random.Random) -> tuple[Rule, ...]:
    kinds = [rng.choice(_QUICK), rng.choice(_DONE)]
    if rng.random() < 0.2:
        kinds.append(rng.choice(_UNKNOWN))
    return tuple(Rule(kind=kind, at=tuple(sorted(rng.sample(range(1, 16), 2))), seconds=1.0) for kind in kinds)
