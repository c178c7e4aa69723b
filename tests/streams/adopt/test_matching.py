"""Which item belongs to which order: unique on both sides, else ambiguous with its reason; and stable when repeated."""

import random
from collections.abc import Mapping

import pytest

from streams.adopt import matching
from streams.adopt.matching import Ambiguity, Decided, Item, Kind, Match, Reason, Row

K1, K2 = ("gre-1", "polo", "red", "4755"), ("gre-2", "polo", "red", "4755")
R1, R2 = Row("R1", K1, "polo red gre-1"), Row("R2", K2, "polo red gre-2")


def item(number: int, key: matching.BusinessKey = (), *, named: str = "", name: str = "", **more: object) -> Item:
    filled = more.get("filled", key)
    assert isinstance(filled, tuple)
    return Item(str(number), named, key, name, filled)


def matched(
    rows: list[Row],
    items: list[Item],
    production: Mapping[str, matching.BusinessKey] | None = None,
    known: dict[str, str] | None = None,
    decided: Decided = matching.NOTHING_DECIDED,
) -> matching.Matching:
    return matching.match(rows, items, production=production or {}, known=known or {}, decided=decided)


@pytest.mark.parametrize(
    ("one", "production", "kind"),
    [
        (item(1, named="R1"), {}, Kind.KEY),
        # The key wins, whatever people wrote into the other cells.
        (item(1, K2, named="R1"), {"1": K2}, Kind.KEY),
        (item(1), {"1": K1}, Kind.PRODUCTION),
        (item(1, K1), {"1": K1}, Kind.PRODUCTION),
        # A production row that names no order of the source says nothing.
        (item(1, K1), {"1": ("gre-9", "polo", "red", "")}, Kind.BUSINESS_KEY),
        (item(1, K1), {}, Kind.BUSINESS_KEY),
        (item(1, name="polo red gre-1"), {}, Kind.NAME),
        # A cell that is filled agrees.
        (item(1, name="polo red gre-1", filled=("gre-1", "", "", "")), {}, Kind.NAME),
    ],
)
def test_a_match_that_is_unique_on_both_sides(
    one: Item, production: dict[str, matching.BusinessKey], kind: Kind
) -> None:
    found = matched([R1, R2], [one], production)
    assert found.matches == [Match("R1", "1", kind)]
    assert (found.ambiguous, found.rows_left, found.unmatched) == ([], 1, [])


@pytest.mark.parametrize(
    ("rows", "items", "production", "expected"),
    [
        ([R1], [item(1, K1), item(2, K1)], {}, {("R1", "1", Reason.SEVERAL_ITEMS), ("R1", "2", Reason.SEVERAL_ITEMS)}),
        ([R1], [item(1, named="R1"), item(2, named="R1")], {}, {
            ("R1", "1", Reason.SEVERAL_ITEMS), ("R1", "2", Reason.SEVERAL_ITEMS)
        }),
        ([R1, Row("R3", K1, "")], [item(1, K1)], {}, {
            ("R1", "1", Reason.SEVERAL_ORDERS), ("R3", "1", Reason.SEVERAL_ORDERS)
        }),
        ([R1], [item(1, K1, named="GONE")], {}, {("R1", "1", Reason.OTHER_KEY)}),
        ([R1, R2], [item(1, K2)], {"1": K1}, {
            ("R1", "1", Reason.CONTRADICTION), ("R2", "1", Reason.CONTRADICTION)
        }),
        # Two orders share item 1 by production; so item 2 does not get one of them by its name.
        ([R1, Row("R3", K1, "other")], [item(1), item(2, name="polo red gre-1")], {"1": K1}, {
            ("R1", "1", Reason.SEVERAL_ORDERS), ("R3", "1", Reason.SEVERAL_ORDERS),
            ("R1", "2", Reason.SEVERAL_ITEMS),
        }),
    ],
)  # fmt: skip
def test_everything_else_is_ambiguous(
    rows: list[Row],
    items: list[Item],
    production: dict[str, matching.BusinessKey],
    expected: set[tuple[str, str, Reason]],
) -> None:
    found = matched(rows, items, production)
    assert found.matches == []
    assert set(found.ambiguous) == {Ambiguity(*one) for one in expected}
    assert found.undecided == {uuid for uuid, _, _ in expected}
    assert found.rows_left == 0


