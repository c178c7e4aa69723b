"""Our schema is a part of the official one: same fields, arguments and types, nothing invented."""

from pathlib import Path
from typing import Any, cast

import graphql
import pytest

from connectors.simulator import graph

OFFICIAL = Path(__file__).parents[4] / "shared" / "monday" / "schema.graphql"

DOCUMENTS = {
    "the board": "{ boards(ids: [1], limit: 1, page: 1) { id name state items_count items_limit "
    'groups(ids: ["g"]) { id title } columns(ids: ["c"], types: [text]) { id title type settings } } }',
    "pages": "query ($q: ItemsQuery, $c: String) { boards(ids: 1) { items_page(limit: 5, cursor: $c, "
    "query_params: $q) { cursor items { ...all } } } } "
    + (
        FRAGMENT := "fragment all on Item { id name state "
        "created_at updated_at board { id } group { id title } parent_item { id } subitems { id name } "
        'column_values(ids: ["c"], types: [status, dropdown]) { id type text value __typename } }'
    ),
    "items": "{ items(ids: [1], limit: 5, page: 1, exclude_nonactive: true, newest_first: true) { ...all } } "
    + FRAGMENT,
    "next page": '{ next_items_page(cursor: "c", limit: 5) { cursor items { id } } }',
    "by values": '{ items_page_by_column_values(board_id: 1, cursor: "c", limit: 5, columns: '
    '[{column_id: "c", column_values: ["v"]}]) { cursor items { id } } }',
    "account": "{ me { id name account { id name } } platform_api { daily_limit { base total } } "
    "complexity { before query after reset_in_x_seconds } }",
    "rules": "{ boards(ids: 1) { items_page(query_params: {ids: [1], operator: or, rules: "
    '[{column_id: "c", operator: any_of, compare_value: ["v"]}, {column_id: "c", operator: not_any_of, '
    'compare_value: [1]}, {column_id: "c", operator: contains_text, compare_value: "v"}, '
    '{column_id: "c", operator: is_empty, compare_value: []}, '
    '{column_id: "c", operator: is_not_empty, compare_value: []}]}) { cursor } } }',
    "the activity log": "query ($from: ISO8601DateTime) { boards(ids: [1]) { activity_logs(from: $from, "
    'to: "2026-11-21T12:00:00Z", item_ids: [1], user_ids: [1], limit: 5, page: 2) '
    "{ id event entity data created_at user_id account_id } } }",
    "the last changed": "{ boards(ids: 1) { items_page(query_params: {order_by: "
    '[{column_id: "__last_updated__", direction: desc}]}) { cursor items { id updated_at } } } }',
    "mutations": "mutation ($v: JSON!) { complexity { before query after reset_in_x_seconds } "
    'a: create_item(board_id: 1, item_name: "n", group_id: "g", column_values: $v, '
    "create_labels_if_missing: true) { id board { id } } "
    'b: create_subitem(parent_item_id: 1, item_name: "n", column_values: $v, create_labels_if_missing: true) '
    "{ id board { id } } "
    "c: change_multiple_column_values(board_id: 1, item_id: 1, column_values: $v, create_labels_if_missing: true) "
    "{ id } "
    'd: move_item_to_group(item_id: 1, group_id: "g") { id } e: archive_item(item_id: 1) { id } '
    'f: delete_item(item_id: 1) { id } g: create_group(board_id: 1, group_name: "n") { id title } '
    'h: create_column(board_id: 1, title: "t", column_type: text, id: "c") { id title type settings } '
    'i: update_group(board_id: 1, group_id: "g", group_attribute: title, new_value: "n") { id title } }',
}


@pytest.fixture(scope="module")
def official() -> graphql.GraphQLSchema:
    if not OFFICIAL.exists():
        pytest.skip("the official schema is not beside this checkout")
    return graphql.build_schema(OFFICIAL.read_text("utf-8"), assume_valid=True)


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_documents_fit_our_schema(document: str) -> None:
    assert graphql.validate(graph.schema(), graphql.parse(document)) == []


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_documents_fit_the_official_schema(official: graphql.GraphQLSchema, document: str) -> None:
    assert graphql.validate(official, graphql.parse(document)) == []


def test_the_documents_use_every_field_and_argument_we_offer() -> None:
    ours = graph.schema()
    used: set[tuple[str, ...]] = set()
    for document in map(graphql.parse, DOCUMENTS.values()):
        info = graphql.TypeInfo(ours)

        class Note(graphql.Visitor):
            def enter_field(self, node: graphql.FieldNode, *_: object) -> None:
                used.add((str(info.get_parent_type()), node.name.value))  # noqa: B023
                for argument in node.arguments or ():
                    used.add((str(info.get_parent_type()), node.name.value, argument.name.value))  # noqa: B023

        graphql.visit(document, graphql.TypeInfoVisitor(info, Note()))
    offered: set[tuple[str, ...]] = set()
    for name, kind in ours.type_map.items():
        values = name.endswith("Value") and name != "ColumnValue"  # read through the interface
        if isinstance(kind, graphql.GraphQLObjectType | graphql.GraphQLInterfaceType) and not values:
            for field_name, field in kind.fields.items():
                offered |= {(name, field_name), *((name, field_name, argument) for argument in field.args)}
    assert {each for each in offered if not each[0].startswith("__")} - used == set()


def test_every_type_field_and_argument_of_ours_is_official(official: graphql.GraphQLSchema) -> None:
    wrong: list[str] = []
    for name, ours in graph.schema().type_map.items():
        theirs = cast(Any, official.type_map.get(name))
        of_one_kind = type(theirs) is type(ours)
        if not of_one_kind:
            wrong.append(name)
        elif isinstance(ours, graphql.GraphQLEnumType):
            wrong += [f"{name}.{value}" for value in set(ours.values) - set(theirs.values)]
        elif isinstance(ours, graphql.GraphQLInputObjectType):
            wrong += _different(name, ours.fields, theirs.fields)
        elif isinstance(ours, graphql.GraphQLObjectType | graphql.GraphQLInterfaceType):
            wrong += _different(name, ours.fields, theirs.fields)
            for field_name, field in ours.fields.items():
                if field_name in theirs.fields:
                    wrong += _different(f"{name}.{field_name}", field.args, theirs.fields[field_name].args)
            if not {each.name for each in ours.interfaces} <= {each.name for each in theirs.interfaces}:
                wrong.append(f"{name} implements")
    assert wrong == []


def test_what_is_required_there_is_offered_here(official: graphql.GraphQLSchema) -> None:
    """A field of ours leaves out no argument that the official one insists on."""
    for name, ours in graph.schema().type_map.items():
        if isinstance(ours, graphql.GraphQLObjectType) and not name.startswith("__"):
            for field_name, field in ours.fields.items():
                theirs = cast(Any, official.type_map[name]).fields[field_name]
                for argument_name, argument in theirs.args.items():
                    assert argument_name in field.args or not graphql.is_required_argument(argument)


def _different(owner: str, ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Absent there, of another type, or with another default."""
    wrong = []
    for name, one in ours.items():
        other = theirs.get(name)
        if other is None or str(one.type) != str(other.type) or _default(one) != _default(other):
            wrong.append(f"{owner}.{name}")
    return wrong


def _default(one: Any) -> str | None:
    node = getattr(one.ast_node, "default_value", None)
    return None if node is None else graphql.print_ast(node)
