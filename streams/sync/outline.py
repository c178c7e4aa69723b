"""The outline of the board for the writer: columns, labels and groups, read again when something does not fit it.

A group is known by its id: an item is in group X if its group has the id that we know for X, whatever its title is. The
ids are in SYNC_Groups, so that a title that changed while no writer ran is noticed too.

- A title that is one of our names makes its group the group of this name. Of several, the one that we know, else the
  topmost.
- A group with our items that has another title now, while no group has its name, was renamed. Owner `source`: it gets
  its name back by one mutation. Owner `people`: it keeps the title and is still the group of that name.
- A group that left the board is forgotten; the next order that needs it creates it once more.

A mapped column that was deleted or changed stops the board once, not each order: the API refuses each mutation for it
alone, as if its order were wrong. So ColumnCheck reads the columns when the writer starts and after such a refusal, and
pauses the lane. The same function decides for `ordersync validate` (mappings.checks), in the same words.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from connectors import errors
from connectors.monday import board_values, error_table
from mappings import checks
from mappings.loading import Mappings
from schemas import items
from schemas.base import ColumnValue
from schemas.mappings import Owner

log = logging.getLogger(__name__)

# Seconds between two readings because of labels or of refusals: a batch of bad values costs one call.
READ_EVERY = 10.0


class Board(Protocol):
    """One board (connectors.monday.board.Board). Raises Transient, AccountStop or BoardStop."""

    async def outline(self, column_ids: Sequence[str]) -> board_values.BoardOutline:
        """These columns and all groups."""


class Ledger(Protocol):
    """SYNC_Groups and SYNC_Ledger (connectors.tables.ledger.Ledger). Raises Transient or Misconfigured."""

    def groups(self) -> dict[str, str]:
        """Group ids by name."""

    def remember_groups(self, groups: Mapping[str, str]) -> None:
        """Replaces all group ids by these."""

    def items_in_groups(self, names: Sequence[str]) -> Mapping[str, int]:
        """The number of our active items in each of these groups; a group without one is absent."""


# The number of our active items in each of these groups; a group without one is absent.
CountItems = Callable[[Sequence[str]], Mapping[str, int]]


class Groups(NamedTuple):
    """The groups of the board: ids by name, titles by id, and the names whose groups have other titles now.

    `lines` are for the log: one for each group of ours that is not as we knew it.
    """

    ids: Mapping[str, str] = {}
    titles: Mapping[str, str] = {}
    renamed: Collection[str] = ()
    lines: Sequence[str] = ()

    def name_of(self, group_id: str, title: str) -> str:
        """The name of the group with this id; a group that was not read has its title as its name."""
        return next((name for name, known in self.ids.items() if known == group_id), title)


def resolve(shown: Sequence[board_values.BoardGroup], known: Mapping[str, str], count_items: CountItems) -> Groups:
    """The groups that a reading of the board showed, by the names that the ledger has known. Raises what SQL raises."""
    titles = {group.id: group.title for group in shown}
    by_title: dict[str, list[str]] = {}
    for group in shown:
        by_title.setdefault(group.title, []).append(group.id)
    changed = [name for name, group_id in known.items() if titles.get(group_id) != name]
    repeated = [title for title, ids in by_title.items() if len(ids) > 1]
    ours = count_items(asked) if (asked := sorted({*changed, *repeated})) else {}
    renamed = {name: known[name] for name in changed if known[name] in titles and name not in by_title and name in ours}
    ids = dict(renamed)
    for title, candidates in by_title.items():
        free = [group_id for group_id in candidates if group_id not in renamed.values()]
        if free:
            ids[title] = known[title] if known.get(title) in free else free[0]
    lines = [_line(name, known[name], titles, ids, ours[name]) for name in changed if name in ours]
    lines += [
        f"{len(by_title[title])} groups are called {title} on the board: new orders go into {ids[title]}"
        for title in repeated
        if title in ours and title in ids
    ]
    return Groups(ids, titles, tuple(renamed), tuple(lines))


def _line(name: str, group_id: str, titles: Mapping[str, str], ids: Mapping[str, str], count: int) -> str:
    if group_id not in titles:
        return f"group {name} ({count} of our items) is not on the board any more: the next order creates it once more"
    if ids.get(name) == group_id:
        return f"group {name} is called {titles[group_id]} on the board"
    return (
        f"group {name} ({count} of our items) is called {titles[group_id]}, and {ids.get(name)} has its name: "
        "new orders go into that one"
    )


@dataclass
class Outline:
    """The outline as it was read last. `clock` returns seconds. A dry run is `read_only`: it leaves SYNC_Groups alone.

    `renames`: the groups that get their names back, until the writer has tried it. Every method that reads the board
    raises what the board and SQL raise.
    """

    board: Board
    ledger: Ledger
    mappings: Mappings
    clock: Callable[[], float] = time.monotonic
    read_only: bool = False
    groups: Groups = field(default=Groups(), init=False)
    renames: Sequence[items.RenameGroup] = field(default=(), init=False)
    _labels: dict[str, set[str]] = field(default_factory=dict, init=False)
    _types: Mapping[str, str] = field(default_factory=dict, init=False)
    _created: list[board_values.BoardGroup] = field(default_factory=list, init=False)
    # When a group got its name back, by its id and the title that it had.
    _done: dict[tuple[str, str], float] = field(default_factory=dict, init=False)
    _read_at: float | None = field(default=None, init=False)

    async def refresh(self, *, every: float = 0.0) -> bool:
        """Reads the outline, unless it was read within `every` seconds. Returns whether it changed by that."""
        if self._read_at is not None and self.clock() - self._read_at < every:
            return False
        columns = [self.mappings.board.key.id, *(column.id for column in self.mappings.board.columns)]
        read = await self.board.outline(columns)
        known = await asyncio.to_thread(self.ledger.groups)
        # Reads lag behind writes: one reading may not show a group that was created just before.
        shown_ids = {group.id for group in read.groups}
        created = [one for one in self._created if one.id not in shown_ids and known.get(one.title) == one.id]
        shown, self._created = [*read.groups, *created], []
        groups = await asyncio.to_thread(resolve, shown, known, self.ledger.items_in_groups)
        if groups.ids != known and not self.read_only:
            await asyncio.to_thread(self.ledger.remember_groups, groups.ids)
        for line in groups.lines:
            if line not in self.groups.lines:
                log.warning("%s", line)
        labels = {column.id: set(column.labels) for column in read.columns}
        types = {column.id: column.type for column in read.columns}
        changed = (labels, types, groups.ids) != (self._labels, self._types, known)
        self._labels, self._types, self.groups, self.renames = labels, types, groups, self._renames(groups)
        self._read_at = self.clock()
        return changed

    def _renames(self, groups: Groups) -> tuple[items.RenameGroup, ...]:
        if self.mappings.board.groups.owner is Owner.PEOPLE:
            return ()
        shown = [(name, groups.ids[name], groups.titles[groups.ids[name]]) for name in groups.renamed]
        # Reads lag behind writes: a reading may show the title that the group had before it got its name back.
        since = self.clock() - READ_EVERY
        return tuple(
            items.RenameGroup(group_id=group_id, group_name=name, shown=title)
            for name, group_id, title in shown
            if self._done.get((group_id, title), since) <= since
        )

    def created_group(self, name: str, group_id: str) -> None:
        """Adds a group: the board has confirmed it."""
        ids, titles = {**self.groups.ids, name: group_id}, {**self.groups.titles, group_id: name}
        self.groups = self.groups._replace(ids=ids, titles=titles)
        self._created.append(board_values.BoardGroup(id=group_id, title=name))

    def tried(self, done: Collection[items.RenameGroup]) -> None:
        """Notes that the writer has tried all renames, and which of them were done: the others wait for a reading."""
        self._done |= {(rename.group_id, rename.shown): self.clock() for rename in done}
        titles = {**self.groups.titles, **{rename.group_id: rename.group_name for rename in done}}
        self.groups, self.renames = self.groups._replace(titles=titles), ()

    def is_news(self, group_id: str, title: str) -> bool:
        """Whether the outline does not explain that an item shows this group: it has to be read again."""
        if not group_id:
            return False
        if self.groups.titles.get(group_id) != title:
            return True
        source = self.mappings.board.groups.owner is Owner.SOURCE
        return source and not self.read_only and self.groups.name_of(group_id, title) != title

    def known(self) -> Mapping[str, Collection[str]]:
        """The labels of each column, by column id."""
        return self._labels

    def created(self, columns: Mapping[str, ColumnValue]) -> None:
        """Adds the labels in these values: the board has confirmed them."""
        for column, value in columns.items():
            if isinstance(value, dict) and "labels" in value:
                self._labels.setdefault(column, set()).update(value["labels"])


async def read(board: Board, ledger: Ledger, mappings: Mappings) -> Outline:
    """The outline of the board for a dry run. Raises what the board and SQL raise."""
    outline = Outline(board, ledger, mappings, read_only=True)
    await outline.refresh()
    return outline


class Columns(Protocol):
    """The boards (connectors.monday.board.Board). Raises Transient, AccountStop or BoardStop."""

    async def columns_of(self, board_ids: Sequence[str]) -> Mapping[str, Sequence[board_values.BoardColumn]]:
        """The columns of several boards."""


@dataclass
class ColumnCheck:
    """The check of one writer. `sleep` waits seconds, `now` is UTC."""

    board: Columns
    mappings: Mappings
    now: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[object]]
    _read_at: datetime | None = field(default=None, init=False)
    _wrong: bool = field(default=False, init=False)

    async def read(self) -> list[board_values.BoardColumn]:
        """The columns of the board. Raises Misconfigured when a mapped column is missing or has another type.

        It also raises what the board raises.
        """
        self._read_at = self.now()
        ids = self.mappings.board.board
        columns = await self.board.columns_of([ids.id, ids.subitem_board_id])
        items, subitems = columns[ids.id], columns[ids.subitem_board_id]
        found = checks.board_columns_wrong(self.mappings, _described(items), _described(subitems))
        stops = [mistake for mistake in found if mistake.stops]
        self._wrong = bool(stops)
        if stops:
            raise errors.Misconfigured("; ".join(mistake.text for mistake in stops), code=stops[0].code)
        return list(items)

    async def before_writing(self) -> None:
        """Reads the columns once more if they were wrong at the last read. Raises what `read` raises."""
        if self._wrong:
            await self._read_again()

    async def refused(self, codes: Collection[str]) -> None:
        """Reads the columns if one of these refusals may be about them. Raises what `read` raises.

        Columns that were right within the last 10 s are not read for a value that the API refuses: it is the value of
        one order. For a column that the API does not know, the check waits until it may read.
        """
        if any(map(error_table.is_no_column, codes)) or (
            any(map(error_table.is_about_columns, codes)) and self._pause() <= 0
        ):
            await self._read_again()

    async def _read_again(self) -> None:
        if (pause := self._pause()) > 0:
            await self.sleep(pause)
        await self.read()

    def _pause(self) -> float:
        """Seconds until the columns may be read once more."""
        if self._read_at is None:
            return 0.0
        return READ_EVERY - (self.now() - self._read_at).total_seconds()


def _described(columns: Sequence[board_values.BoardColumn]) -> list[tuple[str, str, str]]:
    return [(column.id, column.title, column.type) for column in columns]
