"""Reads headers and body of one POST into a valid document and its price."""

import dataclasses
import json
import re
from typing import Any

import graphql

from connectors.simulator import answers, cost, graph

CURRENT, MAINTENANCE, SUPPORTED = "2026-10", "2026-07", ("2026-07", "2026-10", "2027-01")
OLDEST = "2025-04"


@dataclasses.dataclass(frozen=True)
class Call:
    """One POST: its body and the headers that the API reads."""

    body: bytes
    token: str | None = None
    key: str | None = None
    version: str | None = None


@dataclasses.dataclass(frozen=True)
class Request:
    """A valid document with its estimated cost."""

    document: graphql.DocumentNode
    name: str | None
    variables: dict[str, Any]
    estimate: cost.Estimate


def read(call: Call) -> Request:
    """Parse and validate the JSON body. Raises Refused."""
    if served(call.version) is None:
        raise answers.Refused(answers.bad_version(call.version or ""))
    try:
        payload = json.loads(call.body)
    except ValueError as error:
        raise answers.Refused(answers.malformed(f"The body is not JSON: {error}")) from error
    if not isinstance(payload, dict) or not isinstance(payload.get("query"), str):
        raise answers.Refused(answers.malformed("The body must be an object with a query"))
    variables = payload.get("variables") or {}
    name = payload.get("operationName")
    if not isinstance(variables, dict) or not isinstance(name, str | None):
        raise answers.Refused(answers.malformed("variables must be an object, operationName a string"))
    document = graph.parse(payload["query"])
    return Request(document, name, variables, cost.estimate(document, graph.operation(document, name), variables))


def served(version: str | None) -> str | None:
    """The version that answers: MAINTENANCE for an old one, CURRENT for an unknown one; None for a malformed one."""
    if version is None:
        return CURRENT
    if not re.fullmatch(r"20\d\d-(01|04|07|10)", version):
        return None
    if version in SUPPORTED:
        return version
    return MAINTENANCE if OLDEST <= version < MAINTENANCE else CURRENT
