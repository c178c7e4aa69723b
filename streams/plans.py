"""What the board would be told about a staged order: the difference to what it is known to hold, as a plain value.

Nothing is sent here, so a dry run prints exactly what a real run would send.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mappings import columns, labels, plan
from mappings import items as mapped
from mappings.loading import Mappings
from schemas import events, items
from schemas.base import ColumnValue, Model
from schemas.mappings import LabelPolicy
from schemas.orders import Problem, StagedOrder

Known = tuple[items.Entity | None, Sequence[items.Entity]]
NOTHING: Known = (None, ())


class Labels(Protocol):
    """The labels that the board's columns have now (streams.boardview.LabelBook)."""

    def known(self) -> Mapping[str, Collection[str]]: ...
    def created(self, columns: Mapping[str, ColumnValue]) -> None: ...


class Planned(Model):
    """What would be sent for one staged order, in this order. With problems nothing is.

    Sizes of an item that is yet to be made have no `parent_item_id`.
    """

    event: events.OrderStaged
    mutations: tuple[items.Mutation, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Planner:
    """Compares what an order shall be with what the ledger knows of it."""

    mappings: Mappings
    labels: Labels

    def item(self, order: StagedOrder, known: items.Entity | None) -> tuple[list[items.Mutation], tuple[Problem, ...]]:
        """The item's own mutations, and why it may not be told: a label that may not be made."""
        if order.removed:
            return plan.plan_removal(order.record_uuid, known, self.mappings.board.board.removal), ()
        mutations: list[items.Mutation] = []
        for mutation in plan.plan_item(self._desired(order), known):
            if isinstance(mutation, items.UpdateItem):
                mutation = self._without_the_peoples(mutation)
                if not mutation.columns:
                    continue
            if isinstance(mutation, items.CreateItem | items.UpdateItem):
                checked = labels.check(mutation.columns, self.labels.known(), self.mappings)
                if checked.problems:
                    return [], checked.problems
                mutation = mutation.model_copy(update={"create_labels": checked.creates})
            mutations.append(mutation)
        return mutations, ()

    def sizes(self, order: StagedOrder, item_id: str, known: Sequence[items.Entity]) -> list[items.Mutation]:
        """The mutations of its subitems."""
        board_id = self.mappings.board.board.subitem_board_id
        subitem = self.mappings.board.subitem
        found = plan.plan_sizes(
            self._desired(order),
            item_id,
            # An answer may leave out the board of a subitem; there is only one it can be on.
            [size if size.board_id else size.model_copy(update={"board_id": board_id}) for size in known],
            columns_of=lambda size, n: mapped.subitem_columns(size, n, self.mappings),
            name_of=lambda size: mapped.subitem_name(size, self.mappings),
        )
        if subitem.size.labels is not LabelPolicy.CREATE:
            return found
        return [_making_labels(mutation, subitem.size.id) for mutation in found]

    def whole(self, event: events.OrderStaged, order: StagedOrder, known: Known, groups: Collection[str]) -> Planned:
        """All of an order's mutations, as far as they can be known before the first of them is sent."""
        item, sizes = known
        mutations, problems = self.item(order, item)
        if problems:
            return Planned(event=event, problems=problems)
        wanted = {m.group_name for m in mutations if isinstance(m, items.CreateItem | items.MoveItem)}
        made: list[items.Mutation] = [items.CreateGroup(group_name=name) for name in sorted(wanted - set(groups))]
        below: list[items.Mutation] = []
        if not order.removed:
            there = item is not None and item.active
            below = self.sizes(order, item.item_id if item and there else "", sizes if there else ())
        return Planned(event=event, mutations=(*made, *mutations, *below))

    def _desired(self, order: StagedOrder) -> items.DesiredItem:
        return items.DesiredItem(
            record_uuid=order.record_uuid,
            name=order.item_name,
            group_name=order.group_name,
            columns=mapped.board_columns(order.values, order.record_uuid, self.mappings),
            sizes=order.sizes,
        )

    def _without_the_peoples(self, update: items.UpdateItem) -> items.UpdateItem:
        """A column that people own is filled when the item is made, and never told again."""
        theirs = columns.owned_by_people(self.mappings)
        ours = {column: value for column, value in update.columns.items() if column not in theirs}
        return update.model_copy(update={"columns": ours})


def _making_labels(mutation: items.Mutation, size_column: str) -> items.Mutation:
    # Size labels are column names of the source, verbatim: the board's Size dropdown learns them.
    if isinstance(mutation, items.CreateSubitem | items.UpdateSubitem) and size_column in mutation.columns:
        return mutation.model_copy(update={"create_labels": True})
    return mutation
