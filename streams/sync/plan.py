"""The plan of a staged order: the mutations that bring the board from what the ledger holds to the staged order.

Pure: these functions send nothing. A dry run prints and the sync step sends the mutations that they return.
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

# An order's item and subitems, as the ledger or the board holds them.
Known = tuple[items.Entity | None, Sequence[items.Entity]]
NOTHING: Known = (None, ())


class Labels(Protocol):
    """The labels that the board's columns have now (streams.sync.outline.Outline)."""

    def known(self) -> Mapping[str, Collection[str]]:
        """The labels of each column, by column id."""

    def created(self, columns: Mapping[str, ColumnValue]) -> None:
        """Adds the labels in these values, which the board has confirmed."""


class Planned(Model):
    """The mutations of one staged order, in the order of sending; none if it has problems.

    Sizes of an item that is yet to be created have no `parent_item_id`.
    """

    event: events.OrderStaged
    mutations: tuple[items.Mutation, ...] = ()
    problems: tuple[Problem, ...] = ()


class Wanted(NamedTuple):
    """An order to plan: its event, its staged state, its ledger entries, and the removals of its copies."""

    event: events.OrderStaged
    order: StagedOrder
    known: Known = NOTHING
    copies: Sequence[items.RemoveItem] = ()


def replayed(order: StagedOrder) -> StagedOrder:
    """An order as a replay compares it with the board: without sizes of 0, which left it and need no subitem."""
    return order.model_copy(update={"sizes": {label: n for label, n in order.sizes.items() if n}})


@dataclass(frozen=True)
class Planner:
    """Compares staged orders with the ledger, in three waves: groups, items, sizes.

    A dry run and the sync step use the same waves. A dry run plans all of them at once (`plan_all`). The sync step
    sends each wave and plans the next one against the ledger after it (sync/step.py).

    `renames`: the groups that get their names back, for a dry run: the first order of such a group has the mutation.
    """

    mappings: Mappings
    labels: Labels
    renames: Sequence[items.RenameGroup] = ()

    def item_wave(
        self, order: StagedOrder, known: items.Entity | None, copies: Sequence[items.RemoveItem] = ()
    ) -> tuple[list[items.Mutation], tuple[Problem, ...]]:
        """The removals of `copies` and then the item's own mutations; or problems: labels that may not be created."""
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
        needed = {
            mutation.group_name for mutation in mutations if isinstance(mutation, items.CreateItem | items.MoveItem)
        }
        return [items.CreateGroup(group_name=name) for name in sorted(needed - set(groups))]

    def size_wave(
        self, order: StagedOrder, item: items.Entity | None, known: Sequence[items.Entity]
    ) -> list[items.Mutation]:
        """The mutations of the order's subitems; without `parent_item_id` if the item is yet to be created."""
        if order.removed:
            return []
        if item is None or not item.active:
            item_id, known = "", ()
        else:
            item_id = item.item_id
        board_id = self.mappings.board.board.subitem_board_id
        subitem = self.mappings.board.subitem
        mutations = plan.plan_sizes(
            self._desired(order),
            item_id,
            # An answer may leave out the board of a subitem; all subitems are on the same board.
            [size if size.board_id else size.model_copy(update={"board_id": board_id}) for size in known],
            columns_of=lambda size, n: mapped.subitem_columns(size, n, self.mappings),
            name_of=lambda size: mapped.subitem_name(size, self.mappings),
        )
        if subitem.size.labels is not LabelPolicy.CREATE:
            return mutations
        return [_with_label_creation(mutation, subitem.size.id) for mutation in mutations]

    def plan_order(self, wanted: Wanted, groups: Collection[str]) -> Planned:
        """The three waves of one order, planned before any of them is sent."""
        if wanted.order.problems:
            return Planned(event=wanted.event, problems=wanted.order.problems)
        item, sizes = wanted.known
        mutations, problems = self.item_wave(wanted.order, item, wanted.copies)
        if problems:
            return Planned(event=wanted.event, problems=problems)
        created = self.group_wave(mutations, groups)
        size_mutations = self.size_wave(wanted.order, item, sizes)
        return Planned(event=wanted.event, mutations=(*created, *mutations, *size_mutations))

    def plan_all(self, wanted: Iterable[Wanted], groups: Collection[str]) -> list[Planned]:
        """The plans of several orders; the first order that needs a group creates it."""
        known, plans = set(groups), list[Planned]()
        renames = {rename.group_name: rename for rename in self.renames}
        for order in wanted:
            planned = self.plan_order(order, known)
            known |= {m.group_name for m in planned.mutations if isinstance(m, items.CreateGroup)}
            if order.order.group_name in renames and not planned.problems:
                rename = renames.pop(order.order.group_name)
                planned = planned.model_copy(update={"mutations": (rename, *planned.mutations)})
            plans.append(planned)
        return plans

    def _desired(self, order: StagedOrder) -> items.DesiredItem:
        return items.DesiredItem(
            record_uuid=order.record_uuid,
            name=order.item_name,
            group_name=order.group_name,
            columns=mapped.board_columns(order.values, order.record_uuid, self.mappings),
            sizes=order.sizes,
        )

    def _without_user_columns(self, update: items.UpdateItem) -> items.UpdateItem:
        """Leaves out the columns that users own: sync fills them when it creates the item and never updates them."""
        theirs = columns.owned_by_people(self.mappings)
        ours = {column: value for column, value in update.columns.items() if column not in theirs}
        return update.model_copy(update={"columns": ours})


def _with_label_creation(mutation: items.Mutation, size_column: str) -> items.Mutation:
    # Size labels are column names of the source, verbatim; the board's Size dropdown gets a label for each.
    if isinstance(mutation, items.CreateSubitem | items.UpdateSubitem) and size_column in mutation.columns:
        return mutation.model_copy(update={"create_labels": True})
    return mutation
