"""Matching decides which item of the board belongs to which order. Pure.

An item names orders by the first of four levels at which it names any: its key column, the row of an earlier workflow
that has its id, its business key, its name. Items are matched level by level, the most reliable first: an item and an
order that name only each other, among the free ones, are a match. Whoever has several partners, or a partner that is
contested at a higher level, is ambiguous and waits for a person.

A match depends on nothing that adopting another match changes. So a run that was stopped goes on with the same matches.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

# The canonical texts of the columns of the business key; () for one in which a required column is blank.
BusinessKey = tuple[str, ...]


class Kind(StrEnum):
    """How an item was matched, the most reliable first."""

    KNOWN = "known already"
    DECISION = "decided by a person"
    KEY = "by key column"
    PRODUCTION = "by production row"
    BUSINESS_KEY = "by business key"
    NAME = "by name"


LEVELS = (Kind.KEY, Kind.PRODUCTION, Kind.BUSINESS_KEY, Kind.NAME)


class Reason(StrEnum):
    """Why an item and an order that may belong together are not matched."""

    SEVERAL_ITEMS = "several items for one order"
    SEVERAL_ORDERS = "several orders for one item"
    OTHER_KEY = "its key names another order"
    CONTRADICTION = "the item and its production row name different orders"


class Row(NamedTuple):
    """An order of the source: `name` is the name that its item shall have."""

    record_uuid: str
    key: BusinessKey
    name: str


class Item(NamedTuple):
    """An item of the board. `named`: the order that its key column names, "" for none. `filled`: its business cells."""

    item_id: str
    named: str
    key: BusinessKey
    name: str
    filled: BusinessKey = ()


class Match(NamedTuple):
    """An item and the order that it belongs to."""

    record_uuid: str
    item_id: str
    kind: Kind


class Ambiguity(NamedTuple):
    """An item that may belong to an order, and why that is not certain."""

    record_uuid: str
    item_id: str
    reason: Reason


class Decided(NamedTuple):
    """What a person decided: the item of each of these orders, and pairs that do not belong together."""

    adopted: Mapping[str, str] = {}
    left: Collection[tuple[str, str]] = frozenset()


NOTHING_DECIDED = Decided()


@dataclass
class Matching:
    """The result. `spare`: items whose order has another item; `unmatched` items name no order of the source.

    `rows_left`: orders for which the board has no item.
    """

    matches: list[Match] = field(default_factory=list)
    ambiguous: list[Ambiguity] = field(default_factory=list)
    spare: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    rows_left: int = 0

    @property
    def counts(self) -> Counter[Kind]:
        """The matches by kind."""
        return Counter(match.kind for match in self.matches)

    @property
    def undecided(self) -> set[str]:
        """The orders that wait for a person's decision."""
        return {one.record_uuid for one in self.ambiguous}


class _Names(NamedTuple):
    """The orders that an item names, at one level. `foreign`: its key names an order that the source does not have.

    `contradicted`: the item and its production row name different orders.
    """

    level: Kind
    orders: frozenset[str]
    foreign: bool = False
    contradicted: bool = False


def match(
    rows: Sequence[Row],
    items: Sequence[Item],
    *,
    production: Mapping[str, BusinessKey],
    known: Mapping[str, str],
    decided: Decided = NOTHING_DECIDED,
) -> Matching:
    """Matches items and orders. `production`: the business key of the row of an earlier workflow, by item id.

    `known`: the item of each order that the ledger knows; such an order gets no other one, whether the item is there.
    Raises ValueError for a decision about an order or item that is not there, or that belongs to another one.
    """
    found = Matching()
    free_rows = {row.record_uuid for row in rows}
    free_items = {item.item_id: item for item in items}
    taken = {item_id: uuid for uuid, item_id in known.items()}
    for uuid, item_id in known.items():
        free_rows.discard(uuid)
        if free_items.pop(item_id, None) is not None:
            found.matches.append(Match(uuid, item_id, Kind.KNOWN))
    for uuid, item_id in decided.adopted.items():
        if known.get(uuid) == item_id:
            continue
        if item_id not in free_items or uuid not in free_rows:
            raise ValueError(_impossible(uuid, item_id, known, taken))
        free_rows.discard(uuid)
        del free_items[item_id]
        taken[item_id] = uuid
        found.matches.append(Match(uuid, item_id, Kind.DECISION))
    named = _Namer(rows, production)
    names = {item.item_id: named.of(item) for item in free_items.values()}
    contested: set[str] = set()
    for level in LEVELS:
        at_level = {item_id: one for item_id, one in names.items() if one is not None and one.level is level}
        contested |= _match_level(at_level, free_rows, contested, decided.left, found)
    found.unmatched += [item_id for item_id, one in names.items() if one is None]
    found.rows_left = len(free_rows - found.undecided)
    return found


