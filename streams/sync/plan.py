"""The plan of a staged order: the mutations that bring the board from what it is known to hold to what it shall show.

Pure: nothing is sent here. What a dry run prints and what the sync step sends come from these functions.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

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
    """The labels that the board's columns have now (streams.sync.board.LabelBook)."""

    def known(self) -> Mapping[str, Collection[str]]: ...
    def created(self, columns: Mapping[str, ColumnValue]) -> None: ...


class Planned(Model):
    """What would be sent for one staged order, in this order. With problems nothing is.

    Sizes of an item that is yet to be made have no `parent_item_id`.
    """

    event: events.OrderStaged
    mutations: tuple[items.Mutation, ...] = ()
    problems: tuple[Problem, ...] = ()


class Wanted(NamedTuple):
    """An order to plan: its event, its staged state, what the board is known to hold of it, and what it holds twice."""

    event: events.OrderStaged
    order: StagedOrder
    known: Known = NOTHING
    copies: Sequence[items.RemoveItem] = ()


def replayed(order: StagedOrder) -> StagedOrder:
    """An order as a replay compares it with the board: a size of 0 had left it, and a board without it is right."""
    return order.model_copy(update={"sizes": {label: n for label, n in order.sizes.items() if n}})


@dataclass(frozen=True)
class Planner:
    """Compares what an order shall be with what the ledger knows of it, in three waves: groups, items, sizes.

    Two visitors go through the same waves. A dry run plans them one after the other (`plan_all`); the sync step sends
    each one, and plans the next against what the board has confirmed (sync/step.py).
    """

    mappings: Mappings
    labels: Labels

    def item_wave(
        self, order: StagedOrder, known: items.Entity | None, copies: Sequence[items.RemoveItem] = ()
    ) -> tuple[list[items.Mutation], tuple[Problem, ...]]:
        """The mutations of the item, after those that remove its `copies`; or the problems for which it is refused:
        a label that may not be created.
        """
        if order.removed:
            return [*copies, *plan.plan_removal(order.record_uuid, known, self.mappings.board.board.removal)], ()
        mutations: list[items.Mutation] = [*copies]
        for mutation in plan.plan_item(self._desired(order), known):
            if isinstance(mutation, items.UpdateItem):
                mutation = self._without_user_columns(mutation)
                if not mutation.columns:
                    continue
            if isinstance(mutation, items.CreateItem | items.UpdateItem):
                checked = labels.check(mutation.columns, self.labels.known(), self.mappings)
                if checked.problems:
                    return [], checked.problems
                mutation = mutation.model_copy(update={"create_labels": checked.creates})
            mutations.append(mutation)
        return mutations, ()

    def group_wave(self, mutations: Iterable[items.Mutation], groups: Collection[str]) -> list[items.CreateGroup]:
        """The groups that these mutations need and the board does not have, by name."""
        wanted = {one.group_name for one in mutations if isinstance(one, items.CreateItem | items.MoveItem)}
        return [items.CreateGroup(group_name=name) for name in sorted(wanted - set(groups))]

    def size_wave(
        self, order: StagedOrder, item: items.Entity | None, known: Sequence[items.Entity]
    ) -> list[items.Mutation]:
        """The mutations of its subitems. Those of an item that is yet to be created have no `parent_item_id`."""
        if order.removed:
            return []
        if item is None or not item.active:
            item_id, known = "", ()
        else:
            item_id = item.item_id
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

    def plan_order(self, wanted: Wanted, groups: Collection[str]) -> Planned:
        """All mutations of one order, as far as they can be known before the first of them is sent: the three waves."""
        if wanted.order.problems:
            return Planned(event=wanted.event, problems=wanted.order.problems)
        item, sizes = wanted.known
        mutations, problems = self.item_wave(wanted.order, item, wanted.copies)
        if problems:
            return Planned(event=wanted.event, problems=problems)
        made = self.group_wave(mutations, groups)
        return Planned(event=wanted.event, mutations=(*made, *mutations, *self.size_wave(wanted.order, item, sizes)))

    def plan_all(self, wanted: Iterable[Wanted], groups: Collection[str]) -> list[Planned]:
        """The plans of several orders; a group is created by the first one that needs it."""
        known, found = set(groups), list[Planned]()
        for one in wanted:
            planned = self.plan_order(one, known)
            known |= {m.group_name for m in planned.mutations if isinstance(m, items.CreateGroup)}
            found.append(planned)
        return found

    def _desired(self, order: StagedOrder) -> items.DesiredItem:
        return items.DesiredItem(
            record_uuid=order.record_uuid,
            name=order.item_name,
            group_name=order.group_name,
            columns=mapped.board_columns(order.values, order.record_uuid, self.mappings),
            sizes=order.sizes,
        )

    def _without_user_columns(self, update: items.UpdateItem) -> items.UpdateItem:
        """A column that users own is filled when the item is created, and never updated."""
        theirs = columns.owned_by_people(self.mappings)
        ours = {column: value for column, value in update.columns.items() if column not in theirs}
        return update.model_copy(update={"columns": ours})


def _making_labels(mutation: items.Mutation, size_column: str) -> items.Mutation:
    # Size labels are column names of the source, verbatim: the board's Size dropdown learns them.
    if isinstance(mutation, items.CreateSubitem | items.UpdateSubitem) and size_column in mutation.columns:
        return mutation.model_copy(update={"create_labels": True})
    return mutation
