"""The activity log of both boards, and pages of the last updated items."""

import json
from typing import Any

import pytest

from connectors.simulator import store
from tests.connectors.simulator.conftest import START, Api

LOG = (
    "query ($board: [ID!], $from: ISO8601DateTime, $to: ISO8601DateTime, $items: [ID!], $users: [ID!], "
    "$limit: Int, $page: Int) { boards(ids: $board) { activity_logs(from: $from, to: $to, item_ids: $items, "
    "user_ids: $users, limit: $limit, page: $page) { id event entity data created_at user_id account_id } } }"
)
CHANGED = (
    "query ($limit: Int!, $order: [ItemsQueryOrderBy!]) { boards(ids: [9200517329]) { "
    "items_page(limit: $limit, query_params: {order_by: $order}) { cursor items { name updated_at } } } }"
)
NEXT = "query ($c: String!) { next_items_page(cursor: $c, limit: 2) { cursor items { name } } }"
DESC = [{"column_id": "__last_updated__", "direction": "desc"}]


async def _log(api: Api, **variables: Any) -> list[dict[str, Any]]:
    reply = await api.post(LOG, {"board": [api.board], "limit": 100, "page": 1, **variables})
    assert "errors" not in reply.json, reply.text
    lines: list[dict[str, Any]] = reply.json["data"]["boards"][0]["activity_logs"]
    return [{**line, "data": json.loads(line["data"])} for line in lines]


def _told(lines: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Events with the item that they name, the oldest first."""
    pairs = [(line["event"], line["data"].get("pulse_id") or line["data"]["pulse"]["id"]) for line in lines]
    return [(event, str(item)) for event, item in reversed(pairs)]


async def test_every_effect_has_a_line_whoever_made_it(api: Api) -> None:
    first = await api.item("one", {"text_mkr5wya6": "SO-1"})
    child = await api.subitem(first, {"numeric_mkra7j8e": "7"})
    for edit in (
        {"action": "set", "item_id": first, "column_id": "text_mkr5wya6", "value": "SO-2"},
        {"action": "set", "item_id": first, "column_id": "text_mkr5wya6", "value": "SO-2"},
        {"action": "set", "item_id": first, "column_id": "name", "value": "uno"},
        {"action": "move", "item_id": first, "group": "THEIRS"},
        {"action": "set", "item_id": child, "column_id": "numeric_mkra7j8e", "value": "8"},
        {"action": "delete", "item_id": child},
    ):
        await api.admin("admin/edit", edit)
    copy = (await api.admin("admin/edit", {"action": "duplicate", "item_id": first})).json["item_id"]
    await api.post("mutation ($i: ID!) { archive_item(item_id: $i) { id } }", {"i": copy})
    await api.post("mutation ($i: ID!) { delete_item(item_id: $i) { id } }", {"i": first})
    lines = await _log(api)
    assert _told(lines) == [
        ("create_pulse", first),
        ("update_column_value", first),
        ("update_name", first),
        ("move_pulse_from_group", first),
        ("create_pulse", copy),
        ("archive_pulse", copy),
        ("delete_pulse", first),
    ]
    assert [line["user_id"] for line in reversed(lines)] == ["1", "2", "2", "2", "2", "1", "1"]
    assert {line["entity"] for line in lines} == {"pulse"}
    assert len({line["account_id"] for line in lines}) == 1
    value = next(line["data"] for line in lines if line["event"] == "update_column_value")
    assert (value["previous_value"], value["value"]) == ("SO-1", "SO-2")
    below = await _log(api, board=[api.subitem_board])
    assert _told(below) == [("create_pulse", child), ("update_column_value", child), ("delete_pulse", child)]
    assert [line["data"].get("parent_item_id") for line in reversed(below)] == [int(first), int(first), None]


async def test_the_log_is_filtered_and_read_page_by_page(api: Api) -> None:
    ids = [await api.item(f"n{number}") for number in range(3)]
    api.clock.advance(60)
    await api.item("later")
    moment = START.isoformat()
    assert len(await _log(api, to=moment)) == 3
    assert len(await _log(api, **{"from": "2026-11-21T12:00:01Z"})) == 1
    assert _told(await _log(api, items=ids[:1])) == [("create_pulse", ids[0])]
    assert await _log(api, users=[2]) == []
    pages = [await _log(api, limit=3, page=page) for page in (1, 2, 3)]
    assert [len(page) for page in pages] == [3, 1, 0]
    assert pages[0][0]["data"]["pulse_name"] == "later"
    # Units of 100 ns since 1970.
    assert int(pages[1][0]["created_at"]) == int(START.timestamp()) * 10_000_000


@pytest.mark.parametrize("wrong", [{"limit": 101, "page": 100}, {"limit": 0}, {"from": "soon"}, {"to": "2026-11-21"}])
async def test_what_the_log_cannot_answer_is_refused(api: Api, wrong: dict[str, Any]) -> None:
    reply = await api.post(LOG, {"board": [api.board], "limit": 5, "page": 1, **wrong})
    assert reply.codes == ["InvalidArgumentException"] or wrong == {"limit": 0}


async def test_the_log_keeps_the_newest_lines_only(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "ACTIVITY_KEPT", 2)
    ids = [await api.item(f"n{number}") for number in range(5)]
    assert _told(await _log(api)) == [("create_pulse", ids[3]), ("create_pulse", ids[4])]


async def test_a_failed_mutation_writes_no_line(api: Api) -> None:
    item = await api.item()
    await api.post(
        'mutation ($i: ID!) { change_multiple_column_values(board_id: 9200517329, item_id: $i, column_values: "{'
        '\\"date_mkr5zp5\\": \\"soon\\"}") { id } }',
        {"i": item},
    )
    assert _told(await _log(api)) == [("create_pulse", item)]


async def test_the_last_updated_items_come_first_page_by_page(api: Api) -> None:
    ids = [await api.item(f"n{number}") for number in range(5)]
    api.clock.advance(60)
    await api.admin("admin/edit", {"action": "set", "item_id": ids[1], "column_id": "name", "value": "newest"})
    page = (await api.post(CHANGED, {"limit": 2, "order": DESC})).json["data"]["boards"][0]["items_page"]
    assert page["items"][0] == {"name": "newest", "updated_at": "2026-11-21T12:01:00Z"}
    names = [item["name"] for item in page["items"]]
    while page["cursor"]:
        page = (await api.post(NEXT, {"c": page["cursor"]})).json["data"]["next_items_page"]
        names += [item["name"] for item in page["items"]]
    assert names == ["newest", "n4", "n3", "n2", "n0"]


@pytest.mark.parametrize("order", [[{"column_id": "__last_updated__"}], [{"column_id": "name", "direction": "desc"}]])
async def test_another_order_is_refused(api: Api, order: list[dict[str, str]]) -> None:
    assert (await api.post(CHANGED, {"limit": 2, "order": order})).codes == ["InvalidArgumentException"]