def test_an_item_that_contradicts_or_names_nothing_is_left_alone() -> None:
    others = [item(1, name="polo red gre-1", filled=("gre-7", "", "", "")), item(2, ("x",)), item(3, named="GONE")]
    found = matched([R1], others)
    assert (found.matches, found.ambiguous, found.unmatched) == ([], [], ["1", "2", "3"])
    assert found.rows_left == 1


def test_a_second_item_of_an_order_that_has_one_by_a_better_reason_is_spare() -> None:
    found = matched([R1], [item(1, K1), item(2, K1, named="R1")])
    assert found.matches == [Match("R1", "2", Kind.KEY)]
    assert (found.spare, found.ambiguous) == (["1"], [])


def test_a_known_order_gets_no_other_item_even_if_its_own_is_gone() -> None:
    found = matched([R1, R2], [item(1, K1), item(2, K2)], known={"R1": "77", "R2": "2"})
    assert found.matches == [Match("R2", "2", Kind.KNOWN)]
    assert (found.spare, found.rows_left) == (["1"], 0)


def test_a_person_decides() -> None:
    rows, items = [R1, Row("R3", K1, "")], [item(1, K1), item(2, K1)]
    assert len(matched(rows, items).ambiguous) == 4
    # The decision about one order leaves one order and one item.
    found = matched(rows, items, decided=Decided({"R1": "2"}))
    assert found.matches == [Match("R1", "2", Kind.DECISION), Match("R3", "1", Kind.BUSINESS_KEY)]
    # Applied, the same decision is no mistake.
    again = matched(rows, items, known={"R1": "2"}, decided=Decided({"R1": "2"}))
    assert again.matches[0] == Match("R1", "2", Kind.KNOWN)
    left = matched([R1], items, decided=Decided(left={("R1", "1"), ("R1", "2")}))
    assert (left.ambiguous, left.matches, left.rows_left) == ([], [], 1)
    one_left = matched([R1], items, decided=Decided(left={("R1", "1")}))
    assert one_left.matches == [Match("R1", "2", Kind.BUSINESS_KEY)]


@pytest.mark.parametrize(
    ("adopted", "known", "text"),
    [
        ({"R9": "1"}, {}, "does not have it"),
        ({"R1": "9"}, {}, "does not have it"),
        ({"R1": "1"}, {"R2": "1"}, "it belongs to order R2"),
        ({"R1": "1"}, {"R1": "5"}, "the order has item 5 already"),
    ],
)
def test_an_impossible_decision_is_refused(adopted: dict[str, str], known: dict[str, str], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        matched([R1, R2], [item(1, K1)], known=known, decided=Decided(adopted))


@pytest.mark.parametrize("seed", range(300))
def test_a_run_that_was_stopped_anywhere_goes_on_with_the_same_matches(seed: int) -> None:
    """Some of the matches have their keys, some are in the ledger too: what is matched stays the same."""
    rng = random.Random(seed)
    keys = [(f"gre-{n}", "polo", "", "") for n in range(rng.randint(1, 5))]
    rows = [Row(f"R{n}", rng.choice([*keys, ()]), f"name {rng.randint(0, 3)}") for n in range(rng.randint(1, 8))]
    items = [
        item(
            n,
            rng.choice([*keys, ()]),
            named=rng.choice(["", "", "", f"R{rng.randint(0, 9)}"]),
            name=f"name {rng.randint(0, 4)}",
        )
        for n in range(rng.randint(1, 9))
    ]
    production = {one.item_id: rng.choice(keys) for one in items if rng.random() < 0.4}
    whole = matched(rows, items, production)
    pairs = {(match.record_uuid, match.item_id) for match in whole.matches}
    assert len(pairs) == len({uuid for uuid, _ in pairs}) == len({item_id for _, item_id in pairs})
    assert not whole.undecided & {uuid for uuid, _ in pairs}
    done = [match for match in whole.matches if rng.random() < 0.5]
    keyed = {match.item_id: match.record_uuid for match in done}
    known = {match.record_uuid: match.item_id for match in done if rng.random() < 0.5}
    after = [one._replace(named=keyed.get(one.item_id, one.named)) for one in items]
    resumed = matched(rows, after, production, known)
    assert {(match.record_uuid, match.item_id) for match in resumed.matches} == pairs
    assert set(resumed.ambiguous) == set(whole.ambiguous)
    counted = [*(one.item_id for one in whole.matches), *whole.spare, *whole.unmatched]
    assert sorted({*counted, *(one.item_id for one in whole.ambiguous)}) == sorted(one.item_id for one in items)
