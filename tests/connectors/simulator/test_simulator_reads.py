"""Pages, searches and single reads."""

import asyncio
import json
from typing import Any

import pytest

from tests.connectors.simulator.conftest import Api, Reply, Start


async def _data(api: Api, query: str, **variables: Any) -> Any:
    reply = await api.post(query, variables)
    assert "errors" not in reply.json, reply.text
    return reply.json["data"]


def _names(page: Any) -> list[str]:
    return [item["name"] for item in page["items"]]


async def test_a_board_tells_its_groups_columns_and_counts(api: Api) -> None:
    await api.item()
    (board,) = (
        await _data(
            api,
            "{ boards(ids: [9200517329, 1]) { id name items_count items_limit groups { id title } "
            'columns(ids: ["color_mkr5yf27", "lookup_mkrbrdr1", "subtasks_mkr5c0kp"]) { id title type settings } } }',
        )
    )["boards"]
    assert (board["id"], board["items_count"], board["items_limit"]) == ("9200517329", 1, 100_000)
    assert board["groups"] == [{"id": "topics", "title": "Group Title"}]
    subtasks, mirror, status = board["columns"]
    assert subtasks["settings"] == {"boardIds": [api.subitem_board]}
    assert (mirror["type"], mirror["settings"]) == ("mirror", {})
    assert [each["label"] for each in status["settings"]["labels"]] == ["PCE", "PAIR", "SET", "PACK"]


async def test_pages_follow_their_cursor_and_hold_active_items_only(api: Api) -> None:
    ids = [await api.item(f"n{number}") for number in range(5)]
    await api.post(f"mutation {{ archive_item(item_id: {ids[1]}) {{ id }} }}")
    page = (await _data(api, "{ boards(ids: 9200517329) { items_page(limit: 2) { cursor items { name } } } }"))[
        "boards"
    ][0]["items_page"]
    assert _names(page) == ["n0", "n2"]
    query = "query ($c: String!) { next_items_page(cursor: $c, limit: 2) { cursor items { name } } }"
    page = (await _data(api, query, c=page["cursor"]))["next_items_page"]
    assert (_names(page), page["cursor"]) == (["n3", "n4"], None)


async def test_a_cursor_dies_an_hour_after_its_first_page(start: Start) -> None:
    api = await start(minute=1)
    for name in "abc":
        await api.item(name)
    query = "{ boards(ids: 9200517329) { items_page(limit: 1) { cursor } } }"
    cursor = (await _data(api, query))["boards"][0]["items_page"]["cursor"]
    following = "query ($c: String!) { next_items_page(cursor: $c, limit: 1) { cursor items { name } } }"
    api.clock.advance(59)
    page = (await _data(api, following, c=cursor))["next_items_page"]
    assert _names(page) == ["b"]
    api.clock.advance(1)
    reply = await api.post(following, {"c": page["cursor"]})
    assert reply.codes == ["InvalidArgumentException"]
    assert (await api.post(following, {"c": "nonsense"})).codes == ["InvalidArgumentException"]


async def test_items_by_id_are_told_in_every_state(api: Api) -> None:
    ids = [await api.item(f"n{number}") for number in range(3)]
    await api.post(f"mutation {{ archive_item(item_id: {ids[0]}) {{ id }} }}")
    await api.post(f"mutation {{ delete_item(item_id: {ids[1]}) {{ id }} }}")
    told = await _data(api, "query ($i: [ID!]) { items(ids: $i) { name state } }", i=[*ids, "77"])
    assert [(item["name"], item["state"]) for item in told["items"]] == [
        ("n0", "archived"),
        ("n1", "deleted"),
        ("n2", "active"),
    ]
    told = await _data(api, "query ($i: [ID!]) { items(ids: $i, exclude_nonactive: true) { name } }", i=ids)
    assert _names(told) == ["n2"]


async def test_items_has_a_limit_of_25_unless_told_and_takes_100_ids(api: Api) -> None:
    reply = await api.batch(["x"] * 30)
    ids = [item["id"] for item in reply.json["data"].values()]
    assert len((await _data(api, "query ($i: [ID!]) { items(ids: $i) { id } }", i=ids))["items"]) == 25
    told = await _data(api, "query ($i: [ID!]) { items(ids: $i, limit: 100) { id } }", i=ids)
    assert len(told["items"]) == 30
    second = await _data(api, "query ($i: [ID!]) { items(ids: $i, page: 2) { id } }", i=ids)
    assert len(second["items"]) == 5
    reply = await api.post("query ($i: [ID!]) { items(ids: $i) { id } }", {"i": ["1"] * 101})
    assert reply.codes == ["InvalidArgumentException"]


