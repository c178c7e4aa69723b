"""Reads the GraphQL texts of documents/*.graphql, and composes mutations into one request of aliases.

Values travel as variables, never inside the text. A request is built from the parsed documents: each mutation's
variables get its alias as a prefix, and its field gets that alias, so that
`mutation CreateItem($board: ID!) { create_item(board_id: $board) { id } }` as the third of a request becomes
`m2: create_item(board_id: $m2_board) { id }` with a variable `$m2_board: ID!`.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, assert_never

import graphql

from schemas import base, items

Json = dict[str, Any]

# One mutation of a request: the name of its document, and the values of that document's variables.
Call = tuple[str, Json]


class Request(base.Model):
    """One HTTP request: the exact JSON text to send, and the alias of each mutation, in order.

    `body` is pure ASCII, so that no column, log or collation changes a byte of it.
    """

    body: str
    aliases: tuple[str, ...]


def render(mutations: Sequence[items.Mutation], *, board_id: str, group_ids: Mapping[str, str]) -> Request:
    """Compose mutations into one request. Equal arguments give an equal body, byte for byte.

    `group_ids` maps a group's name to its id; a missing name raises KeyError.
    """
    return compose([_call(mutation, board_id, group_ids) for mutation in mutations])


def compose(calls: Sequence[Call]) -> Request:
    """Join named mutation documents and their variables into one request. Raises ValueError for none."""
    if not calls:
        raise ValueError("a request needs at least one mutation")
    aliases = tuple(f"m{index}" for index in range(len(calls)))
    variables = {
        f"{alias}_{name}": value
        for alias, (_, values) in zip(aliases, calls, strict=True)
        for name, value in values.items()
    }
    text = _request_text(tuple(name for name, _ in calls))
    return Request(body=_encode(text, variables), aliases=aliases)


def query_body(name: str, variables: Mapping[str, Any]) -> str:
    """The JSON text of one read document with its variables."""
    return _encode(text(name), variables)


@functools.cache
def text(name: str) -> str:
    """The text of documents/<name>.graphql."""
    return resources.files(__package__).joinpath("documents", f"{name}.graphql").read_text("utf-8")


def names() -> list[str]:
    """The names of all documents, sorted."""
    folder = resources.files(__package__).joinpath("documents")
    return sorted(file.name.removesuffix(".graphql") for file in folder.iterdir())


def _call(mutation: items.Mutation, board_id: str, group_ids: Mapping[str, str]) -> Call:
    match mutation:
        case items.CreateItem():
            return "create_item", {
                "board": board_id,
                "group": group_ids[mutation.group_name],
                "name": mutation.name,
                "columns": _columns(mutation.columns),
                "labels": mutation.create_labels,
            }
        case items.UpdateItem() | items.UpdateSubitem():
            return "change_columns", {
                "board": mutation.board_id if isinstance(mutation, items.UpdateSubitem) else board_id,
                "item": mutation.item_id,
                "columns": _columns(mutation.columns),
                "labels": mutation.create_labels,
            }
        case items.CreateSubitem():
            return "create_subitem", {
                "parent": mutation.parent_item_id,
                "name": mutation.name,
                "columns": _columns(mutation.columns),
                "labels": mutation.create_labels,
            }
        case items.MoveItem():
            return "move_item", {"item": mutation.item_id, "group": group_ids[mutation.group_name]}
        case items.RemoveItem():
            return _removal(mutation.removal), {"item": mutation.item_id}
        case items.CreateGroup():
            return "create_group", {"board": board_id, "name": mutation.group_name}
        case items.RenameGroup():
            return "rename_group", {"board": board_id, "group": mutation.group_id, "name": mutation.group_name}
        case _:
            assert_never(mutation)


def _removal(removal: items.Removal) -> str:
    match removal:
        case items.Removal.ARCHIVE:
            return "archive_item"
        case items.Removal.DELETE:
            return "delete_item"
        case items.Removal.KEEP:
            raise ValueError("an item that is kept needs no mutation")
        case _:
            assert_never(removal)


def _columns(columns: Mapping[str, base.ColumnValue]) -> str:
    """The API's JSON scalar is a *string* of JSON."""
    return json.dumps(columns, ensure_ascii=False, separators=(",", ":"))


def _encode(query: str, variables: Mapping[str, Any]) -> str:
    return json.dumps({"query": query, "variables": variables}, ensure_ascii=True, separators=(",", ":"))


# A backlog repeats few shapes (25 creates, 25 subitems); the limit is for the mixed ones.
@functools.lru_cache(maxsize=512)
def _request_text(documents: tuple[str, ...]) -> str:
    parts = [_part(name, f"m{index}") for index, name in enumerate(documents)]
    operation = graphql.OperationDefinitionNode(
        operation=graphql.OperationType.MUTATION,
        name=graphql.NameNode(value="Batch"),
        variable_definitions=tuple(node for part in parts for node in part.variable_definitions or ()),
        selection_set=graphql.SelectionSetNode(
            # The API runs the fields in order, so the complexity field at the end states the cost of all mutations.
            selections=(
                *(node for part in parts for node in part.selection_set.selections),
                *_operation("complexity").selection_set.selections,
            )
        ),
    )
    return graphql.print_ast(operation)


@functools.lru_cache(maxsize=2048)
def _part(name: str, alias: str) -> graphql.OperationDefinitionNode:
    """One document with the alias in its variables and on its field."""
    renamed = graphql.visit(_operation(name), _Rename(alias))
    assert isinstance(renamed, graphql.OperationDefinitionNode)
    return renamed


@functools.cache
def _operation(name: str) -> graphql.OperationDefinitionNode:
    (operation,) = graphql.parse(text(name), no_location=True).definitions
    assert isinstance(operation, graphql.OperationDefinitionNode)
    return operation


class _Rename(graphql.Visitor):
    """Prefixes every variable with the alias, and puts the alias on the field of the mutation."""

    def __init__(self, alias: str) -> None:
        super().__init__()
        self._alias = alias

    def enter_variable(self, node: graphql.VariableNode, *_: object) -> graphql.VariableNode:
        return graphql.VariableNode(name=graphql.NameNode(value=f"{self._alias}_{node.name.value}"))

    def leave_field(
        self, node: graphql.FieldNode, _key: object, _parent: object, _path: object, ancestors: list[Any]
    ) -> graphql.FieldNode | None:
        # Only the mutation's own field: its ancestors are the operation, its selection set and that set's fields.
        if sum(isinstance(node, graphql.SelectionSetNode) for node in ancestors) != 1:
            return None
        return graphql.FieldNode(
            alias=graphql.NameNode(value=self._alias),
            name=node.name,
            arguments=node.arguments,
            directives=node.directives,
            selection_set=node.selection_set,
        )
