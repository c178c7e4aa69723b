"""Parses and validates each GraphQL text once, and executes it every time."""

import dataclasses
import functools
import inspect
from collections.abc import Mapping
from importlib import resources
from typing import Any

import graphql

from connectors.simulator import answers


@functools.cache
def schema() -> graphql.GraphQLSchema:
    """The schema of schema.graphql."""
    built = graphql.build_schema(resources.files(__package__).joinpath("schema.graphql").read_text("utf-8"))
    column_value = built.type_map["ColumnValue"]
    assert isinstance(column_value, graphql.GraphQLInterfaceType)
    column_value.resolve_type = lambda value, *_: value.typename
    return built


@dataclasses.dataclass(frozen=True)
class Parsed:
    """A document with the errors of its validation."""

    document: graphql.DocumentNode
    errors: tuple[graphql.GraphQLError, ...]


@functools.lru_cache(maxsize=1024)
def _parse(text: str) -> Parsed:
    document = graphql.parse(text)
    return Parsed(document, tuple(graphql.validate(schema(), document)))


def parse(text: str) -> graphql.DocumentNode:
    """A document that fits the schema. Raises Refused."""
    try:
        parsed = _parse(text)
    except graphql.GraphQLSyntaxError as error:
        raise answers.Refused(answers.unreadable(error.message)) from error
    if parsed.errors:
        raise answers.Refused(answers.invalid(list(parsed.errors)))
    return parsed.document


def operation(document: graphql.DocumentNode, name: str | None) -> graphql.OperationDefinitionNode:
    """The operation of this name, or the only one. Raises Refused."""
    node = graphql.get_operation_ast(document, name)
    if node is None:
        raise answers.Refused(answers.error(400, "GRAPHQL_VALIDATION_FAILED", f"There is no operation {name!r}"))
    return node


def execute(
    document: graphql.DocumentNode, name: str | None, variables: Mapping[str, Any], root: object
) -> graphql.ExecutionResult:
    """Run an operation whose fields take no time. Raises the error of a bug in the simulator."""
    result = graphql.execute_sync(
        schema(), document, root_value=root, variable_values=dict(variables), operation_name=name
    )
    return _checked(result)


async def execute_in_turn(
    document: graphql.DocumentNode, name: str | None, variables: Mapping[str, Any], root: object
) -> graphql.ExecutionResult:
    """Run mutations that take time: each begins when the one before it has ended. Raises as `execute`."""
    result = graphql.execute(schema(), document, root_value=root, variable_values=dict(variables), operation_name=name)
    return _checked(await result if inspect.isawaitable(result) else result)


def _checked(result: graphql.ExecutionResult) -> graphql.ExecutionResult:
    for error in result.errors or ():
        if error.original_error is not None and not isinstance(error.original_error, graphql.GraphQLError):
            raise error.original_error
    return result


def to_answer(result: graphql.ExecutionResult) -> answers.Answer:
    """The answer to a result: errors in HTTP 200 beside the data; invalid variables refuse the whole request."""
    errors = result.errors or []
    if result.data is None and not any(error.path for error in errors):
        return answers.invalid(list(errors))
    body: answers.JSON = {"data": result.data}
    if errors:
        body["errors"] = [error.formatted for error in errors]
    codes = tuple(str((error.extensions or {}).get("code", "GRAPHQL_ERROR")) for error in errors)
    return answers.Answer(200, body, codes, throttled="FIELD_MINUTE_RATE_LIMIT_EXCEEDED" in codes)
