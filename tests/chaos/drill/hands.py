"""Drill `hand-edits`: 1,000 edits, deletions and copies by hand on the board; one command mends them."""

import random
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mappings
from tests.chaos.drill import stand
from tests.chaos.real.outcome import Outcome
from tests.support.people import People

ORDERS = 300
EDITS = 1_000
THEIRS = "NOTES"
# The board is read again after so many edits: reading it takes as long as many edits do.
GLANCE = 25


@dataclass
class Glance:
    """The board as people saw it a moment ago, without what was touched since: so each edit is of what is there."""

    at: stand.Stand
    _items: list[dict[str, Any]] = field(default_factory=list)
    _owner: dict[str, str] = field(default_factory=dict)
    _touched: set[str] = field(default_factory=set)

    def board(self) -> list[dict[str, Any]]:
        """The items that were not touched since they were read."""
        if not self._items or len(self._touched) >= GLANCE:
            self._items, self._touched = self.at.stage.ask("board")["items"], set()
            self._owner = {one["id"]: item["id"] for item in self._items for one in (item, *item["subitems"])}
        return [item for item in self._items if item["id"] not in self._touched]

    def edit(self, action: str, item_id: str | None = None, **told: Any) -> str:
        """What a person does to an item, or to one below it."""
        self._touched.add(self._owner.get(item_id or told.get("parent_id", ""), "a new one"))
        return self.at.edit(action, item_id, **told)


def hand_edits(folder: Path, seed: int) -> Outcome:
    """People own a column too, and lines without an identity: both are left as they are."""
    told = {"orders": ORDERS, "mappings": _mappings(folder / "mappings")}
    with stand.stand(folder / "home", seed, **told) as at:
        at.settles()
        theirs = next(one.id for one in at.parts.mappings.board.columns if one.source == THEIRS)
        rng = random.Random(f"by hand {seed}")
        glance = Glance(at)
        people = People(glance.edit, glance.board, at.parts.mappings, theirs, rng)
        people.act(EDITS)
        found = at.as_json("verify", "--board", code=1)["board"]["drift"]
        before, notes = at.stage.stats(), _notes(at, theirs)
        began = time.monotonic()
        mended = at.as_json("verify", "--board", "--fix", "--wait")
        seconds, after = time.monotonic() - began, at.stage.stats()
        kinds = Counter(kind.removeprefix("hand_") for kind in people.done.elements())
        at.figures = {
            "orders": ORDERS,
            "edits": people.done.total(),
            **{f"by_{kind}": n for kind, n in sorted(kinds.items())},
            **{f"found_{kind}": n for kind, n in sorted(Counter(one["kind"] for one in found).items())},
            "events": mended["emitted"],
            "mutations": after["mutations_done"] - before["mutations_done"],
            "calls": after["requests"] - before["requests"],
            "left": len(mended["board"]["drift"]) + mended["left"],
            "fix_s": seconds,
        }
        at.settles()
        at.wrong += at.stage.prove().wrong
        _untouched(at, people, notes, _notes(at, theirs))
    return at.outcome


def _untouched(at: stand.Stand, people: People, before: dict[str, Any], after: dict[str, Any]) -> None:
    """What people wrote into their column and their lines is what it was, wherever the item is still there."""
    noted = people.notes.keys() & after.keys()
    at.figures |= {"notes_kept": len(noted), "own_lines_kept": len(people.own & after.keys())}
    at.wrong += [
        f"the note of item {one} says {after[one]}" for one in noted if after[one] != {"text": people.notes[one]}
    ]
    changed = [one for one in before.keys() & after.keys() if before[one] != after[one]]
    at.wrong += [f"[{THEIRS}] of item {one} went from {before[one]} to {after[one]}" for one in changed]
    at.wrong += [f"the line {one} of their own is gone" for one in people.own - after.keys()]
    if not noted or not people.own:
        at.wrong.append("people wrote nothing of their own, so nothing is shown")


def _notes(at: stand.Stand, column: str) -> dict[str, Any]:
    """Their column of every item that is there."""
    items = at.stage.ask("board")["items"]
    return {item["id"]: item["columns"].get(column) for item in items if item["state"] == "active"}


def _mappings(folder: Path) -> Path:
    """The bundled mapping, but with a column that people own."""
    folder.mkdir(parents=True)
    bundled = Path(mappings.__file__).parent
    for name in ("customers.csv", "values.csv"):
        shutil.copy(bundled / name, folder)
    ours = f'"source": "{THEIRS}", '
    text = (bundled / "board.yaml").read_text("utf-8")
    assert text.count(ours) == 1
    (folder / "board.yaml").write_text(text.replace(ours, f'{ours}"owner": "people", '), "utf-8")
    return folder
