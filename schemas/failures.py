"""The kinds of failure that the ERR tables know."""

from enum import StrEnum


class FailureType(StrEnum):
    """The values of `error_type` in the contract's ERR tables."""

    API_ERROR = "API_ERROR"
    NETWORK_ERROR = "NETWORK_ERROR"
    VALIDATION_ERROR = "VALIDATION_ERROR"
    PARENT_NOT_FOUND = "PARENT_NOT_FOUND"