async def test_values_read_back_with_type_and_text(api: Api) -> None:
    item_id = await api.item(
        columns={"color_mkr5yf27": {"label": "PCE"}, "text_mkr5wya6": "SO-1", "date_mkr5zp5": {"date": "2026-06-15"}}
    )
    columns = ["color_mkr5yf27", "text_mkr5wya6", "date_mkr5zp5", "text_mkr5ej2x", "lookup_mkrbrdr1"]
    told = await _data(
        api,
        "query ($i: [ID!], $c: [String!]) { items(ids: $i) { group { id title } board { id } "
        "column_values(ids: $c) { __typename id type text value } subitems { id } parent_item { id } } }",
        i=[item_id],
        c=columns,
    )
    (item,) = told["items"]
    assert (item["board"], item["group"]["id"]) == ({"id": str(api.board)}, "topics")
    assert (item["subitems"], item["parent_item"]) == ([], None)
    values = {value["id"]: value for value in item["column_values"]}
    assert values["color_mkr5yf27"] == {
        "__typename": "StatusValue",
        "id": "color_mkr5yf27",
        "type": "status",
        "text": "PCE",
        "value": '{"index":1}',
    }
    assert (values["text_mkr5wya6"]["text"], values["text_mkr5wya6"]["value"]) == ("SO-1", '"SO-1"')
    assert json.loads(values["date_mkr5zp5"]["value"]) == {"date": "2026-06-15"}
    assert (values["text_mkr5ej2x"]["text"], values["text_mkr5ej2x"]["value"]) == ("", None)
    assert (values["lookup_mkrbrdr1"]["__typename"], values["lookup_mkrbrdr1"]["text"]) == ("MirrorValue", None)


@pytest.fixture
async def stocked(api: Api) -> Api:
    """Three items: SO-1 PCE, so-2 PAIR with two dropdown labels, and a bare one."""
    await api.item("one", {"text_mkr5wya6": "SO-1", "color_mkr5yf27": {"label": "PCE"}}, labels=True)
    await api.item(
        "two",
        {
            "text_mkr5wya6": "so-2",
            "color_mkr5yf27": {"label": "PAIR"},
            "dropdown_mkr5677f": {"labels": ["ARCTIC NAVY", "WHITE"]},
        },
        labels=True,
    )
    await api.item("three")
    return api


async def _found(api: Api, *columns: tuple[str, list[str]]) -> Reply:
    query = (
        "query ($c: [ItemsPageByColumnValuesQuery!]) { items_page_by_column_values(board_id: 9200517329, "
        "columns: $c) { cursor items { name } } }"
    )
    given = [{"column_id": column_id, "column_values": values} for column_id, values in columns]
    return await api.post(query, {"c": given})


async def _found_names(api: Api, *columns: tuple[str, list[str]]) -> list[str]:
    reply = await _found(api, *columns)
    assert reply.codes == [], reply.text
    return _names(reply.json["data"]["items_page_by_column_values"])


async def test_a_search_by_values_ignores_case_and_matches_whole_texts(stocked: Api) -> None:
    assert await _found_names(stocked, ("text_mkr5wya6", ["so-1", "SO-2"])) == ["one", "two"]
    assert await _found_names(stocked, ("text_mkr5wya6", ["SO-"])) == []
    assert await _found_names(stocked, ("text_mkr5wya6", ["SO-1"]), ("color_mkr5yf27", ["PAIR"])) == []
    assert await _found_names(stocked, ("color_mkr5yf27", ["pair"])) == ["two"]
    assert await _found_names(stocked, ("name", ["Three"])) == ["three"]
    assert await _found_names(stocked, ("dropdown_mkr5677f", ["navy"])) == ["two"], "a dropdown matches in part"


async def test_a_search_refuses_what_the_api_does_not_search(stocked: Api) -> None:
    assert (await _found(stocked, ("lookup_mkrbrdr1", ["x"]))).codes == ["InvalidArgumentException"]
    assert (await _found(stocked, ("text_1", ["x"]))).codes == ["InvalidColumnIdException"]
    assert (await _found(stocked, ("dropdown_mkr5677f", ["a", "b"]))).codes == ["InvalidArgumentException"]
    assert (await _found(stocked)).codes == ["InvalidArgumentException"]


