"""The kinds of failure in the ERR tables, and the bytes that are no event."""

import hashlib
from enum import StrEnum

from schemas.base import Model, Origin


class FailureType(StrEnum):
    """The values of `error_type`: four of the contract, and UNDECODABLE for bytes on a topic that are no event.

    NETWORK_ERROR and PARENT_NOT_FOUND are codes of the contract that no step writes: sync repeats or looks up a request
    after a network error, and it creates an item before its subitems.
    """

    API_ERROR = "API_ERROR"
    NETWORK_ERROR = "NETWORK_ERROR"
    VALIDATION_ERROR = "VALIDATION_ERROR"
    PARENT_NOT_FOUND = "PARENT_NOT_FOUND"
    UNDECODABLE = "UNDECODABLE"


class Poison(Model):
    """Undecodable bytes. `begins` shows the first of them, non-ASCII bytes escaped; `size` is the number of all."""

    origin: Origin
    key: str
    size: int
    begins: str
    error: str

    @property
    def error_key(self) -> str:
        """The same key for every delivery; another key for other bytes at the same origin of a recreated topic."""
        digest = hashlib.sha256(f"{self.size}:{self.begins}".encode()).hexdigest()[:12]
        return f"poison:{self.origin.topic}:{self.origin.partition}:{self.origin.offset}:{digest}"

    def __str__(self) -> str:
        where = f"{self.origin.topic}, partition {self.origin.partition}, offset {self.origin.offset}"
        return f"{where}: {self.size} bytes are no event: {self.error}. They begin: {self.begins}"
