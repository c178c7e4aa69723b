"""The labels of a status or dropdown column."""

import json

from connectors.simulator import store, values


class Labels:
    """The labels of one column. `limit`: the number up to which missing ones are created; None creates none."""

    def __init__(self, state: store.Store, column: store.Column, limit: int | None) -> None:
        self._state = state
        self._column = column
        self._limit = limit

    def _known(self) -> dict[str, int]:
        return self._state.labels.get((self._column.board_id, self._column.id), {})

    def id_of(self, label: str) -> int:
        """The id of a label, which is created if allowed. Raises values.Invalid."""
        known = self._known()
        if label in known:
            return known[label]
        if self._limit is None:
            raise values.Invalid(f"label {label!r} does not exist; the column has {json.dumps(list(known)[:40])}")
        if len(known) >= self._limit:
            raise values.Invalid(f"label {label!r} would be number {len(known) + 1}; {self._limit} are allowed")
        return self._state.add_label(self._column, label)

    def label_of(self, label_id: int) -> str:
        """The label of an id. Raises values.Invalid."""
        for label, known_id in self._known().items():
            if known_id == label_id:
                return label
        raise values.Invalid(f"label id {label_id} does not exist")
