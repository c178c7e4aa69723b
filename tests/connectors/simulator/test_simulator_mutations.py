"""What mutations do to the board."""

import json
from typing import Any

from tests.connectors.simulator.conftest import Api, Start


async def _item(api: Api, item_id: str) -> Any:
    board = (await api.admin("admin/board")).json
    found = [each for item in board["items"] for each in (item, *item["subitems"])]
    return next(each for each in found if each["id"] == item_id)


async def test_a_created_item_is_on_the_board_as_written(api: Api) -> None:
    columns = {"text_mkr5wya6": "SO-1", "color_mkr5yf27": {"label": "PCE"}, "numeric_mkr5cact": "12.5"}
    item_id = await api.item("Polo NAVY SO-1", columns)
    told = await _item(api, item_id)
    assert told == {
        "id": item_id,
        "name": "Polo NAVY SO-1",
        "state": "active",
        "columns": columns,
        "group": "Group Title",
        "subitems": [],
    }


async def test_blind_creates_make_duplicates(api: Api) -> None:
    first, second = await api.item("Polo"), await api.item("Polo")
    assert first != second
    assert await api.names() == ["Polo", "Polo"]


async def test_subitems_live_on_their_own_board_with_its_column_ids(api: Api) -> None:
    parent = await api.item()
    columns = {"dropdown_mkrak7qp": {"labels": ["M"]}, "numeric_mkra7j8e": "7"}
    reply = await api.post(
        'mutation ($p: ID!, $c: JSON) { create_subitem(parent_item_id: $p, item_name: "Size M", '
        "column_values: $c, create_labels_if_missing: true) { id board { id } parent_item { id } } }",
        {"p": parent, "c": json.dumps(columns)},
    )
    told = reply.json["data"]["create_subitem"]
    assert (told["board"]["id"], told["parent_item"]["id"]) == (str(api.subitem_board), parent)
    assert (await _item(api, told["id"]))["columns"] == columns
    wrong = await api.post(
        'mutation ($p: ID!) { create_subitem(parent_item_id: $p, item_name: "x", '
        'column_values: "{\\"text_mkr5wya6\\": \\"SO-1\\"}") { id } }',
        {"p": parent},
    )
    assert wrong.codes == ["InvalidColumnIdException"]


async def test_change_writes_only_the_columns_it_names_and_null_clears(api: Api) -> None:
    item_id = await api.item("Polo", {"text_mkr5wya6": "SO-1", "text_mkr5ej2x": "PO-1"})
    values = {"text_mkr5ej2x": None, "numeric_mkr5cact": "", "name": "Polo 2"}
    reply = await api.post(
        "mutation ($i: ID!, $c: JSON!) { change_multiple_column_values(board_id: 9200517329, item_id: $i, "
        "column_values: $c) { name } }",
        {"i": item_id, "c": json.dumps(values)},
    )
    assert reply.json["data"]["change_multiple_column_values"] == {"name": "Polo 2"}
    assert (await _item(api, item_id))["columns"] == {"text_mkr5wya6": "SO-1", "numeric_mkr5cact": ""}
    read = await api.post(
        'query ($i: [ID!]) { items(ids: $i) { column_values(ids: ["numeric_mkr5cact"]) { text value } } }',
        {"i": [item_id]},
    )
    assert read.json["data"]["items"][0]["column_values"] == [{"text": "0", "value": '"0"'}]


async def test_archiving_and_deleting_take_the_subitems_along(api: Api) -> None:
    for mutation, state in (("archive_item", "archived"), ("delete_item", "deleted")):
        parent = await api.item()
        child = await api.subitem(parent)
        reply = await api.post(f"mutation {{ {mutation}(item_id: {parent}) {{ id state }} }}")
        assert reply.json["data"][mutation] == {"id": parent, "state": state}
        assert (await _item(api, child))["state"] == state


