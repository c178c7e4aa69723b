"""plan: the difference between what shall be and what is, and that carrying it out leaves none."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings import plan
from schemas import items
from schemas.base import ColumnValue

BOARD = "100"


def desired(**fields: object) -> items.DesiredItem:
    given = {
        "record_uuid": "U1",
        "name": "N",
        "group_name": "G",
        "columns": {"a": "1", "b": {"label": "x"}},
        "sizes": {},
    }
    return items.DesiredItem.model_validate(given | fields)


def item(**fields: object) -> items.Entity:
    given = {
        "record_uuid": "U1", "item_id": "7", "board_id": BOARD, "name": "N", "group_name": "G",
        "columns": {"a": "1", "b": {"label": "x"}},
    }  # fmt: skip
    return items.Entity.model_validate(given | fields)


def columns_of(size: str, quantity: int) -> dict[str, ColumnValue]:
    return {"size": {"labels": [size]}, "qty": str(quantity)}


def size(label: str, quantity: int, **fields: object) -> items.Entity:
    given = {
        "size_label": label,
        "item_id": f"9{label}",
        "columns": columns_of(label, quantity),
        "name": f"Size {label}",
    }
    return item(**(given | fields))


def sizes(wanted: dict[str, int], *known: items.Entity) -> list[items.Mutation]:
    return plan.plan_sizes(
        desired(sizes=wanted), "7", known, columns_of=columns_of, name_of=lambda label: f"Size {label}"
    )


def test_no_difference_is_no_call() -> None:
    assert plan.plan_item(desired(), item()) == []
    assert sizes({"S": 1}, size("S", 1)) == []


@pytest.mark.parametrize("known", [None, item(active=False)])
def test_what_is_not_on_the_board_is_made_whole(known: items.Entity | None) -> None:
    (made,) = plan.plan_item(desired(), known)
    assert made == items.CreateItem(record_uuid="U1", name="N", group_name="G", columns=desired().columns)


def test_only_what_changed_is_sent() -> None:
    (sent,) = plan.plan_item(desired(), item(columns={"a": "1", "b": {"label": "y"}}))
    assert isinstance(sent, items.UpdateItem)
    assert sent.columns == {"b": {"label": "x"}}
    assert sent.item_id == "7"


def test_what_became_blank_is_cleared() -> None:
    (sent,) = plan.plan_item(desired(columns={"a": "1"}), item())
    assert isinstance(sent, items.UpdateItem)
    assert sent.columns == {"b": None}


def test_a_new_name_and_a_new_group_are_an_update_and_a_move() -> None:
    renamed, moved = plan.plan_item(desired(name="M", group_name="H"), item())
    assert isinstance(renamed, items.UpdateItem)
    assert renamed.columns == {"name": "M"}
    assert moved == items.MoveItem(record_uuid="U1", item_id="7", group_name="H")


def test_sizes_are_made_changed_and_set_to_zero() -> None:
    made, changed, zero = sizes({"M": 4, "S": 2}, size("S", 1), size("L", 3))
    assert isinstance(made, items.CreateSubitem)
    assert (made.size_label, made.parent_item_id, made.name, made.columns) == ("M", "7", "Size M", columns_of("M", 4))
    assert isinstance(changed, items.UpdateSubitem)
    assert isinstance(zero, items.UpdateSubitem)
    assert (changed.size_label, changed.item_id, changed.columns) == ("S", "9S", {"qty": "2"})
    assert (zero.size_label, zero.columns) == ("L", {"qty": "0"})


def test_a_size_that_is_zero_already_stays_so_without_a_call_and_may_come_back() -> None:
    assert sizes({}, size("L", 0)) == []
    (back,) = sizes({"L": 2}, size("L", 0))
    assert isinstance(back, items.UpdateSubitem)
    assert back.columns == {"qty": "2"}


def test_a_size_whose_item_was_archived_is_made_anew() -> None:
    (made,) = sizes({"S": 1}, size("S", 1, active=False))
    assert isinstance(made, items.CreateSubitem)
    assert sizes({}, size("S", 1, active=False)) == []


@pytest.mark.parametrize("removal", list(items.Removal))
def test_an_order_that_left_is_removed_by_policy(removal: items.Removal) -> None:
    kept = removal is items.Removal.KEEP
    removed = items.RemoveItem(record_uuid="U1", item_id="7", removal=removal)
    assert plan.plan_removal("U1", item(), removal) == ([] if kept else [removed])
    assert plan.plan_removal("U1", None, removal) == plan.plan_removal("U1", item(active=False), removal) == []


def test_a_confirmed_removal_leaves_an_inactive_item() -> None:
    removed = items.RemoveItem(record_uuid="U1", item_id="7", removal=items.Removal.ARCHIVE)
    assert plan.apply(item(), removed, items.Done(id="7"), board_id=BOARD) == item(active=False)


def test_a_made_subitem_lives_on_the_board_that_the_api_told() -> None:
    (made,) = sizes({"S": 1})
    known = plan.apply(None, made, items.Done(id="5", board_id="200"), board_id=BOARD)
    assert (known.item_id, known.board_id, known.size_label, known.group_name) == ("5", "200", "S", "")


def test_a_change_of_something_unknown_is_a_bug() -> None:
    move = items.MoveItem(record_uuid="U1", item_id="7", group_name="H")
    with pytest.raises(ValueError, match="move_item of something that the ledger does not know"):
        plan.apply(None, move, items.Done(id="7"), board_id=BOARD)


VALUES = st.sampled_from(["1", "2", {"label": "x"}, {"labels": ["x"]}, {"date": "2026-01-01"}])
COLUMNS = st.dictionaries(st.sampled_from("abcd"), VALUES)
DESIRED = st.builds(
    desired,
    name=st.sampled_from("NM"),
    group_name=st.sampled_from("GH"),
    columns=COLUMNS,
    sizes=st.dictionaries(st.sampled_from(["S", "M", "32DD"]), st.integers(1, 3)),
)


@given(st.lists(DESIRED, min_size=1, max_size=6))
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(wishes: list[items.DesiredItem]) -> None:
    known: items.Entity | None = None
    held: dict[str, items.Entity] = {}
    for wish in wishes:
        for mutation in plan.plan_item(wish, known):
            known = plan.apply(known, mutation, items.Done(id="7"), board_id=BOARD)
        assert known is not None
        assert (known.name, known.group_name, known.columns) == (wish.name, wish.group_name, wish.columns)
        assert plan.plan_item(wish, known) == []
        arguments: dict[str, Any] = {"columns_of": columns_of, "name_of": str}
        for mutation in plan.plan_sizes(wish, "7", list(held.values()), **arguments):
            label = mutation.size_label  # type: ignore[union-attr]
            held[label] = plan.apply(held.get(label), mutation, items.Done(id=label, board_id="200"), board_id=BOARD)
        assert {label: one.columns["qty"] for label, one in held.items() if one.columns["qty"] != "0"} == {
            label: str(n) for label, n in wish.sizes.items()
        }
        assert plan.plan_sizes(wish, "7", list(held.values()), **arguments) == []