@pytest.mark.parametrize(
    ("rules", "operator", "names"),
    [
        ([("text_mkr5wya6", "any_of", ["SO-1"])], "and", ["one"]),
        ([("text_mkr5wya6", "not_any_of", ["SO-1"])], "and", ["two", "three"]),
        ([("text_mkr5wya6", "contains_text", "O-")], "and", ["one", "two"]),
        ([("text_mkr5wya6", "is_empty", [])], "and", ["three"]),
        ([("text_mkr5wya6", "is_not_empty", [])], "and", ["one", "two"]),
        ([("color_mkr5yf27", "any_of", [2])], "and", ["two"]),
        ([("dropdown_mkr5677f", "any_of", [2])], "and", ["two"]),
        ([("name", "any_of", ["one"]), ("color_mkr5yf27", "any_of", [2])], "or", ["one", "two"]),
        ([("name", "any_of", ["one"]), ("color_mkr5yf27", "any_of", [2])], "and", []),
    ],
)
async def test_rules_of_a_page(
    stocked: Api, rules: list[tuple[str, str, list[Any]]], operator: str, names: list[str]
) -> None:
    params = {
        "operator": operator,
        "rules": [{"column_id": c, "operator": o, "compare_value": v} for c, o, v in rules],
    }
    query = "query ($q: ItemsQuery) { boards(ids: 9200517329) { items_page(query_params: $q) { items { name } } } }"
    told = await _data(stocked, query, q=params)
    assert _names(told["boards"][0]["items_page"]) == names


async def test_a_filtered_page_keeps_its_filter_across_the_cursor(stocked: Api) -> None:
    query = (
        "query ($q: ItemsQuery) { boards(ids: 9200517329) { items_page(limit: 1, query_params: $q) "
        "{ cursor items { name } } } }"
    )
    params = {"rules": [{"column_id": "text_mkr5wya6", "operator": "is_not_empty", "compare_value": []}]}
    page = (await _data(stocked, query, q=params))["boards"][0]["items_page"]
    following = "query ($c: String!) { next_items_page(cursor: $c) { cursor items { name } } }"
    rest = (await _data(stocked, following, c=page["cursor"]))["next_items_page"]
    assert (_names(page), _names(rest), rest["cursor"]) == (["one"], ["two"], None)


async def test_the_subitem_board_is_read_like_any_other(api: Api) -> None:
    parent = await api.item()
    child = await api.subitem(parent, {"dropdown_mkrak7qp": {"labels": ["M"]}, "numeric_mkra7j8e": "7"})
    query = "query ($b: [ID!]) { boards(ids: $b) { items_count items_page { items { id parent_item { id } } } } }"
    (board,) = (await _data(api, query, b=[api.subitem_board]))["boards"]
    assert board == {"items_count": 1, "items_page": {"items": [{"id": child, "parent_item": {"id": parent}}]}}
    told = await _data(
        api,
        'query ($i: [ID!]) { items(ids: $i) { subitems { id column_values(ids: ["dropdown_mkrak7qp"]) { text } } } }',
        i=[parent],
    )
    assert told["items"][0]["subitems"] == [{"id": child, "column_values": [{"text": "M"}]}]


async def test_searches_lag_behind_and_reads_by_id_do_not(start: Start) -> None:
    api = await start(lookup_lag=5.0)
    item_id = await api.item("one", {"text_mkr5wya6": "SO-1"})
    assert await _found_names(api, ("text_mkr5wya6", ["SO-1"])) == []
    assert (await _data(api, f"{{ items(ids: [{item_id}]) {{ name }} }}"))["items"] == [{"name": "one"}]
    api.clock.advance(5)
    assert await _found_names(api, ("text_mkr5wya6", ["SO-1"])) == ["one"]


async def test_limits_of_a_page(api: Api) -> None:
    for limit in (0, 501):
        reply = await api.post(f"{{ boards(ids: 9200517329) {{ items_page(limit: {limit}) {{ cursor }} }} }}")
        assert reply.codes == ["InvalidArgumentException"]
    reply = await api.post(
        '{ boards(ids: 9200517329) { items_page(cursor: "x", query_params: {ids: [1]}) { cursor } } }'
    )
    assert reply.codes == ["InvalidArgumentException"]


async def test_me_and_the_daily_limit(api: Api) -> None:
    told = await _data(api, "{ me { id name } platform_api { daily_limit { base total } } }")
    assert told["platform_api"]["daily_limit"] == {"base": 10_000, "total": 10_000}
    assert told["me"]["id"] == "1"


async def test_reads_overlap(start: Start) -> None:
    api = await start(latency=1.0)
    running = [asyncio.create_task(api.post("{ me { id } }")) for _ in range(5)]
    await api.clock.until_sleeping(5)
    api.clock.advance(1)
    assert {reply.status for reply in await asyncio.gather(*running)} == {200}
    assert (await api.stats())["max_writes_in_flight"] == 0
