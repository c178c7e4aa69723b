"""The kinds of failure that the ERR tables know, and how a failure ends."""

import hashlib
from enum import StrEnum

from schemas.base import Model, Origin


class FailureType(StrEnum):
    """The values of `error_type`: the contract's, and one for bytes on a topic that are no event."""

    API_ERROR = "API_ERROR"
    NETWORK_ERROR = "NETWORK_ERROR"
    VALIDATION_ERROR = "VALIDATION_ERROR"
    PARENT_NOT_FOUND = "PARENT_NOT_FOUND"
    UNDECODABLE = "UNDECODABLE"


class Resolution(StrEnum):
    """How a failure ended: its version arrived or its cause was mended; a newer version counts; a person said so."""

    RESOLVED = "RESOLVED"
    SUPERSEDED = "SUPERSEDED"
    DISMISSED = "DISMISSED"


class Poison(Model):
    """Bytes that are no event. `begins` shows the first of them, what is no ASCII escaped; `size` counts all."""

    origin: Origin
    key: str
    size: int
    begins: str
    error: str

    @property
    def error_key(self) -> str:
        """The same however often it comes; another one for other bytes at that place of a topic made anew."""
        digest = hashlib.sha256(f"{self.size}:{self.begins}".encode()).hexdigest()[:12]
        return f"poison:{self.origin.topic}:{self.origin.partition}:{self.origin.offset}:{digest}"

    def __str__(self) -> str:
        where = f"{self.origin.topic}, partition {self.origin.partition}, offset {self.origin.offset}"
        return f"{where}: {self.size} bytes are no event: {self.error}. They begin: {self.begins}"
