"""What the board must show at the end of a story, and what it must never have shown on the way."""

import contextlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from typing import Any

from mappings import items as mapped
from schemas.orders import StagedOrder
from tests.chaos.judge import Verdict, beside_each_other
from tests.support.board_script import PER_VERSION
from tests.support.board_world import World

VERSION_COLUMN = "text_mkr5cz8m"  # PATTERN ID


def judge(world: World) -> Verdict:
    """The end of a story: the board, its history, and what the API counted."""
    found = look(world, len(world.schedule.passes))
    found.inversions += _inversions(world)
    stats = world.simulator.service.stats
    found.met.update(world.met)
    found.met.update(stats.faults)
    found.met.update(requests=stats.mutation_requests, mutations=stats.mutations_done, replays=stats.replays)
    found.met.update(throttled=stats.throttled)
    if stats.keys_reused_with_other_body:
        found.other.append(f"{stats.keys_reused_with_other_body} keys were used for another body")
    found.other += beside_each_other(stats.max_writes_in_flight, stats.faults)
    return found


def look(world: World, version: int) -> Verdict:
    """Compares the board with the newest versions up to this one."""
    found = Verdict()
    board = world.simulator.admin.board()
    newest = {o.record_uuid: o for one in world.schedule.passes if one.version <= version for o in one.orders}
    key = world.mappings.board.key.id
    active = [item for item in board["items"] if item["state"] == "active"]
    by_uuid: dict[str, list[dict[str, Any]]] = {}
    for item in active:
        by_uuid.setdefault(item["columns"].get(key, ""), []).append(item)
    for uuid, some in by_uuid.items():
        if uuid not in newest:
            found.duplicates.append(f"item {some[0]['id']} belongs to nobody")
        if len(some) > 1:
            found.duplicates.append(f"{uuid} has the items {[item['id'] for item in some]}")
    for uuid, order in newest.items():
        found.lost += [
            f"after pass {version}: {said}"
            for said in _differences(world, order, next(iter(by_uuid.get(uuid, ())), None))
        ]
    for item in active:
        sizes = Counter(_size(world, one) for one in item["subitems"] if one["state"] == "active")
        found.duplicates += [f"item {item['id']} has size {size} {n} times" for size, n in sizes.items() if n > 1]
    titles = Counter(group["title"] for group in board["groups"])
    found.duplicates += [f"group {title} is there {n} times" for title, n in titles.items() if n > 1]
    return found


def _differences(world: World, order: StagedOrder, item: dict[str, Any] | None) -> Iterator[str]:
    uuid = order.record_uuid
    if item is None or order.removed:
        if item is not None or not order.removed:
            yield f"{uuid} is {'still there' if order.removed else 'missing'}"
        return
    columns = mapped.board_columns(order.values, uuid, world.mappings)
    if item["columns"] != columns:
        wrong = {c: (columns.get(c), item["columns"].get(c)) for c in {*columns, *item["columns"]}}
        yield f"{uuid} shows { ({c: w for c, w in wrong.items() if w[0] != w[1]}) } (wanted, found)"
    if (item["name"], item["group"]) != (order.item_name, order.group_name):
        yield f"{uuid} is called {item['name']!r} in {item['group']!r}"
    shown = {_size(world, one): _quantity(world, one) for one in item["subitems"] if one["state"] == "active"}
    for size in {*order.sizes, *shown}:
        # A size that left the order stays, with 0.
        if shown.get(size, "none") != order.sizes.get(size, 0) and (size in order.sizes or size in shown):
            yield f"{uuid} has {shown.get(size, 'no')} of size {size}, not {order.sizes.get(size, 0)}"


def _inversions(world: World) -> Iterator[str]:
    """The history of every item and size must tell of versions that never fall."""
    key, subitem = world.mappings.board.key.id, world.mappings.board.subitem
    with contextlib.closing(sqlite3.connect(world.board_path)) as db:
        told = db.execute("SELECT item_id, column_id, written FROM history ORDER BY n").fetchall()
        parents = dict(db.execute("SELECT id, parent_id FROM items").fetchall())
    uuids = {item: json.loads(written) for item, column, written in told if column == key}
    sizes = {item: _label(json.loads(written)) for item, column, written in told if column == subitem.size.id}
    newest: dict[tuple[str, str], int] = {}
    for item, column, written in told:
        if column == VERSION_COLUMN:
            place, version = (uuids.get(item, "?"), ""), int(json.loads(written)[1:])
        elif column == subitem.quantity.id and (quantity := int(json.loads(written))):
            place, version = (uuids.get(parents[item], "?"), sizes.get(item, "?")), quantity // PER_VERSION
        else:
            continue
        if version < newest.get(place, 0):
            yield f"{place} went back from version {newest[place]} to {version}"
        newest[place] = version


def _size(world: World, subitem: dict[str, Any]) -> str:
    return _label(subitem["columns"].get(world.mappings.board.subitem.size.id))


def _quantity(world: World, subitem: dict[str, Any]) -> int:
    return int(subitem["columns"].get(world.mappings.board.subitem.quantity.id, 0))


def _label(value: Any) -> str:
    return ", ".join(value["labels"]) if value else ""
