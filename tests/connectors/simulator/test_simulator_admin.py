"""The side door: edits by hand, counters, and the page for a person."""

import re
from typing import Any

from tests.connectors.simulator.conftest import Api, Reply, Start


async def _edit(api: Api, **edit: Any) -> Reply:
    return await api.admin("admin/edit", edit)


async def test_a_person_sets_a_value(api: Api) -> None:
    item_id = await api.item("Polo", {"text_mkr5wya6": "SO-1"})
    await _edit(api, action="set", item_id=item_id, column_id="text_mkr5wya6", value="by hand")
    await _edit(api, action="set", item_id=item_id, column_id="dropdown_mkr542p2", value={"labels": ["NEW"]})
    await _edit(api, action="set", item_id=item_id, column_id="name", value="Renamed")
    (item,) = (await api.admin("admin/board")).json["items"]
    assert (item["name"], item["columns"]) == (
        "Renamed",
        {"dropdown_mkr542p2": {"labels": ["NEW"]}, "text_mkr5wya6": "by hand"},
    )
    assert (await api.stats())["mutations"] == 1, "an edit is no request"


async def test_a_person_deletes_archives_and_duplicates(api: Api) -> None:
    first, second = await api.item("one"), await api.item("two", {"text_mkr5wya6": "SO-2"})
    child = await api.subitem(second, {"numeric_mkra7j8e": "7"})
    gone = await api.subitem(second)
    await _edit(api, action="delete", item_id=gone)
    await _edit(api, action="archive", item_id=first)
    copy = (await _edit(api, action="duplicate", item_id=second)).json["item_id"]
    twin = (await _edit(api, action="duplicate", item_id=child)).json["item_id"]
    items = {item["id"]: item for item in (await api.admin("admin/board")).json["items"]}
    assert items[first]["state"] == "archived"
    assert items[copy]["columns"] == {"text_mkr5wya6": "SO-2"}
    assert [sub["columns"] for sub in items[copy]["subitems"]] == [{"numeric_mkra7j8e": "7"}]
    states = {sub["id"]: sub["state"] for sub in items[second]["subitems"]}
    assert states == {child: "active", gone: "deleted", twin: "active"}


async def test_a_person_moves_an_item_and_writes_lines_of_their_own(api: Api) -> None:
    item_id = await api.item("Polo")
    await _edit(api, action="move", item_id=item_id, group="THEIRS")
    await _edit(api, action="move", item_id=item_id, group="THEIRS")
    own = (await _edit(api, action="add", name="own", columns={"text_mkr5wya6": "x"})).json["item_id"]
    sub = (await _edit(api, action="add", name="size", parent_id=item_id)).json["item_id"]
    board = (await api.admin("admin/board")).json
    items = {item["id"]: item for item in board["items"]}
    assert (items[item_id]["group"], items[own]["columns"]) == ("THEIRS", {"text_mkr5wya6": "x"})
    assert [one["id"] for one in items[item_id]["subitems"]] == [sub]
    assert [group["title"] for group in board["groups"]].count("THEIRS") == 1


async def test_an_edit_that_makes_no_sense_is_refused(api: Api) -> None:
    item_id = await api.item()
    assert (await _edit(api, action="explode", item_id=item_id)).status == 400
    assert (await _edit(api, action="delete", item_id="1")).status == 400
    reply = await _edit(api, action="set", item_id=item_id, column_id="date_mkr5zp5", value="soon")
    assert reply.status == 400
    assert "date" in reply.json["error"]


async def test_counters_can_start_again(start: Start) -> None:
    api = await start(complexity_per_minute=60_000)
    await api.batch(["a", "b"])
    await api.create()
    api.clock.advance(60)
    await api.create("n" * 300)
    stats = await api.stats()
    assert {k: stats[k] for k in ("requests", "mutation_requests", "mutations", "mutations_done")} == {
        "requests": 3,
        "mutation_requests": 3,
        "mutations": 3,
        "mutations_done": 2,
    }
    assert stats["throttled"] == 1
    assert stats["errors_by_code"] == {"COMPLEXITY_BUDGET_EXHAUSTED": 1, "ItemNameTooLongException": 1}
    assert [window["spent"] for window in stats["complexity"]["windows"]] == [60_000]
    stats = (await api.admin("admin/stats/reset", {})).json
    assert (stats["requests"], stats["errors_by_code"], stats["complexity"]["windows"]) == (0, {}, [])
    assert stats["complexity"]["spent"] == 3_000, "the window in progress goes on"


async def test_the_page_shows_the_board_and_escapes_it(api: Api) -> None:
    parent = await api.item("<script>alert(1)</script>", {"text_mkr5wya6": 'SO "1" & 2'})
    await api.subitem(parent, {"dropdown_mkrak7qp": {"labels": ["O/S"]}, "numeric_mkra7j8e": "7"})
    page = (await api.admin("")).text
    assert page.startswith("<!doctype html>")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page
    assert "SO &quot;1&quot; &amp; 2" in page
    assert "O/S × 7" in page
    assert not re.search(r"(src|href)=\"(https?:)?//", page), "no external resources"


async def test_the_page_is_paged(api: Api) -> None:
    await api.batch([f"item {number:03}" for number in range(101)])
    first, second = (await api.admin("")).text, (await api.admin("?page=2")).text
    assert "item 099" in first
    assert "item 100" not in first
    assert "/?page=2" in first
    assert "item 100" in second
    assert "item 099" not in second
    assert "/?page=1" in second
    assert (await api.admin("?page=nonsense")).text == first
