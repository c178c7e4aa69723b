"""plans: what the guard holds is told exactly, and what is accepted is exactly what is emitted."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas import detection, events
from streams.detect import plans
from tests.support import factories
from tests.support.factories import World, identity, row

UPDATED, DELETED, CREATED = events.Change.UPDATED, events.Change.DELETED, events.Change.CREATED


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        made.add(*(row(n) for n in range(120)))
        made.flow()
        yield made


def held(world: World) -> detection.Plan:
    report = world.detect()
    assert report.plan is not None
    plan = world.plans.get(report.plan)
    assert plan is not None
    return plan


def edit(world: World, numbers: range, notes: str) -> None:
    for number in numbers:
        world.edit(number, {"NOTES": notes})


def seen(emitted: list[events.OrderChanged]) -> dict[str, events.Change]:
    return {event.record_uuid: event.change for event in emitted}


def test_a_plan_says_what_differs_in_which_column_and_what_it_costs(world: World) -> None:
    edit(world, range(113), "harmless")
    plan = held(world)
    assert "113 of 113 rows differ only in [NOTES]" in plan.reason
    assert plan.counts == {UPDATED: 113}
    assert plan.columns == {"NOTES": 113}
    assert (plan.cost.mutations, plan.cost.calls) == (226, 10)
    assert {(one.change, one.customer, one.columns) for one in plan.samples} == {
        (UPDATED, "GREYSON CLOTHIERS", ("NOTES",))
    }
    assert plan.samples[0].title.startswith("MFA24K79 ARCTIC JOO-")


def test_deletes_are_named(world: World) -> None:
    world.remove(*range(60))
    plan = held(world)
    assert plan.counts == {DELETED: 60}
    assert "MFA24K79 ARCTIC JOO-00007 (GREYSON CLOTHIERS)" in plan.deletes


def test_what_is_accepted_is_what_is_done(world: World) -> None:
    edit(world, range(117), "harmless")
    plan = held(world)
    # Meanwhile the table was emptied half, and some of the edited rows were edited again.
    world.remove(*range(60))
    edit(world, range(100, 110), "again")
    world.plans.accept(plan.id)
    report = world.detect()
    assert seen(world.topic.take()) == {identity(n): UPDATED for n in (*range(60, 100), *range(110, 117))}
    assert report.accepted == 47
    assert report.held is not None, "the deletes are held, as a plan of their own"
    assert "60 of 120 orders were deleted" in report.held
    assert report.plan != plan.id
    assert world.detect().emitted == 0


def test_an_accepted_plan_goes_on_over_the_window_while_another_is_held(world: World) -> None:
    edit(world, range(80), "harmless")
    plan = held(world)
    world.plans.accept(plan.id)
    emitted = world.passed(window=40)
    assert 0 < len(emitted) < 80
    world.remove(*range(80, 120))
    world.remove(*range(40, 60))
    for _ in range(40):
        world.settle(*emitted)
        more = world.passed(window=40)
        if not more:
            break
        emitted = more
    assert world.state.get("detect.held") is not None
    arrived = world.query("SELECT COUNT(*) AS n FROM MON_CustMasterSchedule WHERE NOTES = 'harmless'")
    assert arrived == [{"n": 80}] or arrived[0]["n"] >= 60
    assert {line["n"] for line in world.query("SELECT COUNT(*) AS n FROM MON_CustMasterSchedule")} == {120}


def test_the_same_changes_have_the_same_id_in_any_order(tmp_path: Path) -> None:
    rows = [plans.Row(identity(n), UPDATED, f"{n:064X}", events.Cause.LIVE) for n in range(50)]
    ids = set()
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        with (tmp_path / str(seed)).open("w+") as file:
            draft = plans.Draft(file)
            for one in rows:
                draft.add(one, 2)
            ids.add(draft.id(()))
            assert list(draft.rows()) == rows
            assert draft.id(("[XL] is gone",)) not in ids
    assert len(ids) == 1


def test_a_plan_that_nothing_stands_of_emits_nothing(world: World) -> None:
    edit(world, range(117), "harmless")
    plan = held(world)
    for number in range(117):
        world.edit(number, {"NOTES": None})
    world.plans.accept(plan.id)
    report = world.detect()
    assert (report.accepted, report.emitted, report.held) == (0, 0, None)
    assert world.plans.state(plan.id) == "EMITTED"


def test_many_new_orders_are_held_too_but_not_a_first_load(tmp_path: Path) -> None:
    with factories.world(tmp_path) as world:
        world.add(*(row(n) for n in range(600)))
        assert world.detect().held is None
        world.topic.take()
        world.add(*(row(n) for n in range(600, 1300)))
        plan = held(world)
        assert plan.counts == {CREATED: 700}
        assert "700 of 600 orders were created at once" in plan.reason


def test_old_plans_are_forgotten_and_say_so(world: World) -> None:
    ids = []
    for n in range(12):
        edit(world, range(100), f"edit {n}")
        ids.append(held(world).id)
    assert len(set(ids)) == 12
    assert world.plans.state(ids[0]) == "FORGOTTEN"
    assert world.plans.state(ids[-1]) == "HELD"
