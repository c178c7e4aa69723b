"""The changes of a plan, field by field as the board would show them, and its cost."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mappings.loading import Mappings
from schemas import items
from schemas.base import ColumnValue
from streams.sync import plan

GROUP = "group"


@dataclass(frozen=True)
class Field:
    """One field of an order that a plan changes; `size` is blank for a field of the item. None: the field is empty."""

    record_uuid: str
    size: str
    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Cost:
    """Mutations by kind, the least number of requests that carry them, and the minutes of API budget they use up."""

    mutations: Mapping[str, int]
    requests: int
    minutes: float

    @property
    def total(self) -> int:
        """The number of all mutations."""
        return sum(self.mutations.values())


def cost(planned: Sequence[plan.Planned], *, batch_size: int, per_minute: float) -> Cost:
    """The cost of all these plans together. `per_minute`: mutations that the API accepts in a minute."""
    kinds: Counter[str] = Counter(mutation.kind for one in planned for mutation in one.mutations)
    sizes = sum(n for kind, n in kinds.items() if kind.endswith("_subitem"))
    groups = kinds["create_group"] + kinds["rename_group"]
    # Groups first, then items, then sizes: three waves of requests.
    waves = (groups, kinds.total() - sizes - groups, sizes)
    return Cost(dict(kinds), sum(-(-n // batch_size) for n in waves), kinds.total() / per_minute)


def fields(planned: plan.Planned, known: plan.Known, mappings: Mappings) -> Iterator[Field]:
    """The fields that a plan changes on an existing item; there is none for an item that it creates or removes."""
    item, sizes = known
    titles = {column.id: column.title or column.id for column in mappings.board.columns}
    by_size = {size.size_label: size for size in sizes if size.active}
    uuid = planned.event.record_uuid
    for mutation in planned.mutations:
        match mutation:
            case items.UpdateItem() if item is not None:
                for column, value in mutation.columns.items():
                    before = item.name if column == "name" else _text(item.columns.get(column))
                    yield Field(uuid, "", titles.get(column, column), before, _text(value))
            case items.MoveItem() if item is not None:
                yield Field(uuid, "", GROUP, item.group_name, mutation.group_name)
            case items.UpdateSubitem() | items.CreateSubitem() if item is not None and item.active:
                subitem = by_size.get(mutation.size_label)
                quantity = mappings.board.subitem.quantity.id
                before = None if subitem is None else _text(subitem.columns.get(quantity))
                yield Field(uuid, mutation.size_label, "quantity", before, _text(mutation.columns.get(quantity)))


def _text(value: ColumnValue | None) -> str | None:
    """A column's value as the board shows it."""
    if isinstance(value, dict):
        inner = next(iter(value.values()), "")
        return ", ".join(str(one) for one in inner) if isinstance(inner, list) else str(inner)
    return None if value is None else str(value)
