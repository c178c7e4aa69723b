"""Which subitem stands for which size."""

import pytest

from connectors.monday.board_values import BoardItem, ItemState, Shown
from mappings import loading
from streams.adopt import sizes

MAPPINGS = loading.load()
SIZE = MAPPINGS.board.subitem.size.id
LABELS = sizes.Labels(["XL", "32DD", "O/S", "30X30", "30x30", "S/M"], MAPPINGS)


def subitem(number: int, name: str = "", label: str = "", state: ItemState = ItemState.ACTIVE) -> BoardItem:
    return BoardItem(id=str(number), name=name, state=state, board_id="2", columns={SIZE: Shown(text=label)})


@pytest.mark.parametrize(
    ("name", "label", "size"),
    [
        ("Size XL", "XL", "XL"),
        ("anything", "32DD", "32DD"),
        ("Size XL", "", "XL"),
        ("size  xl ", "", "XL"),
        ("SIZE S/M", "", "S/M"),
        ("", "xl", "XL"),
        # The label wins; one that is no size of the source is one of users.
        ("Size XL", "O/S", "O/S"),
        ("Size XL", "sample", ""),
        ("Size 30x30", "", "30x30"),
        ("Size 30X30", "", "30X30"),
        ("XL", "", ""),
        ("Size", "", ""),
        ("a note", "", ""),
    ],
)
def test_label_or_name_tells_the_size(name: str, label: str, size: str) -> None:
    assert LABELS.of(subitem(1, name, label)) == size


def test_of_two_for_one_size_the_oldest_is_taken_and_the_other_is_listed() -> None:
    shown = [subitem(30, label="XL"), subitem(4, "Size XL"), subitem(5, label="O/S"), subitem(6, "note")]
    shown += [subitem(1, label="XL", state=ItemState.ARCHIVED)]
    item = BoardItem(id="9", name="", state="active", board_id="1", columns={}, subitems=tuple(shown))
    taken, doubles = sizes.assigned(item, LABELS)
    assert {size: one.id for size, one in taken.items()} == {"XL": "4", "O/S": "5"}
    assert [str(one) for one in doubles] == ["item 9 has two subitems of size XL: 4 is taken, 30 is left"]
    taken, doubles = sizes.assigned(item, LABELS, preferred={"30"})
    assert (taken["XL"].id, doubles[0].left) == ("30", "4")
