"""A source with 276 sizes instead of 161: the whole flow works unchanged, on real processes."""

import asyncio
import dataclasses
from pathlib import Path

import pytest

from mappings import sizes
from sql import ddl, identifiers, tables
from streams import settings
from streams.demo import stage as demo
from streams.resources import Resources
from streams.runtime import connect

pytestmark = pytest.mark.timeout(900)
SIZES = 276
LAST = "EXTRA 115"


def widen(parts: Resources) -> None:
    """The contract's table with 115 more integer columns before TOTAL QTY."""
    source = tables.get(tables.SOURCE)
    end = source.names.index("TOTAL QTY")
    more = tuple(tables.Column(f"EXTRA {n}", "INT", True) for n in range(1, SIZES - 161 + 1))
    wide = dataclasses.replace(source, columns=source.columns[:end] + more + source.columns[end:])
    with parts.db.write() as session:
        session.execute(ddl.create_table(wide, "sqlite"))


def test_a_source_with_276_sizes_reaches_the_board(tmp_path: Path) -> None:
    own = demo.settings_of(settings.Settings(home=tmp_path, lease_seconds=120.0), minute=2.0)
    with demo.stage(own, orders=75, seed=11, prepare=widen) as shown:
        parts = shown.parts
        assert len(sizes.size_columns(parts.orders.columns(), parts.mappings.board.sizes)) == SIZES
        with parts.db.write() as session:
            statement = f"UPDATE ORDERS_UNIFIED SET {identifiers.quote(LAST)} = 7, [INFOR COLOUR CODE] = '100'"
            session.execute(f"{statement} WHERE [PO NUMBER] = '4755'")
        demo.settle(shown, within=200.0, on_look=lambda seen: None)
        proof = shown.prove()
        assert proof.holds, proof.wrong[:5]
        items = asyncio.run(connect.ask_board(parts, connect.read_items))
        named = [subitem.name for item in items for subitem in item.subitems]
        assert named.count(f"Size {LAST}") == 69
        assert not [name for name in named if "INFOR" in name]
