"""A trouble of the service, and the diagnosis: all of them. The models only; judgement.py finds them."""

from datetime import datetime
from enum import StrEnum

from schemas.base import Model


class Severity(StrEnum):
    """What a trouble asks for. With DOWN or PERSON the service is not well."""

    DOWN = "down"  # a part does not work now; when it is back, the service goes on by itself
    PERSON = "person"  # the service waits until an operator acts
    FAILURES = "failures"  # orders that failed wait in the list of the operator; all others go on
    NOTE = "note"  # worth knowing; nothing waits for it


class Part(StrEnum):
    """The parts of the service. Beside these, the name of an attention is a part of its own."""

    SETTINGS = "settings"
    SETUP = "setup"
    DATABASE = "database"
    BROKER = "broker"
    BOARD = "board"
    POLLER = "poller"
    WORKER = "worker"
    GUARD = "guard"
    VERIFY = "verify"
    ORDERS = "orders"


class Trouble(Model):
    """`reason`: what is wrong; `action`: what to do, with the exact command line."""

    severity: Severity
    part: str
    reason: str
    action: str

    def __str__(self) -> str:
        # One line, whatever is quoted: the mapping's mistakes have a line each.
        return f"{self.severity.value:<8}  {self.part}: {' '.join(self.reason.split())} → {self.action}"


class Diagnosis(Model):
    """All troubles at one time (UTC), the gravest first. `failures`: open ERR rows by code."""

    at: datetime
    troubles: tuple[Trouble, ...]
    failures: dict[str, int] = {}

    @property
    def gravest(self) -> Severity | None:
        """The severity of the first trouble; None without any."""
        return self.troubles[0].severity if self.troubles else None

    @property
    def well(self) -> bool:
        """Every part works, and nothing waits for an operator but the list of failures."""
        return not self.of(Severity.DOWN, Severity.PERSON)

    def of(self, *severities: Severity) -> tuple[Trouble, ...]:
        """The troubles of these severities."""
        return tuple(trouble for trouble in self.troubles if trouble.severity in severities)

    @property
    def lines(self) -> list[str]:
        """One line a trouble, or the one word `well`."""
        return [str(trouble) for trouble in self.troubles] or ["well"]


def diagnosis(at: datetime, troubles: list[Trouble], failures: dict[str, int] | None = None) -> Diagnosis:
    """The diagnosis of these troubles, sorted; what is found twice is said once."""
    order = list(Severity)
    unique = dict.fromkeys(troubles)
    ranked = sorted(unique, key=lambda trouble: order.index(trouble.severity))
    return Diagnosis(at=at, troubles=tuple(ranked), failures=failures or {})
