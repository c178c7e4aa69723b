"""The texts that are sent: valid for the API, never built from values, equal for equal plans."""

import json
import random
from pathlib import Path
from typing import Any

import graphql
import pytest

from connectors.monday import documents
from schemas import items

ROOT = Path(__file__).resolve().parents[3]
SCHEMAS = {
    "simulator": ROOT / "connectors/simulator/schema.graphql",
    "official": ROOT.parent / "shared/monday/schema.graphql",
}
GROUPS = {"G": "group_g"}

CREATE = items.CreateItem(record_uuid="u", name="Tee", group_name="G", columns={"a": "1"})
UPDATE = items.UpdateItem(record_uuid="u", item_id="11", columns={"name": "New"}, create_labels=True)
MOVE = items.MoveItem(record_uuid="u", item_id="11", group_name="G")
ARCHIVE = items.RemoveItem(record_uuid="u", item_id="11", removal=items.Removal.ARCHIVE)
DELETE = items.RemoveItem(record_uuid="u", item_id="11", removal=items.Removal.DELETE)
SUBITEM = items.CreateSubitem(record_uuid="u", size_label="S", parent_item_id="11", name="S", columns={"q": "4"})
RESIZE = items.UpdateSubitem(record_uuid="u", size_label="S", item_id="12", board_id="99", columns={"q": "0"})
GROUP = items.CreateGroup(group_name="G")
RENAME = items.RenameGroup(group_id="group_g", group_name="G", shown="H")
EVERY: list[items.Mutation] = [CREATE, UPDATE, MOVE, ARCHIVE, DELETE, SUBITEM, RESIZE, GROUP, RENAME]


def render(*mutations: items.Mutation) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    request = documents.render(mutations, board_id="7", group_ids=GROUPS)
    body = json.loads(request.body)
    return body["query"], body["variables"], request.aliases


@pytest.fixture(scope="module", params=sorted(SCHEMAS))
def schema(request: pytest.FixtureRequest) -> graphql.GraphQLSchema:
    path = SCHEMAS[request.param]
    if not path.exists():
        pytest.skip(f"the {request.param} schema is not here")
    return graphql.build_schema(path.read_text("utf-8"), assume_valid=True)


def test_every_document_is_valid(schema: graphql.GraphQLSchema) -> None:
    broken = {name: graphql.validate(schema, graphql.parse(documents.text(name))) for name in documents.names()}
    assert len(broken) >= 15
    assert {name: faults for name, faults in broken.items() if faults} == {}


def test_every_batch_is_valid(schema: graphql.GraphQLSchema) -> None:
    rng = random.Random(5)
    for size in (1, 2, 8, 25):
        text, variables, _ = render(*EVERY[:size], *rng.choices(EVERY, k=max(0, size - len(EVERY))))
        parsed = graphql.parse(text)
        assert graphql.validate(schema, parsed) == []
        (operation,) = parsed.definitions
        assert isinstance(operation, graphql.OperationDefinitionNode)
        declared = graphql.execution.values.get_variable_values(schema, operation.variable_definitions or (), variables)
        assert not isinstance(declared, list), declared


def test_each_mutation_has_an_alias_in_order_and_asks_for_its_id() -> None:
    text, _, aliases = render(*EVERY)
    (operation,) = graphql.parse(text).definitions
    assert isinstance(operation, graphql.OperationDefinitionNode)
    fields = [node for node in operation.selection_set.selections if isinstance(node, graphql.FieldNode)]
    assert [field.alias.value if field.alias else field.name.value for field in fields] == [
        *aliases,
        "complexity",
    ]
    assert aliases == ("m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8")
    assert [field.name.value for field in fields[:-1]] == [
        "create_item",
        "change_multiple_column_values",
        "move_item_to_group",
        "archive_item",
        "delete_item",
        "create_subitem",
        "change_multiple_column_values",
        "create_group",
        "update_group",
    ]
    for field, mutation in zip(fields, EVERY, strict=False):
        selected = graphql.print_ast(field.selection_set).split() if field.selection_set else []
        assert "id" in selected
        assert ("board" in selected) == (mutation not in (GROUP, RENAME))


def test_values_travel_as_variables_only() -> None:
    nasty = 'x"}) { id } evil: delete_item(item_id: 1) { id } #\n\\u0000 É 👕'
    text, variables, _ = render(
        items.CreateItem(record_uuid="u", name=nasty, group_name="G", columns={"a": {"label": nasty}})
    )
    plain, _, _ = render(CREATE)
    assert text == plain
    assert variables["m0_name"] == nasty
    assert json.loads(variables["m0_columns"]) == {"a": {"label": nasty}}


def test_columns_are_json_text_and_null_clears() -> None:
    _, variables, _ = render(
        items.UpdateItem(record_uuid="u", item_id="11", columns={"a": None, "b": {"date": "2026-01-02"}})
    )
    assert variables == {
        "m0_board": "7",
        "m0_item": "11",
        "m0_columns": '{"a":null,"b":{"date":"2026-01-02"}}',
        "m0_labels": False,
    }


def test_a_subitem_is_changed_on_its_own_board() -> None:
    _, variables, _ = render(UPDATE, RESIZE)
    assert (variables["m0_board"], variables["m1_board"]) == ("7", "99")


def test_create_labels_is_told_per_mutation() -> None:
    _, variables, _ = render(CREATE, UPDATE)
    assert (variables["m0_labels"], variables["m1_labels"]) == (False, True)


def test_equal_plans_give_equal_bodies_of_plain_ascii() -> None:
    plan: list[items.Mutation] = [CREATE.model_copy(update={"name": "Größe 👕 \ud83d"}), SUBITEM]
    first, second = (documents.render(list(plan), board_id="7", group_ids=GROUPS) for _ in range(2))
    assert first == second
    assert first.body.isascii()
    assert json.loads(first.body)["variables"]["m0_name"] == "Größe 👕 \ud83d"


def test_what_cannot_be_sent_is_refused_here() -> None:
    keep = items.RemoveItem(record_uuid="u", item_id="1", removal=items.Removal.KEEP)
    with pytest.raises(ValueError, match="kept"):
        render(keep)
    with pytest.raises(ValueError, match="at least one"):
        render()
    with pytest.raises(KeyError, match="Unmade"):
        render(CREATE.model_copy(update={"group_name": "Unmade"}))


def test_a_read_has_its_text_and_variables() -> None:
    body = json.loads(documents.query_body("item_states", {"items": ["1"], "limit": 100}))
    assert body == {"query": documents.text("item_states"), "variables": {"items": ["1"], "limit": 100}}