def _match_level(
    names: Mapping[str, _Names],
    free_rows: set[str],
    contested: Collection[str],
    left: Collection[tuple[str, str]],
    found: Matching,
) -> set[str]:
    """Matches the items of one level and takes their orders out of `free_rows`. Returns those that are contested."""
    partners = {
        item_id: {uuid for uuid in one.orders if uuid in free_rows and (uuid, item_id) not in left}
        for item_id, one in names.items()
    }
    rivals = Counter(uuid for orders in partners.values() for uuid in orders)
    ambiguous: set[str] = set()
    for item_id, orders in partners.items():
        if not orders:
            found.spare.append(item_id)
            continue
        one = names[item_id]
        unique = len(orders) == 1 and not any(rivals[uuid] > 1 or uuid in contested for uuid in orders)
        if unique and not one.foreign and not one.contradicted:
            (uuid,) = orders
            found.matches.append(Match(uuid, item_id, one.level))
            continue
        ambiguous |= orders
        for uuid in sorted(orders):
            found.ambiguous.append(Ambiguity(uuid, item_id, _reason(one, orders)))
    free_rows.difference_update(match.record_uuid for match in found.matches)
    return ambiguous


def _reason(one: _Names, orders: Collection[str]) -> Reason:
    if one.foreign:
        return Reason.OTHER_KEY
    if one.contradicted:
        return Reason.CONTRADICTION
    return Reason.SEVERAL_ORDERS if len(orders) > 1 else Reason.SEVERAL_ITEMS


class _Namer:
    """Finds the orders that an item names."""

    def __init__(self, rows: Iterable[Row], production: Mapping[str, BusinessKey]) -> None:
        self._production = production
        self._uuids: set[str] = set()
        self._by_key: dict[BusinessKey, set[str]] = {}
        self._by_name: dict[str, list[Row]] = {}
        for row in rows:
            self._uuids.add(row.record_uuid)
            if row.key:
                self._by_key.setdefault(row.key, set()).add(row.record_uuid)
            if row.name:
                self._by_name.setdefault(row.name, []).append(row)

    def of(self, item: Item) -> _Names | None:
        """The orders at the first level at which the item names any; None if it names none."""
        if item.named in self._uuids:
            return _Names(Kind.KEY, frozenset([item.named]))
        foreign = bool(item.named)
        of_production = self._by_key.get(self._production.get(item.item_id, ()), set())
        of_item = self._by_key.get(item.key, set())
        if of_production:
            contradicted = bool(of_item) and of_item.isdisjoint(of_production)
            orders = of_production | of_item if contradicted else of_production
            return _Names(Kind.PRODUCTION, frozenset(orders), foreign, contradicted)
        if of_item:
            return _Names(Kind.BUSINESS_KEY, frozenset(of_item), foreign)
        of_name = {row.record_uuid for row in self._by_name.get(item.name, ()) if _agree(item.filled, row.key)}
        return _Names(Kind.NAME, frozenset(of_name), foreign) if of_name else None


def _agree(filled: BusinessKey, key: BusinessKey) -> bool:
    """Does no cell of the item contradict the order? A blank cell contradicts nothing."""
    return not key or all(not cell or cell == other for cell, other in zip(filled, key, strict=False))


def _impossible(uuid: str, item_id: str, known: Mapping[str, str], taken: Mapping[str, str]) -> str:
    if item_id in taken:
        return f"item {item_id} cannot be adopted for order {uuid}: it belongs to order {taken[item_id]}"
    if uuid in known:
        return f"item {item_id} cannot be adopted for order {uuid}: the order has item {known[uuid]} already"
    return f"item {item_id} cannot be adopted for order {uuid}: the board or the source does not have it"
