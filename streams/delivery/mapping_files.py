"""The files of the mapping, while processes run that read them at their start.

A process never changes its mapping. It ends when the files have another valid one, and its supervisor starts it with
that. Files with a mistake change nothing; `status` and /health name the mistake.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from connectors import errors
from mappings import fingerprint, loading
from schemas import events
from schemas.mappings import MappingError
from streams import attention
from streams.detect import step as detect

# The name of the attention.
ATTENTION = "mapping"
FILES = ("board.yaml", "customers.csv", "values.csv")

Stamp = tuple[tuple[int, int], ...]


class Store(Protocol):
    """connectors.tables.state.State."""

    def get(self, name: str) -> Any:
        """The named value; None if it was never stored. Raises Transient."""

    def set(self, name: str, value: Any) -> None:
        """Stores a named value. Raises Transient."""

    def erase_all(self, names: list[str]) -> None:
        """Removes named values; one that is not there is fine. Raises Transient."""


@dataclass
class MappingFiles:
    """The files in `folder` (None: the packaged ones) and the mapping that this process has read out of them."""

    folder: Path | None
    mappings: loading.Mappings
    store: Store
    _judged: Stamp | None = field(default=None, init=False)

    def require_unchanged(self) -> None:
        """Raises Outdated if the files have another valid mapping now. Notes their mistakes, or that they have none."""
        stamp = self._stamp()
        if stamp == self._judged:
            return
        try:
            now = loading.read(self.folder or loading.BUNDLED)
        except MappingError as error:
            reason = f"the mapping has a mistake, and the mapping of before is in use: {error}"
            action = "correct it: `ordersync validate` checks it"
            attention.ask(self.store, ATTENTION, attention.Attention(reason=reason, action=action, severity="person"))
        else:
            attention.done(self.store, ATTENTION)
            if fingerprint.fingerprint(now) != self.own:
                raise errors.Outdated("the mapping has changed: this process starts again with it")
        self._judged = stamp

    def require_newest(self, changed: list[events.OrderChanged]) -> None:
        """Raises if an event was detected with a newer mapping than this process has.

        Outdated: the files have it, and a restart reads them. Misconfigured: this machine has other files.
        """
        others = [event for event in changed if event.mapping not in ("", self.own)]
        if not others:
            return
        newest = self.store.get(detect.MAPPING) or {"fingerprint": self.own, "since": 0}
        if newest["fingerprint"] == self.own or max(event.version for event in others) < newest["since"]:
            return
        self._judged = None
        self.require_unchanged()
        raise errors.Misconfigured(
            "the poller has another mapping than this worker: give both the same board.yaml, customers.csv and "
            "values.csv",
            code="MAPPING",
        )

    @property
    def own(self) -> str:
        """The fingerprint of the mapping that this process has."""
        return fingerprint.fingerprint(self.mappings)

    def _stamp(self) -> Stamp:
        folder = self.folder or loading.BUNDLED
        found = []
        for name in FILES:
            try:
                stat = (folder / name).stat()
            except OSError:
                found.append((0, 0))
            else:
                found.append((stat.st_mtime_ns, stat.st_size))
        return tuple(found)
