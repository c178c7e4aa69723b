"""What a plan would change on the board, field by field, and what it would cost."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mappings.loading import Mappings
from schemas import items
from schemas.base import ColumnValue
from streams.sync import plan

NAME, GROUP = "name", "group"


@dataclass(frozen=True)
class Field:
    """One field of an order that would change; `size` names the size whose field it is. None: nothing stands there."""

    record_uuid: str
    size: str
    field: str
    was: str | None
    becomes: str | None


@dataclass(frozen=True)
class Cost:
    """Mutations by kind, the requests that carry them at least, and minutes of the API's budget."""

    mutations: Mapping[str, int]
    requests: int
    minutes: float

    @property
    def total(self) -> int:
        """All mutations."""
        return sum(self.mutations.values())


def cost(planned: Sequence[plan.Planned], *, batch_size: int, per_minute: float) -> Cost:
    """Of all these plans together. `per_minute` is how many mutations the API takes in a minute."""
    kinds: Counter[str] = Counter(mutation.kind for one in planned for mutation in one.mutations)
    sizes = sum(n for kind, n in kinds.items() if kind.endswith("_subitem"))
    groups = kinds["create_group"]
    # Groups first, then items, then sizes: three waves of requests.
    waves = (groups, kinds.total() - sizes - groups, sizes)
    return Cost(dict(kinds), sum(-(-n // batch_size) for n in waves), kinds.total() / per_minute)


def fields(planned: plan.Planned, known: plan.Known, mappings: Mappings) -> Iterator[Field]:
    """The fields that a plan changes on an item that is there; an item that is made or removed has none."""
    item, sizes = known
    titles = {column.id: column.title or column.id for column in mappings.board.columns}
    by_size = {size.size_label: size for size in sizes if size.active}
    uuid = planned.event.record_uuid
    for mutation in planned.mutations:
        match mutation:
            case items.UpdateItem() if item is not None:
                for column, value in mutation.columns.items():
                    was = item.name if column == "name" else _text(item.columns.get(column))
                    yield Field(uuid, "", titles.get(column, column), was, _text(value))
            case items.MoveItem() if item is not None:
                yield Field(uuid, "", GROUP, item.group_name, mutation.group_name)
            case items.UpdateSubitem() | items.CreateSubitem() if item is not None and item.active:
                before = by_size.get(mutation.size_label)
                quantity = mappings.board.subitem.quantity.id
                was = None if before is None else _text(before.columns.get(quantity))
                yield Field(uuid, mutation.size_label, "quantity", was, _text(mutation.columns.get(quantity)))


def _text(value: ColumnValue | None) -> str | None:
    """A column's value, as a person reads it."""
    if isinstance(value, dict):
        inner = next(iter(value.values()), "")
        return ", ".join(str(one) for one in inner) if isinstance(inner, list) else str(inner)
    return None if value is None else str(value)
