"""Keeps the binding: the named value `binding` in the database, and a copy in the home folder."""

import os
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from connectors import errors
from schemas.bindings import Binding

NAME, FILE = "binding", "binding.json"


class Values(Protocol):
    """Named values in SYNC_State (connectors.tables.state.State). Raises Transient or Misconfigured."""

    def get(self, name: str) -> Any:
        """The value, None if there is none."""

    def set(self, name: str, value: Any) -> None:
        """Sets the value."""

    def keep(self, name: str, value: Any) -> Any:
        """Sets the value unless there is one. Returns the value that it has now."""


class Bindings:
    """The binding of one home and its database. Methods raise what SQL raises."""

    def __init__(self, values: Values, home: Path) -> None:
        self._values = values
        self._file = home / FILE

    def stored(self) -> Binding | None:
        """The binding in the database; None without one, and in a database without our tables."""
        try:
            value = self._values.get(NAME)
        except errors.Misconfigured as error:
            if error.code == "SCHEMA":
                return None
            raise
        return None if value is None else Binding.model_validate(value)

    def of_home(self) -> Binding | None:
        """The binding in the home folder; None without one. Raises Misconfigured for a file that says nothing."""
        try:
            return Binding.model_validate_json(self._file.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no binding"
            raise errors.Misconfigured(f"{self._file}: {reason}: run `ordersync setup --rebind`") from None

    def add(self, binding: Binding) -> Binding:
        """Binds an unbound database. Returns the binding that it has now: another process may have been first."""
        bound = Binding.model_validate(self._values.keep(NAME, binding.model_dump(mode="json")))
        self.note_in_home(bound)
        return bound

    def replace(self, binding: Binding) -> None:
        """Binds the database and the home anew."""
        self._values.set(NAME, binding.model_dump(mode="json"))
        self.note_in_home(binding)

    def note_in_home(self, binding: Binding) -> None:
        """Copies the binding into the home folder, where only its owner may read it. Raises Misconfigured."""
        text = binding.model_dump_json(indent=2)
        new = self._file.with_suffix(f".{os.getpid()}.new")
        try:
            if self._file.exists() and self._file.read_text() == text:
                return
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(text)
            new.replace(self._file)
        except OSError as error:
            raise errors.Misconfigured(f"{self._file}: {error.strerror}: let this user write its folder") from None
