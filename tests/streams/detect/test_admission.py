"""admission: the window, and whose turn it is."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import events
from schemas.batches import SyncState
from streams.detect import admission
from tests.support import factories
from tests.support.factories import World, identity, row

UPDATED = events.Change.UPDATED


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        yield made


def tally(window: int, **queues: list[int]) -> admission.Tally:
    """Candidates by customer, named by their place and given by what each costs."""
    made = admission.Tally(window)
    for customer, costs in queues.items():
        for place, cost in enumerate(costs):
            made.add(customer, admission.Candidate(f"{customer}{place}", UPDATED, cost))
    return made


def names(admitted: list[tuple[str, admission.Candidate]]) -> list[str]:
    return [candidate.record_uuid for _, candidate in admitted]


def test_customers_take_turns_and_each_keeps_its_order() -> None:
    admitted = tally(100, A=[10] * 50, B=[10] * 2, C=[10] * 50).admit(100)
    assert names(admitted) == ["A0", "A1", "A2", "A3", "B0", "B1", "C0", "C1", "C2", "C3"]


def test_who_waited_longest_is_first_whatever_its_name() -> None:
    made = tally(100, A=[10] * 9, B=[10] * 9, Z=[10] * 9)
    assert names(made.admit(20, turns={"A": 8, "B": 3})) == ["B0", "Z0"]


def test_a_small_change_goes_before_a_large_one_that_waited_as_long() -> None:
    assert names(tally(100, A=[80], B=[1]).admit(50)) == ["B0"]


def test_a_large_change_is_not_overtaken_for_good() -> None:
    assert tally(100, A=[80], B=[1]).admit(50, turns={"B": 1}) == []
    assert names(tally(100, A=[80], B=[1]).admit(80, turns={"B": 1})) == ["A0"]


def test_an_idle_pipeline_takes_one_however_large_and_no_second() -> None:
    assert names(tally(10, A=[500, 1]).admit(10)) == ["A0"]
    assert tally(10, A=[500]).admit(9) == []


def test_a_full_window_takes_none() -> None:
    assert tally(10, A=[1]).admit(0) == []
    assert tally(10, A=[1]).admit(-9000) == []


def test_a_limit_counts_orders_and_zero_is_a_limit() -> None:
    assert len(tally(100, A=[1] * 9, B=[1] * 9).admit(100, limit=5)) == 5
    assert tally(100, A=[1]).admit(100, limit=0) == []


def test_no_pass_takes_more_than_it_has_positions_for() -> None:
    made = tally(10**9, A=[1] * (events.POSITIONS + 5))
    assert len(made.admit(10**9)) == events.POSITIONS


def test_what_could_never_be_admitted_is_counted_and_not_kept() -> None:
    made = tally(10, A=[4] * 1000)
    assert made.total == 1000
    assert len(made.admit(10**9)) == 3


QUEUES = st.dictionaries(st.sampled_from("ABCDE"), st.lists(st.integers(1, 30), max_size=12), max_size=5)


@given(QUEUES, st.integers(1, 60), st.integers(-10, 60), st.dictionaries(st.sampled_from("ABC"), st.integers(0, 3)))
def test_the_window_is_never_overdrawn_but_for_the_one_of_an_idle_pipeline(
    queues: dict[str, list[int]], window: int, taken: int, turns: dict[str, int]
) -> None:
    room = window - max(0, taken)
    admitted = tally(window, **queues).admit(room, turns=turns)
    spent = sum(candidate.mutations for _, candidate in admitted)
    idle = room >= window
    assert spent <= max(0, room) or (idle and len(admitted) == 1)
    assert bool(admitted) or not idle or not any(queues.values())
    for customer in queues:
        mine = [candidate.record_uuid for name, candidate in admitted if name == customer]
        assert mine == [f"{customer}{place}" for place in range(len(mine))]


@pytest.mark.parametrize(("change", "sizes", "cost"), [("CREATED", 6, 7), ("UPDATED", 6, 2), ("DELETED", 0, 1)])
def test_a_change_is_planned_with_what_it_costs(change: str, sizes: int, cost: int) -> None:
    assert admission.cost(events.Change(change), sizes) == cost


# The same through whole passes.


def test_a_newcomer_never_waits_behind_the_season_wide_edits_of_others(world: World) -> None:
    world.add(*(row(1000 * c + n, CUSTOMER_NAME=f"CUSTOMER {c:02}") for c in range(8) for n in range(20)))
    emitted = world.passed(window=60)
    assert Counter(event.customer for event in emitted) == {f"CUSTOMER {c:02}": 3 if c < 4 else 2 for c in range(8)}
    # The window is full; a little of it is settled, and somebody whose name sorts last has one new order.
    world.settle(emitted[0])
    world.add(row(99_999, CUSTOMER_NAME="ZED"))
    assert [event.customer for event in world.passed(window=60)] == ["ZED"]


def test_everybody_has_had_a_turn_before_anybody_has_a_second(world: World) -> None:
    world.add(*(row(1000 * c + n, CUSTOMER_NAME=f"CUSTOMER {c:02}") for c in range(12) for n in range(5)))
    turns: Counter[str] = Counter()
    for _ in range(4):
        emitted = world.flow(window=9)
        assert len(emitted) == 3
        turns.update(event.customer for event in emitted)
    assert len(turns) == 12
    while world.flow(window=9):
        pass
    assert set(world.states().values()) == {SyncState.IN_SYNC}
    assert len(world.states()) == 60
    assert world.state.get("detect.turns") == {}


def test_what_is_not_admitted_is_found_again_with_its_newest_values(world: World) -> None:
    world.add(*(row(n) for n in range(4)))
    first = world.passed(window=6)
    assert [event.record_uuid for event in first] == [identity(0), identity(1)]
    assert world.states().keys() == {identity(0), identity(1)}
    world.edit(2, {"NOTES": "first"})
    world.edit(2, {"NOTES": "newest"})
    world.remove(3)
    assert world.passed(window=6) == []
    world.settle(*first)
    (second,) = world.passed(window=6)
    assert (second.record_uuid, second.row["NOTES"], second.change) == (identity(2), "newest", events.Change.CREATED)


def test_a_failed_order_gives_its_place_in_the_window_back(world: World) -> None:
    world.add(row(1, CUSTOMER_PRICE="cheap"), row(2))
    world.flow(window=3)
    assert world.orders.unsettled_mutations() == 0
    assert [event.record_uuid for event in world.flow(window=3)] == [identity(2)]
