"""trace: the history of one order, in the order of time."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer import testing

from connectors.tables.journal import Request
from connectors.tables.lease import Grant
from schemas import events, items
from schemas.base import Origin
from streams.cli import main as cli
from streams.commands import trace
from streams.settings import Settings
from tests.support import factories
from tests.support.factories import World, entity, identity, row


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        yield made


@pytest.fixture
def settings(world: World) -> Settings:
    return Settings(home=world.path.parent)


@pytest.fixture
def grant(world: World) -> Grant:
    granted = world.lease("writer", seconds=10**6).acquire()
    assert granted is not None
    return granted


def write(world: World, grant: Grant, key: str, event: events.OrderEvent, *others: int) -> None:
    """A request that creates the item of this order, and items of others; the board confirms it."""
    mutations = [items.CreateItem(record_uuid=event.record_uuid, name="item", group_name="G", columns={})]
    mutations += [items.CreateItem(record_uuid=identity(n), name="item", group_name="G", columns={}) for n in others]
    versions = {one.record_uuid: event.version for one in mutations}
    request = Request(key=key, body="{}", mutations=tuple(mutations), versions=versions, first_sent_at=world.clock())
    world.journal.open(request, grant)
    created = entity(int(event.record_uuid[:8], 16), item_id="77")
    world.journal.close(
        key, [(created, event.version)], {}, grant, outcome="DONE", request_id=f"req-{key}", http_status=200
    )


def history(settings: Settings, text: str) -> trace.OrderHistory:
    (order,) = trace.find(settings, text)
    return trace.trace(settings, order)


def details(seen: trace.OrderHistory, what: str) -> list[dict[str, Any]]:
    return [moment.details for moment in seen.moments if moment.what == what]


def run(settings: Settings, *arguments: str) -> Any:
    given = ["--home", str(settings.home), *arguments]
    return testing.CliRunner().invoke(cli.app, given, env={"COLUMNS": "250"})


def test_the_whole_history_of_an_order_in_the_order_of_time(world: World, settings: Settings, grant: Grant) -> None:
    world.add(row(1), row(2))
    first = world.passed()
    staged = world.stager.run(first, [Origin("orders.changed", 3, offset) for offset in (40, 41)])
    world.retrier.schedule(world.record(world.refuse(staged[0], retryable=True, code="UNSETTLED", size_label="M")))
    world.clock.advance(100)
    (again,) = world.retrier.due()
    write(world, grant, "K1", again, 2)
    write(world, grant, "K2", staged[1])
    world.promote(*world.arrive([again]))
    world.edit(1, {"PO NUMBER": "4756", "S": 9})
    seen = history(settings, identity(1))
    whats = [moment.what for moment in seen.moments]
    assert whats == ["detected", "staged", "failed", "sent to the board", "settled", "failure resolved"]
    assert [moment.at for moment in seen.moments] == sorted(moment.at for moment in seen.moments)
    assert {moment.version for moment in seen.moments} == {1}
    (detected,), (staging,) = details(seen, "detected"), details(seen, "staged")
    assert (detected["pass"], detected["by"], detected["batch"]) == (1, "ordersync detect", first[0].batch_id)
    assert (staging["orders.changed partition"], staging["sizes"]) == ("3, offset 40", 2)
    (sent,) = details(seen, "sent to the board")
    assert (sent["key"], sent["request id"], sent["http"], sent["outcome"]) == ("K1", "req-K1", 200, "DONE")
    assert (sent["attempts"], sent["mutations"]) == (1, "1 create_item")
    (failure,), (resolved,) = details(seen, "failed"), details(seen, "failure resolved")
    assert (failure["code"], failure["size"]) == ("UNSETTLED", "M")
    assert (resolved["by"], resolved["reason"]) == ("ordersync", "version 1 arrived")
    assert {(cell.column, cell.settled, cell.source) for cell in seen.differences} == {
        ("PO NUMBER", "4755", "4756"),
        ("S", 1, 9),
    }
    assert seen.now[0].startswith("state    IN_SYNC: newest version 1, 1 settled")
    assert seen.now[1].startswith("board    item 9000000001")
    assert seen.now[2].startswith("settled  version 1, since 2026-")
    assert seen.now[3] == "source   the row differs from the settled version in 2 columns"


def test_an_order_is_found_by_identity_number_or_po_in_any_case_of_the_identity(
    world: World, settings: Settings
) -> None:
    world.add(row(1), row(2, PO_NUMBER="\u200b9000\u00a0"))
    for text, number in ((identity(1).lower(), 1), ("JOO-00002", 2), ("9000", 2)):
        assert [order.record_uuid for order in trace.find(settings, text)] == [identity(number)]
    assert trace.find(settings, "4756") == []
    assert trace.find(settings, "900") == []
    (order,) = trace.find(settings, "JOO-00002")
    assert (order.customer, order.po, order.state) == ("GREYSON CLOTHIERS", "9000", "not detected yet")
    world.flow()
    world.remove(2)
    assert [order.record_uuid for order in trace.find(settings, "\u200b9000 ")] == [identity(2)]


def test_several_matches_are_listed_and_nothing_is_traced(world: World, settings: Settings) -> None:
    world.add(row(1), row(2))
    world.flow()
    shown = run(settings, "trace", "4755")
    assert shown.exit_code == 1
    assert identity(1) in shown.output
    assert identity(2) in shown.output
    assert "name one by its record_uuid" in shown.output


def test_a_deleted_order_still_has_its_history(world: World, settings: Settings) -> None:
    world.add(row(1), row(2))
    world.flow()
    world.remove(1)
    world.flow()
    seen = history(settings, "JOO-00001")
    assert seen.order.state == "left the source"
    assert [moment.what for moment in seen.moments][-1] == "settled: removed from the board"
    assert seen.now[-1] == "source   the row does not exist any more"
    assert "no row in production" in seen.now[-2]


def test_a_version_that_is_not_staged_yet_is_in_the_history(world: World, settings: Settings) -> None:
    world.add(row(1))
    (event,) = world.passed()
    seen = history(settings, "JOO-00001")
    assert [(moment.what, moment.version) for moment in seen.moments] == [("detected, its event is on its way", 1)]
    assert seen.moments[0].details["hash"] == event.row_hash
    assert seen.now[-1] == "source   the row exists, and no version of it is settled"


def test_a_refused_order_has_its_reason_and_a_settled_one_no_difference(world: World, settings: Settings) -> None:
    world.add(row(1, CUSTOMER_PRICE="cheap"), row(2))
    world.flow()
    (staging,) = details(history(settings, "JOO-00001"), "staged")
    assert "[CUSTOMER PRICE] is 'cheap'" in staging["refused"]
    assert history(settings, "JOO-00002").now[-1] == "source   the row equals the settled version"


def test_as_a_table_and_as_json(world: World, settings: Settings) -> None:
    world.add(row(1))
    world.flow()
    shown = run(settings, "trace", "JOO-00001")
    assert shown.exit_code == 0
    assert all(word in shown.output for word in ("detected", "staged", "settled"))
    read = json.loads(run(settings, "trace", "JOO-00001", "--json").output)
    assert [moment["what"] for moment in read["moments"]] == ["detected", "staged", "settled"]
    assert read["differences"] == []


def test_a_request_about_others_or_of_another_version_is_not_its_own(
    world: World, settings: Settings, grant: Grant
) -> None:
    world.add(row(1), row(2))
    one, two = world.stage(*world.passed())
    write(world, grant, "BOTH", one, 2)
    write(world, grant, "OTHER", two)
    world.promote(*world.arrive([one, two]))
    world.edit(1, {"PO NUMBER": "4756"})
    (newer,) = world.stage(*world.passed())
    write(world, grant, "NEWER", newer)
    seen = history(settings, "JOO-00001")
    sent = [(m.version, m.details["key"]) for m in seen.moments if m.what == "sent to the board"]
    assert sent == [(1, "BOTH"), (2, "NEWER")]
