"""A schedule: what happens to a few orders, and what goes wrong meanwhile. Everything follows from the seed."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from connectors.simulator.faults import Kind, Rule
from schemas.orders import StagedOrder

CUSTOMER = "GREYSON CLOTHIERS"
SIZES = ("XS", "S", "M", "L", "XL", "32/30", "ONE SIZE")
GROUPS = tuple(f"{CUSTOMER} {season}" for season in ("2026 SPRING", "2026 FALL", "UNKNOWN_SEASON"))
UNITS = ("PCE", "SET")
# A quantity tells its version: 3002 is the third version's.
PER_VERSION = 1000


class Point(StrEnum):
    """Where a process can be struck."""

    BEFORE_LEAVE = "before leave"
    BEFORE_INTENT = "before intent"
    AFTER_INTENT = "after intent"
    AFTER_SEND = "after send"
    AFTER_ANSWER = "after answer"
    BEFORE_CLOSE = "before close"
    AFTER_CLOSE = "after close"
    BEFORE_FINISH = "before finish"
    AFTER_FINISH = "after finish"


class Person(StrEnum):
    """What somebody does on the board by hand."""

    DELETE_ITEM = "delete item"
    ARCHIVE_ITEM = "archive item"
    DELETE_SUBITEM = "delete subitem"


@dataclass(frozen=True)
class Strike:
    """The process dies, or is frozen for `seconds` while its lease lapses, when `point` is passed for the nth time.

    A dead one starts again after `seconds`; if `news`, the next pass is staged by then.
    """

    point: Point
    nth: int
    seconds: float
    frozen: bool = False
    news: bool = False


@dataclass(frozen=True)
class Pass:
    """A detection pass: new versions of some orders, staged together after a pause."""

    version: int
    orders: tuple[StagedOrder, ...]
    pause: float
    person: tuple[Person, int] | None = None


@dataclass(frozen=True)
class Schedule:
    """One story. `again` are passes whose events come twice; `together` passes are staged before any is synced.

    `board`: further settings of the simulator (connectors.simulator.config.Config).
    """

    seed: int
    passes: tuple[Pass, ...]
    rules: tuple[Rule, ...]
    strikes: tuple[Strike, ...]
    lookup_lag: float
    complexity: int
    batch_size: int
    together: frozenset[int] = frozenset()
    again: frozenset[int] = frozenset()
    board: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"seed {self.seed}: lag {self.lookup_lag} s, {self.complexity} points, batches of {self.batch_size}"]
        lines += [f"  {rule.kind} {rule.model_dump(exclude={'kind'}, exclude_defaults=True)}" for rule in self.rules]
        lines += [f"  {strike}" for strike in self.strikes]
        for one in self.passes:
            held = " (held back)" if one.version in self.together else ""
            lines.append(f"  pass {one.version} after {one.pause:.0f} s{held}, by hand: {one.person}")
            lines += [
                f"    {o.record_uuid[-2:]} {'removed' if o.removed else (o.item_name, o.group_name, o.sizes)}"
                for o in one.orders
            ]
        return "\n".join(lines)


@dataclass
class _Order:
    """An order while its life is made up."""

    number: int
    name: str = ""
    group: str = ""
    values: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    removed: bool = True


def schedule(seed: int) -> Schedule:
    """The story of a seed."""
    rng = random.Random(f"story {seed}")
    orders = [_Order(number) for number in range(1, rng.randint(2, 6) + 1)]
    count = rng.randint(3, 5)
    passes = [_pass(rng, orders, version, last=version == count) for version in range(1, count + 1)]
    frozen = rng.random() < 0.15
    batch_size = rng.choice((1, 3, 5, 25))
    rules = board_rules(rng, forgetful=not frozen, batch_size=batch_size)
    forgetful = any(rule.kind is Kind.DROP_IDEMPOTENCY for rule in rules)
    strikes = _strikes(rng, frozen=frozen and not forgetful)
    return Schedule(
        seed=seed,
        passes=tuple(passes),
        rules=rules,
        strikes=strikes,
        lookup_lag=rng.choice((0.0, 0.0, 1.0, 4.0, 10.0, 18.0)),
        complexity=rng.choice((10_000_000, 10_000_000, 1_000_000, 600_000)),
        batch_size=batch_size,
        together=frozenset(one.version for one in passes[:-1] if rng.random() < 0.25),
        again=frozenset(one.version for one in passes if rng.random() < 0.3),
    )


def _pass(rng: random.Random, orders: list[_Order], version: int, *, last: bool) -> Pass:
    person = None
    if version > 1 and rng.random() < 0.2:
        person = (rng.choice(list(Person)), rng.choice(orders).number)
    staged: list[StagedOrder] = []
    for order in orders:
        touched = person is not None and person[1] == order.number
        if version == 1 or last or touched or rng.random() < 0.6:
            _change(rng, order, version, thorough=touched)
            staged.append(_staged(order, version, position=len(staged)))
    pause = rng.choice((0.0, 1.0, 20.0, 70.0, 29 * 60.0, 31 * 60.0))
    return Pass(version, tuple(staged), pause, person)


def _change(rng: random.Random, order: _Order, version: int, *, thorough: bool) -> None:
    if not order.removed and not thorough and rng.random() < 0.12:
        order.removed = True
        return
    if order.removed:
        order.name, order.group = f"STYLE-{order.number} NAVY", rng.choice(GROUPS)
        order.removed, order.sizes = False, {}
        thorough = True
    order.values = {"AAG ORDER NUMBER": f"GRE-{order.number:05d}", "CUSTOMER": CUSTOMER} | {
        name: value for name, value in order.values.items() if name in ("PATTERN ID", "CUSTOMER ALT PO")
    }
    if thorough or rng.random() < 0.7:
        order.values["PATTERN ID"] = f"v{version}"
        order.values["UNIT OF MEASURE"] = rng.choice(UNITS)
        order.values.pop("CUSTOMER ALT PO", None)
        if rng.random() < 0.6:
            order.values["CUSTOMER ALT PO"] = f"ALT-{rng.randrange(2)}"
    # What goes back and forth shows whether a ledger believes what it should not.
    order.values["DESTINATION"] = rng.choice(("USA", "CANADA"))
    if rng.random() < 0.2:
        order.name = f"STYLE-{order.number} {rng.choice(('NAVY', 'WHITE'))}"
    if rng.random() < 0.25:
        order.group = rng.choice(GROUPS)
    for size in rng.sample(SIZES, rng.randint(1, 4)):
        if not thorough and size in order.sizes and rng.random() < 0.3:
            del order.sizes[size]
        else:
            order.sizes[size] = version * PER_VERSION + rng.randrange(1, 100)
    if thorough:
        order.sizes = {size: version * PER_VERSION + rng.randrange(1, 100) for size in order.sizes}


def _staged(order: _Order, version: int, *, position: int) -> StagedOrder:
    body = {} if order.removed else {"values": dict(order.values), "sizes": dict(order.sizes)}
    return StagedOrder(
        stg_id=version << 28 | position << 11,
        record_uuid=f"00000000-0000-4000-8000-0000000000{order.number:02d}",
        version=version,
        row_hash=f"{order.number}-{version}",
        batch_id=f"00000000-0000-4000-9000-0000000000{version:02d}",
        customer=CUSTOMER,
        group_name="" if order.removed else order.group,
        item_name="" if order.removed else order.name,
        removed=order.removed,
        **body,
    )


def _hang(rng: random.Random, at: tuple[int, ...]) -> Rule:
    """The API executes a request within a minute, as it promises, whenever the answer comes."""
    seconds, executed, late = rng.choice((5, 45, 90)), rng.random() < 0.7, rng.random() < 0.5
    return Rule(kind=Kind.HANG, at=at, seconds=seconds, executed=executed, late=late and seconds < 60)


# Each draws a rule that strikes the given requests.
TROUBLE: tuple[Callable[[random.Random, tuple[int, ...]], Rule], ...] = (
    lambda rng, at: Rule(kind=Kind.LOST_RESPONSE, at=at),
    lambda rng, at: Rule(kind=Kind.ERROR_500_BEFORE, at=at),
    lambda rng, at: Rule(kind=Kind.ERROR_500_AFTER, at=at),
    lambda rng, at: Rule(kind=Kind.BAD_GATEWAY_HTML, at=at, executed=rng.random() < 0.5),
    _hang,
    lambda rng, at: Rule(kind=Kind.RESET, at=at),
    lambda rng, at: Rule(kind=Kind.CONFLICT_409, at=at, seconds=rng.choice((1, 5))),
    lambda rng, at: Rule(kind=Kind.LOCKED_423, at=at, seconds=rng.choice((1, 5))),
    lambda rng, at: Rule(kind=Kind.THROTTLE_429, at=at, seconds=rng.choice((1, 16, 60))),
    lambda rng, at: Rule(kind=Kind.THROTTLE_200, at=at, seconds=rng.choice((1, 16))),
    lambda rng, at: Rule(kind=Kind.LEGACY_ERROR, at=at, seconds=rng.choice((1, 16)), status=rng.choice((200, 429))),
    lambda rng, at: Rule(kind=Kind.PARTIAL_ALIASES, at=at, share=rng.choice((0.2, 0.5, 1.0))),
    lambda rng, at: Rule(kind=Kind.NULL_ALIAS, at=at, executed=rng.random() < 0.5, share=rng.choice((0.2, 0.5, 1.0))),
    lambda rng, at: Rule(kind=Kind.SLOW, at=at, seconds=rng.choice((3, 25, 59))),
    lambda rng, at: Rule(kind=Kind.DAILY_LIMIT, at=at[:1]),
    lambda rng, at: Rule(kind=Kind.UNAUTHORIZED, at=at[:1]),
    lambda rng, at: Rule(kind=Kind.BOARD_MISSING, at=at[:1]),
    lambda rng, at: Rule(kind=Kind.ERROR_500_BEFORE, of="query", at=at[:2]),
    lambda rng, at: Rule(kind=Kind.LOST_RESPONSE, of="query", at=at[:2]),
    lambda rng, at: Rule(kind=Kind.THROTTLE_429, of="query", at=at[:2], seconds=5),
)


def board_rules(rng: random.Random, *, forgetful: bool, batch_size: int) -> tuple[Rule, ...]:
    rules = []
    for trouble in rng.sample(TROUBLE, rng.randint(1, 5)):
        at = tuple(sorted(rng.sample(range(1, 20), rng.randint(1, 4))))
        rules.append(trouble(rng, at))
    if rng.random() < 0.4:
        rules += _goes_on(rng, batch_size)
    if forgetful and rng.random() < 0.25:
        # What arrives or goes on later than the API promises, and is remembered by no key, nobody could know of.
        rules = [rule for rule in rules if rule.kind not in (Kind.SLOW, Kind.HANG)]
        forgets = Rule(kind=Kind.DROP_IDEMPOTENCY, rate=rng.choice((0.5, 1.0)), while_running=rng.random() < 0.5)
        rules.append(forgets)
    return tuple(rules)


def _goes_on(rng: random.Random, batch_size: int) -> list[Rule]:
    """Aliases that take their time, up to a minute in all, and a gateway that gives up while the API goes on."""
    at = tuple(sorted(rng.sample(range(1, 15), rng.randint(1, 5))))
    slow = Rule(kind=Kind.SLOW_ALIASES, at=at, seconds=rng.uniform(0.1, min(3.0, 58.0 / batch_size)))
    given_up = tuple(each for each in at if rng.random() < 0.7) or at[:1]
    answer = rng.choice(({}, {"status": 504}, {"cut": True}))
    return [slow, Rule(kind=Kind.GATEWAY_GIVES_UP, at=given_up, seconds=rng.choice((0.5, 3.0, 15.0, 40.0)), **answer)]


def _strikes(rng: random.Random, *, frozen: bool) -> tuple[Strike, ...]:
    """Restarts right after, around minute 29, and after minute 31; a frozen process outlives its lease."""
    strikes = []
    for _ in range(rng.randint(0, 3)):
        gap = rng.choice((2.0, 2.0, 45.0, 29 * 60.0 + rng.uniform(-40, 20), 31 * 60.0))
        strikes.append(Strike(rng.choice(list(Point)), rng.randint(1, 10), gap, news=rng.random() < 0.5))
    if frozen:
        # Between commit and socket no check of ours can run: streams.sync.writer states that gap, it is not played.
        point = rng.choice((Point.BEFORE_LEAVE, Point.AFTER_ANSWER))
        strikes.append(Strike(point, rng.randint(1, 8), rng.choice((40.0, 300.0, 1500.0)), frozen=True))
    return tuple(strikes)
