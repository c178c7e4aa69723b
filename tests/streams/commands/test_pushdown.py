"""detect --oracle: what it finds when the server leaves out what it must not, or takes rows for one another."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.tables import orders
from mappings import columns, hashing, sizes
from sql import pushdown
from streams.cli import main as cli
from streams.commands import detect
from streams.commands import pushdown as pushdown_command
from tests.support import transpiled
from tests.support.factories import World, identity, row


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with transpiled.world(tmp_path) as made:
        made.add(*(row(n, NOTES=f"note {n % 15}") for n in range(20)), row(30), row(30), row(31, record_uuid=None))
        yield made


def of(world: World) -> pushdown_command.PushdownTrial:
    watched = columns.watched(world.mappings, sizes.size_columns(world.orders.columns(), world.mappings.board.sizes))
    return pushdown_command.PushdownTrial(transpiled.orders_of(world), watched, hashing.row_hash, random.Random(5))


def test_both_ways_agree_before_and_after_the_hashes_are_noted(world: World) -> None:
    assert of(world).look(100) == pushdown_command.Verdict(20, 20, ())
    world.flow(source=orders.Orders(world.db, world.clock))
    assert of(world).look(100) == pushdown_command.Verdict(20, 0, ())
    world.passed()
    world.edit(3, {"NOTES": "new"})
    assert of(world).look(100) == pushdown_command.Verdict(20, 1, ())
    assert of(world).look(7).rows == 7


def test_a_change_that_the_server_leaves_out_is_wrong(world: World) -> None:
    world.flow()
    world.run(
        "UPDATE ORDERS_UNIFIED_SNAPSHOT SET row_hash = ?, row_hash_bin_of = ? WHERE record_uuid = ?",
        *["OTHER"] * 2,
        identity(4),
    )
    verdict = of(world).look(100)
    assert verdict.wrong == (f"{identity(4)} differs from its snapshot, and the server leaves it out",)


def test_rows_that_the_server_takes_for_one_another_are_wrong(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {name: kind for name, kind in world.orders.columns()}
    blind = pushdown.expression([("S", kinds["S"]), ("CUSTOMER NAME", kinds["CUSTOMER NAME"])])
    monkeypatch.setattr(pushdown, "expression", lambda columns: blind)
    wrong = of(world).look(100).wrong
    assert len(wrong) == 19
    assert "differ, and the server takes one for the other" in wrong[0]


def test_rows_that_only_the_server_tells_apart_are_wrong(world: World) -> None:
    seeing_less = replace(of(world), row_hash=lambda text: "one for all")
    found = seeing_less.look(100)
    assert any("are equal, and the server tells them apart" in wrong for wrong in found.wrong)


def test_a_row_that_is_edited_meanwhile_is_asked_about_again(world: World) -> None:
    world.flow()

    class Edited:
        """The order table, of which somebody edits a row between the two statements."""

        def __getattr__(self, name: str) -> Any:
            if name == "hashed":
                world.edit(6, {"NOTES": "meanwhile"})
            return getattr(world.orders, name)

    edited: Any = Edited()
    assert replace(of(world), source=edited).look(100) == pushdown_command.Verdict(20, 1, ())


def test_every_row_is_as_likely_as_any_other_in_a_sample() -> None:
    uuids = [identity(n) for n in range(10)]
    counts = dict.fromkeys(uuids, 0)
    rng = random.Random(1)
    for _ in range(3000):
        for uuid in pushdown_command.sample(uuids, 3, rng):
            counts[uuid] += 1
    assert all(800 < count < 1000 for count in counts.values())
    assert pushdown_command.sample(uuids, 20, rng) == uuids


def test_the_command_ends_with_1_when_the_ways_do_not_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = ("A differs from its snapshot, and the server leaves it out",)
    for found, code in ((pushdown_command.Verdict(5, 2, wrong), 1), (pushdown_command.Verdict(5, 2, ()), 0)):
        monkeypatch.setattr(detect, "trial", lambda settings, rows, found=found: found)
        result = CliRunner().invoke(cli.app, ["detect", "--oracle", "5"])
        assert result.exit_code == code
        assert "5 rows, 2 of them differ" in result.output
        assert all(said in result.output for said in found.wrong)


def test_a_trial_needs_a_server_and_no_other_option() -> None:
    assert CliRunner().invoke(cli.app, ["detect", "--oracle", "5", "--accept"]).exit_code == 2
    result = CliRunner().invoke(cli.app, ["detect", "--oracle", "5"])
    assert "there is no server whose compare could be tried" in str(result.exception)


@pytest.mark.parametrize("way", ["server", "somewhere"])
def test_a_way_that_there_is_not_is_refused(way: str) -> None:
    result = CliRunner().invoke(cli.app, ["detect", "--hash", way])
    assert "detect_hash" in str(result.exception)
