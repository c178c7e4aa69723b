"""What a step asks an operator to look at: the named values `attention.<name>`, shown wherever troubles are shown.

A step calls `ask` when it finds something, and `done` when it is over. The name becomes the part of the trouble.
"""

from typing import Any, Literal, Protocol

from schemas.base import Model

FAMILY = "attention"


class Store(Protocol):
    """connectors.tables.state.State."""

    def get(self, name: str) -> Any:
        """The named value; None if it was never stored. Raises Transient."""

    def set(self, name: str, value: Any) -> None:
        """Stores a named value. Raises Transient."""

    def erase_all(self, names: list[str]) -> None:
        """Removes named values; one that is not there is fine. Raises Transient."""


class Attention(Model):
    """`reason`: what was found, in one line; `action`: what to do, with the exact command line.

    With "person" the service is not well until an operator acts; a "note" is only listed.
    """

    reason: str
    action: str
    severity: Literal["person", "note"]


def ask(store: Store, name: str, attention: Attention) -> None:
    """Shows this under the name, in place of what was shown before. Writes only a change. Raises what SQL raises."""
    wanted = attention.model_dump(mode="json")
    if store.get(f"{FAMILY}.{name}") != wanted:
        store.set(f"{FAMILY}.{name}", wanted)


def done(store: Store, name: str) -> None:
    """Shows nothing under the name any more. Raises what SQL raises."""
    if store.get(f"{FAMILY}.{name}") is not None:
        store.erase_all([f"{FAMILY}.{name}"])
