"""ORDERS_UNIFIED: the text that SQLite builds."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mappings import columns, hashing, sizes
from schemas.base import Cell
from tests.support import factories
from tests.support.factories import World, identity, row


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world for all examples of a property; each example replaces its row."""
    with factories.world(tmp_path_factory.mktemp("lasting")) as made:
        made.add(row(1))
        yield made


def watched(world: World) -> tuple[str, ...]:
    return columns.watched(world.mappings, sizes.size_columns(world.orders.columns(), world.mappings.board.sizes))


# Text as the database can hold it: everything but half characters.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(
    ["", " ", "NULL", "null", "\x00", "a\x00b", "\x1f\x7f\x80\u2028", '"', "\\", "\\u0041", "[1,2]", "é", "é", "🧵"]
)
COUNTS = st.none() | st.integers(-(2**63), 2**63 - 1)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=150
)
@given(st.lists(st.none() | TEXTS, min_size=12, max_size=12), st.lists(COUNTS, min_size=3, max_size=3))
@pytest.mark.slow
def test_the_text_that_sql_builds_is_the_one_that_python_builds(
    lasting: World, texts: list[str | None], counts: list[int | None]
) -> None:
    names, kinds = watched(lasting), dict(lasting.orders.columns())
    labels = [name for name in names if name in ("XXXS", "M", "TOTAL QTY")]
    written = [name for name in names if kinds[name] == "TEXT"][: len(texts)]
    cells: dict[str, Cell] = {**dict(zip(written, texts, strict=True)), **dict(zip(labels, counts, strict=True))}
    lasting.edit(1, dict.fromkeys(names) | cells)
    ((record_uuid, _, text, former),) = lasting.orders.scan(names, former=["NOTES", None, "M"])
    assert record_uuid == identity(1)
    assert text == hashing.canonical_text([cells.get(name) for name in names])
    assert former == hashing.canonical_text([cells.get("NOTES"), None, cells.get("M")])
    assert hashing.cells(text) == [cells.get(name) for name in names]


@pytest.mark.parametrize("width", [1, 126, 127, 128, 206])
def test_a_text_is_whole_however_many_columns_it_has(world: World, width: int) -> None:
    world.add(row(1))
    names = (watched(world) * 2)[:width]
    ((_, _, text, former),) = world.orders.scan(names)
    assert former is None
    assert len(json.loads(text)) == width
    assert world.orders.rows([identity(1), identity(2)], names) == {identity(1): (None, None, text)}
