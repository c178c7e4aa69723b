"""What is read from the board, page by page, out of answers as the API gives them."""

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from connectors import errors
from connectors.monday import board, board_values, budget, client, error_formats, error_table, limits

Data = dict[str, Any]


class Script:
    """Answers each operation by a function of its variables, and keeps what it was asked."""

    def __init__(self, **answers: Callable[[Data], Data]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, Data]] = []

    async def post(self, body: str, _: Mapping[str, str]) -> error_formats.Answer:
        request = json.loads(body)
        name = request["query"].split("(")[0].split()[1]
        self.asked.append((name, request["variables"]))
        payload = self.answers[name](request["variables"])
        if "errors" not in payload:
            payload = {"data": payload}
        return error_formats.Answer(status=200, text=json.dumps(payload))


def see(script: Script) -> board.Board:
    async def no_wait(_: float) -> None:
        return None

    paces = budget.Budget(limits.preset("personal", "enterprise"), sleep=no_wait)
    connected = client.Client(
        "http://nowhere", "t", budget=paces, sleep=no_wait, post=script.post, rng=random.Random(1)
    )
    return board.Board(connected, "7")


def raw_item(number: int, key: str = "", **more: Any) -> Data:
    return {
        "id": str(number),
        "name": f"item {number}",
        "state": "active",
        "board": {"id": "7"},
        "group": {"id": "g", "title": "G"},
        "column_values": [{"id": "key", "type": "text", "text": key, "value": json.dumps(key)}],
        "subitems": [],
        **more,
    }


def failure(code: str) -> Data:
    return {"errors": [{"message": code, "extensions": {"code": code}}], "data": None}


STATUS = {"labels": [{"id": 1, "label": "PCE"}, {"id": 2, "label": "SET", "is_deactivated": True}, {"id": 5}]}
OLD_STATUS = {"labels": {"1": "PCE", "5": ""}, "labels_colors": {"1": {"color": "#fff"}}}
DROPDOWN = {"labels": [{"id": 3, "name": "GREYSON"}, {"id": 4, "name": "OLD"}], "deactivated_labels": [4]}


@pytest.mark.parametrize(
    ("settings", "labels"),
    [
        (STATUS, {"PCE": "1"}),
        (json.dumps(STATUS), {"PCE": "1"}),
        (OLD_STATUS, {"PCE": "1"}),
        (json.dumps(OLD_STATUS), {"PCE": "1"}),
        (DROPDOWN, {"GREYSON": "3"}),
        (json.dumps(DROPDOWN), {"GREYSON": "3"}),
        ({}, {}),
        (None, {}),
        ("", {}),
        ({"boardIds": [9]}, {}),
        ({"labels": None}, {}),
    ],
)
async def test_columns_and_their_labels_in_every_form(settings: Any, labels: dict[str, str]) -> None:
    column = {"id": "c", "title": "C", "type": "status", "settings": settings}
    subject = see(Script(BoardColumns=lambda _: {"boards": [{"columns": [column]}]}))
    assert await subject.columns() == [board_values.BoardColumn(id="c", title="C", type="status", labels=labels)]


async def test_some_columns_are_asked_for_by_their_ids_and_all_without() -> None:
    script = Script(BoardColumns=lambda _: {"boards": [{"columns": []}]})
    await see(script).columns(["a", "b"])
    await see(script).columns()
    assert [asked for _, asked in script.asked] == [{"board": "7", "ids": ["a", "b"]}, {"board": "7"}]


async def test_groups_are_read_alone_or_with_columns_in_one_call() -> None:
    groups = [{"id": "a", "title": "G"}, {"id": "b", "title": "H"}, {"id": "c", "title": "G"}]
    columns = [{"id": "x", "title": "X", "type": "status", "settings": '{"labels": {"1": "Done"}}'}]
    script = Script(
        BoardGroups=lambda _: {"boards": [{"groups": groups}]},
        BoardOutline=lambda _: {"boards": [{"groups": groups, "columns": columns}]},
    )
    wanted = [board_values.BoardGroup(**group) for group in groups]
    assert await see(script).groups() == wanted
    read = await see(script).outline(["x", "y"])
    assert list(read.groups) == wanted
    assert [(column.id, column.type, column.labels) for column in read.columns] == [("x", "status", {"Done": "1"})]
    assert [asked for _, asked in script.asked] == [{"board": "7"}, {"board": "7", "ids": ["x", "y"]}]