async def test_what_is_archived_or_deleted_cannot_be_written(api: Api) -> None:
    archived, deleted = await api.item(), await api.item()
    await api.post(f"mutation {{ archive_item(item_id: {archived}) {{ id }} }}")
    await api.post(f"mutation {{ delete_item(item_id: {deleted}) {{ id }} }}")
    for item_id in (archived, deleted):
        for act in (
            f'change_multiple_column_values(board_id: 9200517329, item_id: {item_id}, column_values: "{{}}")',
            f'create_subitem(parent_item_id: {item_id}, item_name: "M")',
            f'move_item_to_group(item_id: {item_id}, group_id: "topics")',
        ):
            reply = await api.post(f"mutation {{ a: {act} {{ id }} }}")
            assert (reply.status, reply.json["data"]) == (200, {"a": None})
            assert reply.codes == ["ResourceNotFoundException"]
    assert (await api.post(f"mutation {{ delete_item(item_id: {archived}) {{ id }} }}")).codes == []
    assert (await api.post(f"mutation {{ delete_item(item_id: {archived}) {{ id }} }}")).codes != []


async def test_groups_are_made_by_name_and_items_move_between_them(api: Api) -> None:
    make = 'mutation { create_group(board_id: 9200517329, group_name: "GREYSON CLOTHIERS 2026 SPRING") { id title } }'
    first, second = [(await api.post(make)).json["data"]["create_group"] for _ in range(2)]
    assert first["id"] != second["id"], "names of groups are not unique"
    item_id = await api.item()
    move = "mutation ($i: ID!, $g: String!) { move_item_to_group(item_id: $i, group_id: $g) { group { id } } }"
    reply = await api.post(move, {"i": item_id, "g": second["id"]})
    assert reply.json["data"]["move_item_to_group"]["group"]["id"] == second["id"]
    assert (await api.post(move, {"i": item_id, "g": "nowhere"})).codes == ["ResourceNotFoundException"]


async def test_record_uuid_is_not_there_until_it_is_made(api: Api) -> None:
    assert (await api.create(columns={"record_uuid": "a"})).codes == ["InvalidColumnIdException"]
    make = (
        'mutation { create_column(board_id: 9200517329, title: "record_uuid", column_type: text, '
        'id: "record_uuid") { id type } }'
    )
    reply = await api.post(make)
    assert reply.json["data"]["create_column"] == {"id": "record_uuid", "type": "text"}
    assert (await api.create(columns={"record_uuid": "a"})).codes == []
    assert (await api.post(make)).codes == ["InvalidColumnIdException"]
    assert (await api.post(make.replace('"record_uuid")', '"record_uuid_of_an_order")'))).codes == [
        "InvalidColumnIdException"
    ]


async def test_aliases_fail_alone_and_their_neighbours_stay(api: Api) -> None:
    reply = await api.post(
        "mutation {"
        ' a: create_item(board_id: 9200517329, item_name: "first") { id }'
        ' b: create_item(board_id: 9200517329, item_name: "second",'
        '   column_values: "{\\"color_mkr5yf27\\": {\\"label\\": \\"DOZEN\\"}}") { id }'
        ' c: create_item(board_id: 9200517329, item_name: "third") { id } }'
    )
    assert reply.status == 200
    assert reply.json["data"]["b"] is None
    assert reply.json["data"]["a"]["id"]
    assert reply.json["data"]["c"]["id"]
    (error,) = reply.json["errors"]
    assert error["path"] == ["b"]
    assert error["extensions"]["code"] == "ColumnValueException"
    assert error["extensions"]["status_code"] == 200
    assert error["extensions"]["error_data"]["column_id"] == "color_mkr5yf27"
    assert error["extensions"]["error_data"]["column_type"] == "color"
    assert await api.names() == ["first", "third"]


async def test_a_failing_alias_leaves_no_label_behind(api: Api) -> None:
    columns = {"dropdown_mkr542p2": {"labels": ["NEW"]}, "date_mkr5zp5": {"date": "soon"}}
    assert (await api.create(columns=columns, labels=True)).codes == ["ColumnValueException"]
    reply = await api.post('{ boards(ids: 9200517329) { columns(ids: "dropdown_mkr542p2") { settings } } }')
    assert reply.json["data"]["boards"][0]["columns"][0]["settings"] == {"labels": []}


