"""The shape of what is refused before it runs."""

import pytest

from tests.connectors.simulator.conftest import Api, Start

TOKEN = {"Authorization": "secret"}


async def test_a_missing_or_wrong_token_is_401_and_costs_nothing(start: Start) -> None:
    api = await start(token="secret")
    for token in (None, "", "wrong", "Bearer secret"):
        reply = await api.create(token=token)
        assert (reply.status, reply.codes) == (401, ["Unauthorized"])
    stats = await api.stats()
    assert (stats["calls_today"], stats["errors_by_code"]) == (0.0, {"Unauthorized": 4})
    assert (await api.create(token="secret")).status == 200


@pytest.mark.parametrize("body", ["", "{", "[]", "{}", '{"query": 5}', '{"query": "{me{id}}", "variables": 5}'])
async def test_a_body_that_is_not_a_request_is_400(api: Api, body: str) -> None:
    reply = await api.send(body, TOKEN)
    assert (reply.status, reply.codes) == (400, ["JsonParseException"])


async def test_of_several_operations_one_must_be_named(api: Api) -> None:
    reply = await api.post("query a { me { id } } query b { me { name } }")
    assert (reply.status, reply.codes) == (400, ["GRAPHQL_VALIDATION_FAILED"])
    body = '{"query": "query a { me { id } } query b { me { name } }", "operationName": "a"}'
    assert (await api.send(body, TOKEN)).json["data"] == {"me": {"id": "1"}}


async def test_a_parse_error_rejects_the_whole_request(api: Api) -> None:
    good = 'a: create_item(board_id: 9200517329, item_name: "x") { id }'
    reply = await api.post(f'mutation {{ {good} b: create_item(board_id: 9200517329, item_name: "y) {{ id }} }}')
    assert (reply.status, reply.codes) == (400, ["GRAPHQL_PARSE_FAILED"])
    assert "data" not in reply.json
    assert await api.names() == []


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ("b: create_things { id }", "undefinedField"),
        ('b: create_item(board_id: 9200517329, item_name: "y") { id color }', "undefinedField"),
        ("b: create_item(board_id: 9200517329) { id }", "GRAPHQL_VALIDATION_FAILED"),
        ('b: create_item(board_id: 9200517329, item_name: "y")', "GRAPHQL_VALIDATION_FAILED"),
        ('b: create_item(board_id: 9200517329, item_name: "y", colour: "red") { id }', "GRAPHQL_VALIDATION_FAILED"),
    ],
)
async def test_a_validation_error_rejects_the_whole_request(api: Api, bad: str, code: str) -> None:
    good = 'a: create_item(board_id: 9200517329, item_name: "x") { id }'
    reply = await api.post(f"mutation {{ {good} {bad} }}")
    assert (reply.status, reply.codes) == (400, [code])
    assert reply.json["errors"][0]["locations"]
    assert await api.names() == []
    assert (await api.stats())["complexity"]["spent"] == 0


async def test_a_variable_of_the_wrong_type_rejects_the_whole_request_and_is_refunded(api: Api) -> None:
    query = (
        "mutation ($a: String!, $b: String!) {"
        " a: create_item(board_id: 9200517329, item_name: $a) { id }"
        " b: create_item(board_id: 9200517329, item_name: $b) { id } }"
    )
    reply = await api.post(query, {"a": "x", "b": 5}, key="k")
    assert (reply.status, reply.codes) == (400, ["GRAPHQL_VALIDATION_FAILED"])
    assert await api.names() == []
    assert (await api.stats())["complexity"]["spent"] == 0
    assert (await api.post(query, {"a": "x", "b": "y"}, key="k")).status == 200, "nothing ran: no replay"


async def test_versions(api: Api) -> None:
    for asked, served in (
        (None, "2026-10"),
        ("2026-10", "2026-10"),
        ("2027-01", "2027-01"),
        ("2025-07", "2026-07"),
        ("2031-04", "2026-10"),
    ):
        assert (await api.post("{ me { id } }", version=asked)).headers["API-Version"] == served
    reply = await api.post("{ me { id } }", version="latest")
    assert (reply.status, reply.codes) == (400, ["InvalidVersionException"])