@pytest.mark.parametrize("boards", [[], [None], None])
async def test_a_board_that_is_not_there_stops(boards: Any) -> None:
    subject = see(Script(BoardGroups=lambda _: {"boards": boards, "complexity": {}}))
    with pytest.raises(error_table.BoardStop) as stopped:
        await subject.groups()
    assert stopped.value.code == "BOARD_NOT_FOUND"


async def test_the_key_column_is_made_once() -> None:
    columns: list[Data] = []

    def make(variables: Data) -> Data:
        assert variables == {"m0_board": "7", "m0_column": "ordersync_key", "m0_title": "Key"}
        columns.append({"id": "ordersync_key", "title": "Key", "type": "text", "settings": {}})
        return {"m0": {"id": "ordersync_key"}}

    script = Script(BoardColumns=lambda _: {"boards": [{"columns": columns}]}, Batch=make)
    subject = see(script)
    assert await subject.ensure_key_column("ordersync_key", "Key") is True
    assert await subject.ensure_key_column("ordersync_key", "Key") is False
    assert [name for name, _ in script.asked] == ["BoardColumns", "Batch", "BoardColumns"]


async def test_a_key_column_of_another_type_or_that_is_refused_is_misconfigured() -> None:
    number = {"id": "key", "title": "Key", "type": "numbers", "settings": {}}
    with pytest.raises(errors.Misconfigured, match="numbers"):
        await see(Script(BoardColumns=lambda _: {"boards": [{"columns": [number]}]})).ensure_key_column("key", "K")
    refusal = {"message": "no", "path": ["m0"], "extensions": {"code": "InvalidArgumentException"}}
    script = Script(
        BoardColumns=lambda _: {"boards": [{"columns": []}]},
        Batch=lambda _: {"data": {"m0": None}, "errors": [refusal]},
    )
    with pytest.raises(errors.Misconfigured, match="InvalidArgumentException"):
        await see(script).ensure_key_column("key", "K")


async def test_items_come_page_by_page_with_their_subitems() -> None:
    child = raw_item(21, group=None, board={"id": "99"}, name="XL")
    pages: dict[str, Data] = {
        "c1": {"cursor": "c2", "items": [raw_item(2, subitems=[child, None])]},
        "c2": {"cursor": None, "items": [raw_item(3)]},
    }
    script = Script(
        ItemsPage=lambda _: {"boards": [{"items_page": {"cursor": "c1", "items": [raw_item(1, "u1")]}}]},
        NextItemsPage=lambda variables: {"next_items_page": pages[variables["cursor"]]},
    )
    read = [page async for page in see(script).items(columns=["key", "key"], page=9_999)]
    assert [[item.id for item in page] for page in read] == [["1"], ["2"], ["3"]]
    assert read[0][0].columns == {"key": board_values.Shown(text="u1", value="u1")}
    assert (read[0][0].group_id, read[0][0].group_title, read[0][0].board_id) == ("g", "G", "7")
    (subitem,) = read[1][0].subitems
    assert (subitem.name, subitem.board_id, subitem.group_id) == ("XL", "99", "")
    first = script.asked[0][1]
    assert first == {"board": "7", "columns": ["key"], "subitems": True, "limit": 500}
    assert script.asked[2][1] == {"cursor": "c2", "limit": 500, "columns": ["key"], "subitems": True}


async def test_all_columns_means_no_argument_not_null() -> None:
    script = Script(ItemsPage=lambda _: {"boards": [{"items_page": {"cursor": None, "items": []}}]})
    assert [page async for page in see(script).items(subitems=False)] == [[]]
    assert script.asked == [("ItemsPage", {"board": "7", "subitems": False, "limit": 100})]