async def test_names_have_one_to_255_characters(api: Api) -> None:
    assert (await api.create("n" * 255)).codes == []
    assert (await api.create("n" * 256)).codes == ["ItemNameTooLongException"]
    assert (await api.create(" ")).codes == ["InvalidArgumentException"]
    assert (await api.create("x", {"name": "n" * 256})).codes == ["ItemNameTooLongException"]


async def test_an_item_holds_64_kilobytes(api: Api) -> None:
    texts = ["text_mkr5wya6", "text_mkr5ej2x", "text_mkrh94rx"]
    item_id = await api.item(columns={column: "x" * 30_000 for column in texts[:2]})
    change = (
        "mutation ($i: ID!, $c: JSON!) { change_multiple_column_values(board_id: 9200517329, item_id: $i, "
        "column_values: $c) { id } }"
    )
    reply = await api.post(change, {"i": item_id, "c": json.dumps({texts[2]: "x" * 6_000})})
    assert reply.codes == ["RecordInvalidException"]
    reply = await api.post(change, {"i": item_id, "c": json.dumps({texts[2]: "x" * 5_000})})
    assert reply.codes == []


async def test_a_group_gets_another_title_and_keeps_id_and_place(api: Api) -> None:
    make = 'mutation { create_group(board_id: 9200517329, group_name: "SPRING") { id } }'
    made = (await api.post(make)).json["data"]["create_group"]["id"]
    rename = (
        "mutation ($g: String!, $a: GroupAttributes!, $v: String!) "
        "{ update_group(board_id: 9200517329, group_id: $g, group_attribute: $a, new_value: $v) { id title } }"
    )
    before = (await api.post("{ boards(ids: [9200517329]) { groups { id title } } }")).json["data"]["boards"][0]
    reply = await api.post(rename, {"g": made, "a": "title", "v": "Spring!"})
    assert reply.json["data"]["update_group"] == {"id": made, "title": "Spring!"}
    after = (await api.post("{ boards(ids: [9200517329]) { groups { id title } } }")).json["data"]["boards"][0]
    renamed = [{**one, "title": "Spring!"} if one["id"] == made else one for one in before["groups"]]
    assert after["groups"] == renamed
    assert (await api.post(rename, {"g": "nowhere", "a": "title", "v": "x"})).codes == ["ResourceNotFoundException"]
    for attribute, value in (("title", ""), ("title", "x" * 256), ("color", "red")):
        refused = await api.post(rename, {"g": made, "a": attribute, "v": value})
        assert refused.codes == ["InvalidArgumentException"]
    assert (await api.post(rename, {"g": made, "a": "shape", "v": "x"})).codes == ["GRAPHQL_VALIDATION_FAILED"]


async def test_a_board_is_full_at_its_limit_of_items_and_subitems_together(start: Start) -> None:
    api = await start(items_limit=2)
    parent = await api.item()
    await api.subitem(parent)
    assert (await api.create()).codes == ["ItemsLimitationException"]
    await api.post(f"mutation {{ archive_item(item_id: {parent}) {{ id }} }}")
    assert (await api.create()).codes == []


async def test_unknown_boards_groups_and_items_are_refused_by_name(api: Api) -> None:
    cases = {
        'create_item(board_id: 1, item_name: "x") { id }': "InvalidBoardIdException",
        'create_item(board_id: 9200517329, item_name: "x", group_id: "g") { id }': "ResourceNotFoundException",
        "delete_item(item_id: 12) { id }": "ResourceNotFoundException",
        "delete_item { id }": "InvalidArgumentException",
        'create_item(board_id: 9200517329, item_name: "x", column_values: "{") { id }': "JsonParseException",
        'create_item(board_id: 9200517329, item_name: "x", column_values: {a: 1}) { id }': "JsonParseException",
        'create_group(board_id: 9200517329, group_name: "") { id }': "InvalidArgumentException",
    }
    for act, code in cases.items():
        reply = await api.post(f"mutation {{ a: {act} }}")
        assert (reply.codes, reply.json["data"]) == ([code], {"a": None}), act
