"""detect --oracle: it finds changes that the server leaves out, and rows that the server confuses."""

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
    return pushdown_command.PushdownTrial(
        transpiled.orders_of(world), watched, hashing.RowHasher(watched), random.Random(5)
    )


def test_both_sides_agree_before_and_after_the_hashes_are_noted(world: World) -> None:
    assert of(world).check(100) == pushdown_command.Verdict(20, 20, ())
    world.flow(source=orders.Orders(world.db, world.clock))
    assert of(world).check(100) == pushdown_command.Verdict(20, 0, ())
    world.passed()
    world.edit(3, {"NOTES": "new"})
    assert of(world).check(100) == pushdown_command.Verdict(20, 1, ())
    assert of(world).check(7).rows == 7


def test_a_change_that_the_server_leaves_out_is_wrong(world: World) -> None:
    world.flow()
    world.run(
        "UPDATE ORDERS_UNIFIED_SNAPSHOT SET row_hash = ?, row_hash_bin_of = ? WHERE record_uuid = ?",
        *["OTHER"] * 2,
        identity(4),
    )
    verdict = of(world).check(100)
    assert verdict.wrong == (f"{identity(4)} differs from its snapshot row, and the server leaves it out",)


def test_different_rows_with_one_server_hash_are_wrong(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {name: kind for name, kind in world.orders.columns()}
    blind = pushdown.expression([("S", kinds["S"]), ("CUSTOMER NAME", kinds["CUSTOMER NAME"])])
    monkeypatch.setattr(pushdown, "expression", lambda columns: blind)
    wrong = of(world).check(100).wrong
    assert len(wrong) == 19
    assert "differ, and the server hashes them alike" in wrong[0]


def test_equal_rows_with_two_server_hashes_are_wrong(world: World) -> None:
    blind = replace(of(world), row_hash=lambda text: "one for all")
    found = blind.check(100)
    assert any("are equal, and the server hashes them differently" in wrong for wrong in found.wrong)


def test_a_row_that_is_edited_meanwhile_is_checked_once_more(world: World) -> None:
    world.flow()

    class Edited:
        """The order table, with an edit of a row between the two statements."""

        def __getattr__(self, name: str) -> Any:
            if name == "hashed":
                world.edit(6, {"NOTES": "meanwhile"})
            return getattr(world.orders, name)

    assert replace(of(world), source=Edited()).check(100) == pushdown_command.Verdict(20, 1, ())


def test_every_row_is_as_likely_as_any_other_in_a_sample() -> None:
    uuids = [identity(n) for n in range(10)]
    counts = dict.fromkeys(uuids, 0)
    rng = random.Random(1)
    for _ in range(3000):
        for uuid in pushdown_command.sample(uuids, 3, rng):
            counts[uuid] += 1
    assert all(800 < count < 1000 for count in counts.values())
    assert pushdown_command.sample(uuids, 20, rng) == uuids


def test_the_command_ends_with_1_when_the_sides_disagree(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = ("A differs from its snapshot row, and the server leaves it out",)
    for found, code in ((pushdown_command.Verdict(5, 2, wrong), 1), (pushdown_command.Verdict(5, 2, ()), 0)):
        monkeypatch.setattr(detect, "trial", lambda settings, rows, found=found: found)
        result = CliRunner().invoke(cli.app, ["detect", "--oracle", "5"])
        assert result.exit_code == code
        assert "5 rows, 2 of them differ" in result.output
        assert all(said in result.output for said in found.wrong)


def test_a_trial_needs_a_server_and_no_other_option() -> None:
    assert CliRunner().invoke(cli.app, ["detect", "--oracle", "5", "--accept"]).exit_code == 2
    result = CliRunner().invoke(cli.app, ["detect", "--oracle", "5"])
    assert "there is no server whose comparison could be checked" in str(result.exception)


@pytest.mark.parametrize("side", ["server", "somewhere"])
def test_an_impossible_side_is_refused(side: str) -> None:
    result = CliRunner().invoke(cli.app, ["detect", "--hash", side])
    assert "detect_hash" in str(result.exception)
