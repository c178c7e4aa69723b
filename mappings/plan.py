"""Compares the desired item of an order with its ledger entries, and plans the mutations for the differences.

The functions are pure. Without a difference they plan no mutation.
"""

from collections.abc import Callable, Mapping, Sequence

from schemas import items
from schemas.base import ColumnValue

SubitemColumns = Callable[[str, int], dict[str, ColumnValue]]
SubitemName = Callable[[str], str]


def changed_columns(desired: Mapping[str, ColumnValue], known: Mapping[str, ColumnValue]) -> dict[str, ColumnValue]:
    """The columns to send: those that differ, and None for those that the ledger holds and that became blank."""
    changed = {column: value for column, value in desired.items() if known.get(column) != value}
    cleared: dict[str, ColumnValue] = {column: None for column in known if column not in desired}
    return changed | cleared


def plan_item(desired: items.DesiredItem, known: items.Entity | None) -> list[items.Mutation]:
    """Plan to create the item, or to update its changed columns and move it to its group, or nothing."""
    if known is None or not known.active:
        return [
            items.CreateItem(
                record_uuid=desired.record_uuid,
                name=desired.name,
                group_name=desired.group_name,
                columns=desired.columns,
            )
        ]
    mutations: list[items.Mutation] = []
    columns = changed_columns(desired.columns, known.columns)
    if desired.name != known.name:
        columns["name"] = desired.name
    if columns:
        mutations.append(items.UpdateItem(record_uuid=desired.record_uuid, item_id=known.item_id, columns=columns))
    if desired.group_name != known.group_name:
        mutations.append(
            items.MoveItem(record_uuid=desired.record_uuid, item_id=known.item_id, group_name=desired.group_name)
        )
    return mutations


def plan_sizes(
    desired: items.DesiredItem,
    parent_item_id: str,
    known: Sequence[items.Entity],
    *,
    columns_of: SubitemColumns,
    name_of: SubitemName,
) -> list[items.Mutation]:
    """Plan one subitem for each size: create new ones, update changed ones, set sizes that left the order to 0."""
    by_size = {entity.size_label: entity for entity in known if entity.active}
    left = {size: 0 for size in by_size if size not in desired.sizes}
    mutations: list[items.Mutation] = []
    for size, quantity in (dict(desired.sizes) | left).items():
        entity = by_size.get(size)
        columns = columns_of(size, quantity)
        if entity is None:
            mutations.append(
                items.CreateSubitem(
                    record_uuid=desired.record_uuid,
                    size_label=size,
                    parent_item_id=parent_item_id,
                    name=name_of(size),
                    columns=columns,
                )
            )
            continue
        changed = changed_columns(columns, entity.columns)
        if entity.name != name_of(size):
            changed["name"] = name_of(size)
        if changed:
            mutations.append(
                items.UpdateSubitem(
                    record_uuid=desired.record_uuid,
                    size_label=size,
                    item_id=entity.item_id,
                    board_id=entity.board_id,
                    columns=changed,
                )
            )
    return mutations


def plan_removal(record_uuid: str, known: items.Entity | None, removal: items.Removal) -> list[items.Mutation]:
    """Plan the removal of the item of an order that left the source, as the policy says."""
    if known is None or not known.active or removal is items.Removal.KEEP:
        return []
    return [items.RemoveItem(record_uuid=record_uuid, item_id=known.item_id, removal=removal)]


def apply(known: items.Entity | None, mutation: items.Mutation, done: items.Done, *, board_id: str) -> items.Entity:
    """The ledger entry after the API confirmed `mutation`.

    `board_id` is the board of the items; the confirmation of a create states the entity's own board.
    Raises ValueError for an update of an entity that is not in the ledger: such a mutation is a bug.
    """
    if isinstance(mutation, items.CreateItem):
        return items.Entity(
            record_uuid=mutation.record_uuid,
            item_id=done.id,
            board_id=done.board_id or board_id,
            name=mutation.name,
            group_name=mutation.group_name,
            columns=mutation.columns,
        )
    if isinstance(mutation, items.CreateSubitem):
        return items.Entity(
            record_uuid=mutation.record_uuid,
            size_label=mutation.size_label,
            item_id=done.id,
            board_id=done.board_id or "",
            name=mutation.name,
            columns=mutation.columns,
        )
    if known is None or isinstance(mutation, items.GroupMutation):
        raise ValueError(f"{mutation.kind} of something that the ledger does not know")
    if isinstance(mutation, items.MoveItem):
        return known.model_copy(update={"group_name": mutation.group_name})
    if isinstance(mutation, items.RemoveItem):
        # The removal of a duplicate that a user created changes nothing: the ledger holds the other item.
        return known.model_copy(update={"active": False}) if mutation.item_id == known.item_id else known
    sent = {column: value for column, value in mutation.columns.items() if column != "name"}
    columns = {column: value for column, value in (known.columns | sent).items() if value is not None}
    return known.model_copy(update={"columns": columns, "name": mutation.columns.get("name", known.name)})