async def test_a_page_that_is_too_complex_is_halved() -> None:
    def first(variables: Data) -> Data:
        if variables["limit"] > 30:
            return failure("REQUEST_MAX_COMPLEXITY_EXCEEDED")
        return {"boards": [{"items_page": {"cursor": "c", "items": [raw_item(1)]}}]}

    script = Script(ItemsPage=first, NextItemsPage=lambda _: failure("InvalidArgumentException"))
    read = []
    with pytest.raises(errors.Rejected, match="InvalidArgument"):
        async for page in see(script).items(page=100):
            read.append(page)
    assert [variables["limit"] for _, variables in script.asked] == [100, 50, 25, 25]
    assert len(read) == 1


async def test_items_are_found_by_key_in_one_search_a_hundred() -> None:
    stock = {f"u{number}": [number] for number in range(0, 250, 2)} | {"u4": [4, 1004]}

    def search(variables: Data) -> Data:
        assert (variables["board"], variables["key"]) == ("7", "key")
        assert variables["limit"] == 2 * len(variables["values"])
        assert variables["columns"] == ["key", "other"]
        found = [raw_item(number, key) for key in variables["values"] for number in stock.get(key, ())]
        return {"items_page_by_column_values": {"cursor": None, "items": found}}

    script = Script(FindItems=search)
    keys = [f"u{number}" for number in range(250)]
    found = await see(script).find_items("key", keys, columns=["other"])
    assert len(script.asked) == 3
    assert list(found) == keys
    assert [item.id for item in found["u4"]] == ["4", "1004"]
    assert [item.id for item in found["u8"]] == ["8"]
    assert found["u5"] == []


async def test_a_search_that_ignores_case_still_finds_the_exact_key_first() -> None:
    found = [raw_item(1, "abc"), raw_item(2, "ABC"), raw_item(3, "Other"), raw_item(4, "stranger")]
    script = Script(
        FindItems=lambda _: {"items_page_by_column_values": {"cursor": "c", "items": found[:2]}},
        NextItemsPage=lambda _: {"next_items_page": {"cursor": None, "items": found[1:]}},
    )
    answer = await see(script).find_items("key", ["abc", "ABC", "OTHER"])
    assert {key: [item.id for item in held] for key, held in answer.items()} == {
        "abc": ["1"],
        "ABC": ["2"],
        "OTHER": ["3"],
    }


async def test_ids_are_asked_a_hundred_at_a_time_each_once() -> None:
    def by_id(variables: Data) -> Data:
        assert variables["limit"] == 100
        known = [number for number in variables["items"] if int(number) % 2]
        return {"items": [None, *({"id": number, "state": "archived", "board": {"id": "7"}} for number in known)]}

    script = Script(ItemStates=by_id)
    states = await see(script).places([str(number) for number in range(150)] + ["1", "1"])
    assert [len(variables["items"]) for _, variables in script.asked] == [100, 50]
    assert states["1"] == (board_values.ItemState.ARCHIVED, "7")
    assert "2" not in states
    assert len(states) == 75


async def test_subitems_by_item() -> None:
    stock = {"1": [raw_item(11, name="S"), raw_item(12, name="M")], "2": None}
    script = Script(
        Subitems=lambda asked: {
            "items": [{"id": number, "subitems": stock[number]} for number in asked["items"] if number in stock]
        }
    )
    found = await see(script).subitems(["1", "2", "3"])
    assert {item: [child.name for child in children] for item, children in found.items()} == {
        "1": ["S", "M"],
        "2": [],
    }


async def test_no_question_asks_nothing() -> None:
    script = Script()
    subject = see(script)
    assert await subject.places([]) == {}
    assert await subject.find_items("key", []) == {}
    assert script.asked == []


async def test_an_active_item_without_a_board_is_no_answer_and_not_a_moved_item() -> None:
    script = Script(ItemStates=lambda _: {"items": [{"id": "1", "state": "active", "board": None}]})
    with pytest.raises(errors.Transient):
        await see(script).places(["1"])
    script = Script(ItemStates=lambda _: {"items": [{"id": "1", "state": "deleted", "board": None}]})
    assert await see(script).places(["1"]) == {"1": (board_values.ItemState.DELETED, "")}
