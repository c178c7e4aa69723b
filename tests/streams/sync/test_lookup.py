"""Looking for what nobody answered for, on a board that shows what it is told to, when it is told to."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from connectors.monday import board_values
from mappings import plan
from schemas import items
from streams.sync import lookup


@dataclass(frozen=True)
class Shown:
    id: str
    name: str = "POLO"
    group_title: str = "G"
    board_id: str = "1"
    columns: dict[str, board_values.Shown] = field(default_factory=dict)


@dataclass
class FakeBoard:
    """Each entry shows from the check with its number (from 1) on."""

    items: dict[str, tuple[int, Sequence[Shown]]] = field(default_factory=dict)
    subitems: dict[tuple[str, str], tuple[int, Sequence[Shown]]] = field(default_factory=dict)
    titles: dict[str, tuple[int, str]] = field(default_factory=dict)
    checks: int = 0
    asked: list[list[str]] = field(default_factory=list)

    async def find(self, record_uuids: Sequence[str]) -> dict[str, Sequence[Shown]]:
        self.checks += 1
        self.asked.append(list(record_uuids))
        return {uuid: self.items[uuid][1] for uuid in record_uuids if self._shows(self.items.get(uuid))}

    async def find_sizes(self, parent_item_ids: Sequence[str]) -> dict[tuple[str, str], Sequence[Shown]]:
        self.checks += 1
        self.asked.append(list(parent_item_ids))
        return {place: found for place, (_, found) in self.subitems.items() if self._shows(self.subitems[place])}

    async def groups(self) -> dict[str, str]:
        self.checks += 1
        return {name: found for name, (_, found) in self.titles.items() if self._shows(self.titles[name])}

    async def group_titles(self) -> dict[str, str]:
        return {found: name for name, found in (await self.groups()).items()}

    async def present(self, ids: Collection[str]) -> lookup.Present:
        self.checks += 1
        return lookup.Present()

    def _shows(self, thing: tuple[int, object] | None) -> bool:
        return thing is not None and thing[0] <= self.checks


def lookup_on(board: FakeBoard) -> tuple[lookup.BoardLookup, list[float]]:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    return lookup.BoardLookup(board, sleep, numeric={"n"}), slept


def create(uuid: str, **columns: str) -> items.CreateItem:
    return items.CreateItem(record_uuid=uuid, name="POLO", group_name="G", columns=columns)


def size(label: str, parent: str = "7") -> items.CreateSubitem:
    return items.CreateSubitem(
        record_uuid="a", size_label=label, parent_item_id=parent, name=f"Size {label}", columns={"size": label}
    )


async def test_what_shows_at_once_is_adopted_without_waiting() -> None:
    board_lookup, slept = lookup_on(FakeBoard(items={"a": (1, [Shown("5")])}))
    found = await board_lookup.find({3: create("a")})
    assert found[3][0] == items.Done(id="5", board_id="1")
    assert slept == [0.0]


async def test_what_shows_late_is_waited_for_and_only_what_is_missing_is_asked_for_again() -> None:
    board = FakeBoard(items={"a": (1, [Shown("5")]), "b": (3, [Shown("6")])})
    board_lookup, slept = lookup_on(board)
    assert sorted(await board_lookup.find({0: create("a"), 1: create("b")})) == [0, 1]
    assert slept == [0.0, 2.0, 5.0]
    assert board.asked == [["a", "b"], ["b"], ["b"]]


async def test_what_never_shows_did_not_take_place_after_all_pauses() -> None:
    board_lookup, slept = lookup_on(FakeBoard())
    assert await board_lookup.find({0: create("a")}) == {}
    assert slept == [0.0, 2.0, 5.0, 15.0]


async def test_an_update_is_not_looked_for() -> None:
    board = FakeBoard()
    board_lookup, slept = lookup_on(board)
    update = items.UpdateItem(record_uuid="a", item_id="5", columns={"x": "1"})
    assert await board_lookup.find({0: update}) == {}
    assert (board.checks, slept) == (0, [])


async def test_a_size_is_known_by_its_parent_and_label_and_a_group_by_its_name() -> None:
    board = FakeBoard(subitems={("7", "S"): (1, [Shown("9", name="Size S")])}, titles={"G": (1, "g1")})
    board_lookup, _ = lookup_on(board)
    found = await board_lookup.find(
        {0: size("S"), 1: size("M"), 2: size("S", parent="8"), 3: items.CreateGroup(group_name="G")}
    )
    assert {at: done.id for at, (done, _) in found.items()} == {0: "9", 3: "g1"}
    assert found[3][1] is None


async def test_of_copies_the_oldest_is_ours() -> None:
    board_lookup, _ = lookup_on(FakeBoard(items={"a": (1, [Shown("100"), Shown("99"), Shown("101")])}))
    assert (await board_lookup.find({0: create("a")}))[0][0].id == "99"


async def test_of_an_adopted_item_only_what_it_does_not_show_is_planned_again() -> None:
    texts = {"x": "?", "same": "ü", "n": "7.50", "stranger": "?"}
    cells = {name: board_values.Shown(text=text) for name, text in texts.items()}
    shown = Shown("5", name="POLO OLD", group_title="Elsewhere", columns=cells)
    board_lookup, _ = lookup_on(FakeBoard(items={"a": (1, [shown])}))
    columns = {"x": "1", "y": "2", "same": "ü", "n": "7.5"}
    _, entity = (await board_lookup.find({0: create("a", **columns)}))[0]
    desired = items.DesiredItem(record_uuid="a", name="POLO", group_name="G", columns=columns, sizes={})
    update, move = plan.plan_item(desired, entity)
    assert update == items.UpdateItem(
        record_uuid="a", item_id="5", columns={"x": "1", "y": "2", "stranger": None, "name": "POLO"}
    )
    assert isinstance(move, items.MoveItem)


def test_after_an_update_that_nobody_confirmed_its_columns_are_told_again_whatever_they_shall_be() -> None:
    known = items.Entity(
        record_uuid="a", item_id="5", board_id="1", name="POLO", group_name="G", columns={"x": "1", "y": "2"}
    )
    update = items.UpdateItem(record_uuid="a", item_id="5", columns={"x": "9", "z": "9"})
    before = items.DesiredItem(record_uuid="a", name="POLO", group_name="G", columns=known.columns, sizes={})
    assert plan.plan_item(before, known) == []
    (again,) = plan.plan_item(before, lookup.unsure(known, update))
    assert again == items.UpdateItem(record_uuid="a", item_id="5", columns={"x": "1", "z": None})
    renaming = items.UpdateItem(record_uuid="a", item_id="5", columns={"name": "NEW"})
    (again,) = plan.plan_item(before, lookup.unsure(known, renaming))
    assert again == items.UpdateItem(record_uuid="a", item_id="5", columns={"name": "POLO"})


def test_after_a_move_that_nobody_confirmed_the_item_is_moved_again() -> None:
    known = items.Entity(record_uuid="a", item_id="5", board_id="1", name="POLO", group_name="G")
    moved = lookup.unsure(known, items.MoveItem(record_uuid="a", item_id="5", group_name="H"))
    desired = items.DesiredItem(record_uuid="a", name="POLO", group_name="G", columns={}, sizes={})
    assert [mutation.kind for mutation in plan.plan_item(desired, moved)] == ["move_item"]


def test_every_mutation_that_needs_an_item_names_it() -> None:
    assert lookup.target(size("S", parent="7")) == "7"
    assert lookup.target(items.MoveItem(record_uuid="a", item_id="5", group_name="H")) == "5"
    assert [lookup.target(one) for one in (create("a"), items.CreateGroup(group_name="G"))] == ["", ""]
