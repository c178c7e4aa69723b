"""The comparison of source, production and board: it must see every kind of disagreement."""

import pytest

import mappings
from connectors.monday import board_values
from schemas.orders import Order
from streams.reconcile import compare, fields

MAPPING = mappings.load()
UUID = "6F1F2A34-0000-4000-8000-000000000001"
KEY, QUANTITY, SIZE = (
    MAPPING.board.key.id, MAPPING.board.subitem.quantity.id, MAPPING.board.subitem.size.id,
)  # fmt: skip
PRICE = next(column for column in MAPPING.board.columns if column.staging == "CUSTOMER PRICE")
ORDER = Order(
    customer="GREYSON CLOTHIERS",
    group_name="GREYSON CLOTHIERS 2025 FALL",
    item_name="A WHITE 1",
    values={"CUSTOMER PRICE": "28.8600", "CUSTOMER": "GREYSON CLOTHIERS"},
    sizes={"S": 10, "M": 20},
)


def cell(text: str) -> board_values.Shown:
    return board_values.Shown(text=text)


def subitem(size: str, quantity: str, name: str | None = None) -> board_values.BoardItem:
    columns = {SIZE: cell(size), QUANTITY: cell(quantity)}
    return board_values.BoardItem(id="2", name=name or f"Size {size}", state="active", board_id="9", columns=columns)


def item(
    *, name: str = "A WHITE 1", price: str = "28.86", sizes: tuple[board_values.BoardItem, ...] = ()
) -> board_values.BoardItem:
    customer = next(column.id for column in MAPPING.board.columns if column.staging == "CUSTOMER")
    return board_values.BoardItem(
        id="1",
        name=name,
        state="active",
        board_id="8",
        group_title="GREYSON CLOTHIERS 2025 FALL",
        columns={KEY: cell(UUID), PRICE.id: cell(price), customer: cell("GREYSON CLOTHIERS")},
        subitems=sizes or (subitem("S", "10"), subitem("M", "20")),
    )


def source() -> list[fields.FieldValue]:
    return fields.of_source(UUID, ORDER, MAPPING)


def board(*items: board_values.BoardItem) -> list[fields.FieldValue]:
    return fields.of_board(items, MAPPING)


def test_the_same_order_in_two_forms_is_the_same() -> None:
    assert compare.differences(source(), board(item())) == []


def test_a_size_of_zero_says_nothing() -> None:
    sizes = (subitem("S", "10"), subitem("M", "20"), subitem("XL", "0"))
    assert compare.differences(source(), board(item(sizes=sizes))) == []


@pytest.mark.parametrize(
    ("other", "field", "left", "right"),
    [
        (item(name="B"), fields.NAME, "A WHITE 1", "B"),
        (item(price="28.87"), PRICE.id, "28.86", "28.87"),
        (item(price=""), PRICE.id, "28.86", None),
        (item(sizes=(subitem("S", "11"), subitem("M", "20"))), fields.QUANTITY, "10", "11"),
        (item(sizes=(subitem("S", "10"), subitem("M", "20", "mine"))), fields.NAME, "Size M", "mine"),
    ],
)
def test_every_kind_of_difference_is_seen(
    other: board_values.BoardItem, field: str, left: str | None, right: str | None
) -> None:
    found = compare.differences(source(), board(other))
    assert [(one.field, one.left, one.right) for one in found] == [(field, left, right)]


def test_a_missing_and_an_extra_size_are_seen() -> None:
    one, three = (subitem("S", "10"),), (subitem("S", "10"), subitem("M", "20"), subitem("L", "5"))
    missing = compare.differences(source(), board(item(sizes=one)))
    assert [(d.size, d.field, d.left, d.right) for d in missing] == [
        ("M", fields.NAME, "Size M", None), ("M", fields.QUANTITY, "20", None),
    ]  # fmt: skip
    extra = compare.differences(source(), board(item(sizes=three)))
    assert [(d.size, d.field, d.left, d.right) for d in extra] == [
        ("L", fields.NAME, None, "Size L"), ("L", fields.QUANTITY, None, "5"),
    ]  # fmt: skip


def test_a_missing_and_an_extra_order_are_seen() -> None:
    assert compare.differences(source(), board())
    assert compare.differences(board(), source())


def test_the_same_item_twice_is_a_difference_and_a_duplicate() -> None:
    assert compare.differences(source(), board(item(), item()))
    assert compare.duplicates([item(), item()], MAPPING) == [f"{UUID} has 2 items"]


def test_the_same_size_twice_is_a_difference_and_a_duplicate() -> None:
    twice = item(sizes=(subitem("S", "10"), subitem("M", "20"), subitem("M", "20")))
    assert compare.differences(source(), board(twice))
    assert compare.duplicates([twice], MAPPING) == [f"{UUID} has size M 2 times"]


@pytest.mark.parametrize("pair", [("20", ""), ("", "20"), ("", ""), ("20", "0"), ("0", "0")])
def test_a_size_that_is_there_twice_is_a_difference_whatever_its_quantities(pair: tuple[str, str]) -> None:
    twice = item(sizes=(subitem("S", "10"), *(subitem("M", quantity) for quantity in pair)))
    assert {one.size for one in compare.differences(source(), board(twice))} == {"M"}
    assert compare.duplicates([twice], MAPPING) == [f"{UUID} has size M 2 times"]


def test_lines_that_people_wrote_below_an_item_are_theirs() -> None:
    remarks = tuple(subitem("", "", "ask for the carton") for _ in range(2))
    mine = item(sizes=(subitem("S", "10"), subitem("M", "20"), *remarks))
    assert compare.differences(source(), board(mine)) == []
    assert compare.duplicates([mine], MAPPING) == []


def test_production_is_read_like_the_board() -> None:
    master = [{**ORDER.values, "source_uuid": UUID, "Title": ORDER.item_name, "Group": ORDER.group_name}]
    sizes = [{"record_uuid": UUID, "size_label": size, "Order Qty": str(n)} for size, n in ORDER.sizes.items()]
    zero = {"record_uuid": UUID, "size_label": "XL", "Order Qty": "0"}
    told = fields.of_production(master, [*sizes, zero], MAPPING)
    assert compare.differences(source(), told) == []
