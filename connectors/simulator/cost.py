"""Estimates the complexity that a request is charged before it runs: a mutation 30,000, a read by its fields.

The prices of a read reproduce the only published measurement (3 items with 5 columns cost 65): an object is 10, a
column value 1, a scalar 0, a list is multiplied by its limit. limits.py settles the actual cost afterwards.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Literal, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    value_from_ast_untyped,
)

from connectors.simulator import views

DEFAULT_PAGE = 25
# The usual lengths of lists that have no argument for their length.
USUAL = {"subitems": 6, "columns": 80, "groups": 20, "column_values": 80}


@dataclasses.dataclass(frozen=True)
class Estimate:
    """The price of one operation. `reading` is in points; `lone_complexity`: it selects nothing but `complexity`."""

    operation: Literal["mutation", "query"]
    mutations: int
    reading: int
    lone_complexity: bool


class _Walk:
    def __init__(self, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self._variables = dict(variables)
        self._fragments = {
            each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
        }

    def fields(self, selection: SelectionSetNode | None) -> Iterator[FieldNode]:
        """The fields of a selection, those of its fragments included."""
        for each in selection.selections if selection else ():
            if isinstance(each, FieldNode):
                yield each
            elif isinstance(each, InlineFragmentNode):
                yield from self.fields(each.selection_set)
            elif isinstance(each, FragmentSpreadNode):
                yield from self.fields(self._fragments[each.name.value].selection_set)

    def cost(self, field: FieldNode) -> int:
        if not field.selection_set:
            return 0
        name = field.name.value
        arguments = {a.name.value: value_from_ast_untyped(a.value, self._variables) for a in field.arguments or ()}
        if name == "column_values":
            return views.VALUE_COST * self._count(name, arguments)
        inner = sum(map(self.cost, self.fields(field.selection_set)))
        own = views.OBJECT_COST
        if name in ("items_page", "next_items_page", "items_page_by_column_values"):
            filtered = arguments.get("query_params") or name == "items_page_by_column_values"
            limit = arguments.get("limit")
            # The price of the page's list `items` is here: the limit is an argument of the page.
            return (
                own
                + inner * (limit if isinstance(limit, int) else DEFAULT_PAGE)
                + (views.FILTER_COST if filtered else 0)
            )
        return (own + inner) * self._count(name, arguments)

    def _count(self, name: str, arguments: Mapping[str, Any]) -> int:
        ids = arguments.get("ids")
        if isinstance(ids, list):
            return len(ids)
        if name in ("boards", "items", "activity_logs") and isinstance(arguments.get("limit"), int):
            return int(arguments["limit"])
        return USUAL.get(name, 1)


def estimate(document: DocumentNode, operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> Estimate:
    """The estimate for one operation of a valid document."""
    walk = _Walk(document, variables)
    roots = list(walk.fields(operation.selection_set))
    kind = cast(Literal["mutation", "query"], operation.operation.value)
    paid = [field for field in roots if field.name.value != "complexity"]
    return Estimate(
        operation=kind,
        mutations=len(paid) if kind == "mutation" else 0,
        reading=0 if kind == "mutation" else sum(map(walk.cost, paid)),
        lone_complexity=not paid,
    )
