"""errors, retry and trace as a person uses them: which are shown, what each says to do, what a retry does."""

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer import testing

from connectors import database, kafka
from connectors.tables.retries import Way
from schemas import codec, events
from schemas.base import Origin
from schemas.batches import SyncState
from schemas.failures import Poison
from sql import tables
from streams.cli import main as cli
from streams.commands import failures as failures_command
from streams.detect import holds
from streams.resources import Resources, utcnow
from streams.runtime import connect
from streams.settings import Settings
from tests.support import factories
from tests.support.factories import World, identity, row

GREYSON = "GREYSON CLOTHIERS"
ERR = (tables.ERRORS, tables.ERRORS_SUBITEMS)


class Sender:
    """In place of the producer."""

    def __init__(self) -> None:
        self.sent: list[kafka.OutgoingMessage] = []

    def send_all(self, messages: Sequence[kafka.OutgoingMessage]) -> None:
        self.sent += messages

    def close(self) -> None:
        pass

    def events(self) -> list[events.OrderStaged]:
        return [codec.decode(events.OrderStaged, message.value) for message in self.sent]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with factories.world(tmp_path) as made:
        yield made


@pytest.fixture
def settings(world: World) -> Settings:
    return Settings(home=world.path.parent)


@pytest.fixture
def sender(monkeypatch: pytest.MonkeyPatch) -> Sender:
    """What `retry` sends; no broker is started for it."""
    made = Sender()
    monkeypatch.setattr(Resources, "producer", made)
    monkeypatch.setattr(connect, "everything", connect.database)
    return made


def failed(world: World, *numbers: int, **told: Any) -> list[events.OrderEvent]:
    """New orders that the board refused."""
    world.add(*(row(n) for n in numbers))
    staged = world.stage(*world.passed())
    for event in staged:
        world.retrier.schedule(world.record(world.refuse(event, **told)))
    return staged


def put_on_hold(world: World) -> None:
    holds.keep(world.state, holds.Hold(customer=GREYSON, by="me", at=world.clock()))


def run(settings: Settings, *arguments: str) -> Any:
    given = ["--home", str(settings.home), *arguments]
    return testing.CliRunner().invoke(cli.app, given, env={"COLUMNS": "250"})


def again(settings: Settings, *, dry_run: bool = False, **chosen: Any) -> dict[str, Way]:
    """What a retry of the chosen ones does, by order number."""
    done = failures_command.again(
        settings, failures_command.Filters(**chosen), dry_run=dry_run, progress=lambda done, of: None
    )
    return {row["order_number"]: verdict.way for row, verdict in done}


def test_filters_choose_by_customer_type_code_kind_and_age(world: World, settings: Settings) -> None:
    failed(world, 1)
    failed(world, 2, size_label="M", code="InvalidColumnIdException")
    world.add(row(3, CUSTOMER_NAME="EXOTIC", CUSTOMER_PRICE="cheap"))
    world.flow()

    def orders(**chosen: Any) -> set[str]:
        return {line["order_number"] for line in failures_command.listed(settings, failures_command.Filters(**chosen))}

    assert orders() == {"JOO-00001", "JOO-00002", "JOO-00003"}
    assert orders(customer="greyson") == {"JOO-00001", "JOO-00002"}
    assert orders(customer="exotic") == {"JOO-00003"}
    assert orders(customer="nobody") == set()
    assert orders(type="validation_error") == {"JOO-00003"}
    assert orders(code="invalidcolumnidexception") == {"JOO-00002"}
    assert orders(kind="size") == {"JOO-00002"}
    hours = {table: database.to_db_time(utcnow() - timedelta(hours=n)) for n, table in enumerate(ERR, 1)}
    for table, at in hours.items():
        world.run(f"UPDATE {table} SET created_date = ?", at)
    assert orders(age=timedelta(minutes=90)) == {"JOO-00002"}
    assert orders(age=timedelta(minutes=30)) == {"JOO-00001", "JOO-00002", "JOO-00003"}
    assert orders(age=timedelta(hours=3)) == set()


NOW = "2026-11-21T10:00:00.000000"
ROW = {
    "err_id": 42, "next_retry_at": None, "retryable": 0, "max_retries_reached": 1, "error_type": "API_ERROR",
    "error_code": "ColumnValueException", "retry_count": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"next_retry_at": "2026-11-21T10:04:00.000000"}, "retried by itself at 2026-11-21 10:04:00 UTC"),
        ({"next_retry_at": "2026-11-21T09:59:00.000000"}, "due"),
        ({"retryable": 1, "max_retries_reached": 0}, "its time is being set"),
        ({}, "waits for a person: mend the value in ORDERS_UNIFIED"),
        ({}, "`ordersync retry 42` tries it again"),
        ({"error_code": "COLUMN_VALUE_EXCEPTION"}, "mend the value in ORDERS_UNIFIED"),
        ({"retryable": 1, "retry_count": 5, "error_code": "UNSETTLED"}, "tried 6 times; waits for a person: look who"),
        ({"error_code": "NobodyKnows"}, "mend what the message names; `ordersync retry 42`"),
        ({"error_type": "UNDECODABLE", "error_code": "UNDECODABLE"}, "`ordersync errors --dismiss 42 --reason …`"),
        ({"error_code": "NO_IDENTITY"}, "give the row a record_uuid"),
        ({"error_code": "VALIDATION"}, "the next pass sees it"),
    ],
)
def test_every_failure_says_what_happens_next_or_what_to_do(told: dict[str, Any], expected: str) -> None:
    assert expected in failures_command.what_next(ROW | told, now=NOW)


def test_a_retry_that_the_breaker_holds_back_says_so() -> None:
    due = ROW | {"next_retry_at": "2026-11-21T09:59:00.000000"}
    assert failures_command.what_next(due, now=NOW, paused="retries pause since …") == "due; retries pause since …"


def test_of_a_customer_on_hold_it_says_when_what_is_mended_is_seen(world: World, settings: Settings) -> None:
    failed(world, 1)
    world.add(row(2, CUSTOMER_NAME="EXOTIC", CUSTOMER_PRICE="cheap"))
    world.flow()
    put_on_hold(world)
    told = {line["order_number"]: line for line in json.loads(run(settings, "errors", "--json").output)}
    assert [told[f"JOO-0000{n}"]["held"] for n in (1, 2)] == [True, False]
    assert "after `ordersync release`; waits for a person" in told["JOO-00001"]["next"]
    assert "hold" not in told["JOO-00002"]["next"]
    shown = run(settings, "errors").output
    assert "1 of GREYSON CLOTHIERS, which is on hold" in shown
    assert "EXOTIC, which" not in shown


def test_a_retry_of_a_customer_on_hold_sends_what_was_emitted_and_detects_after_the_release(
    world: World, settings: Settings, sender: Sender
) -> None:
    (refused,) = failed(world, 1)
    world.add(row(2, CUSTOMER_PRICE="cheap"))
    world.flow()
    put_on_hold(world)
    shown = run(settings, "retry", "--all").output
    assert "1 sent again" in shown
    assert "1 detected again when their customers are released" in shown
    assert [event.record_uuid for event in sender.events()] == [refused.record_uuid]
    assert world.passed() == []
    with world.db.write() as session:
        holds.end(world.state, GREYSON)(session)
    assert [event.record_uuid for event in world.passed()] == [identity(2)]


def test_what_the_board_refused_is_sent_again_at_once_and_claimed(
    world: World, settings: Settings, sender: Sender
) -> None:
    one, two = failed(world, 1, 2)
    assert again(settings, ids=(world.failures.waiting()[0]["err_id"],)) == {"JOO-00002": Way.SEND}
    assert sender.events() == [events.OrderStaged(**two.identity, cause=events.Cause.RETRY, attempt=1)]
    assert [message.topic for message in sender.sent] == ["orders.staged"]
    # The same once more would only be sent again by itself, had this one been lost.
    (claimed,) = [line for line in world.failures.waiting() if line["order_number"] == "JOO-00002"]
    assert claimed["next_retry_at"] is not None
    world.promote(*world.arrive(sender.events()))
    assert [line["record_uuid"] for line in world.failures.waiting()] == [one.record_uuid]


def test_several_sizes_of_an_order_are_sent_once(world: World, settings: Settings, sender: Sender) -> None:
    world.add(row(1))
    (event,) = world.stage(*world.passed())
    world.record(world.refuse(event, size_label="S"), world.refuse(event, size_label="M"))
    failures_command.again(
        settings, failures_command.Filters(code="ColumnValueException"), dry_run=False, progress=lambda done, of: None
    )
    assert len(sender.sent) == 1


def test_what_was_refused_is_detected_again_as_the_source_has_it_now(
    world: World, settings: Settings, sender: Sender
) -> None:
    world.add(row(1, CUSTOMER_PRICE="cheap"), row(2))
    world.flow()
    assert world.flow() == []
    assert again(settings, customer="GREYSON") == {"JOO-00001": Way.DETECT}
    assert sender.sent == []
    (event,) = world.flow()
    assert event.record_uuid == identity(1)
    # Nothing was mended: the newest failure counts, and there is one.
    assert [(line["version"], line["resolution"]) for line in world.errors()] == [
        (1, "SUPERSEDED"),
        (event.version, None),
    ]
    assert world.states() == {identity(1): SyncState.FAILED, identity(2): SyncState.IN_SYNC}


def test_what_no_retry_helps_is_left_alone_with_the_reason(world: World, settings: Settings, sender: Sender) -> None:
    world.add(row(1) | {"record_uuid": None}, row(2))
    world.flow()
    origin = Origin("orders.changed", 3, 7)
    world.failures.poison([Poison(origin=origin, key="", size=1, begins="x", error="no event")])
    done = failures_command.again(settings, failures_command.Filters(), dry_run=False, progress=lambda done, of: None)
    assert {verdict.way for _, verdict in done} == {Way.NOT}
    whys = {str(row["error_code"]): verdict.why for row, verdict in done}
    assert "mend the row" in whys["NO_IDENTITY"]
    assert "dismiss" in whys["UNDECODABLE"]
    assert sender.sent == []


def test_an_order_that_moved_on_is_left_alone(world: World, settings: Settings, sender: Sender) -> None:
    failed(world, 1)
    rows = world.failures.waiting()
    world.edit(1, {"PO NUMBER": "4756"})
    (newer,) = world.stage(*world.passed())
    (verdict,) = world.retries.look(rows)
    assert (verdict.way, verdict.why) == (Way.NOT, f"version {newer.version} is on its way")
    world.promote(*world.arrive([newer]))
    assert [v.why for v in world.retries.again(rows, world.clock())] == ["it has ended meanwhile"]


def test_a_dry_run_changes_nothing(world: World, settings: Settings, sender: Sender) -> None:
    failed(world, 1)
    world.add(row(2, CUSTOMER_PRICE="cheap"))
    world.flow()
    before = world.errors(), world.query("SELECT * FROM ORDERS_UNIFIED_SNAPSHOT")
    assert again(settings, dry_run=True) == {"JOO-00001": Way.SEND, "JOO-00002": Way.DETECT}
    assert (world.errors(), world.query("SELECT * FROM ORDERS_UNIFIED_SNAPSHOT")) == before
    assert sender.sent == []
    shown = run(settings, "retry", "--all", "--dry-run")
    assert shown.exit_code == 0
    assert "1 would be sent again" in shown.output
    assert "1 would be detected again" in shown.output


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["retry"], 2, "--all"),
        (["retry", "--all", "--code", "X"], 2, "--all"),
        (["errors", "--dismiss", "5"], 2, "--reason"),
        (["errors", "--reason", "because"], 2, "--dismiss"),
        (["errors", "--age", "old"], 2, "90s"),
        (["errors", "--kind", "BATCH"], 2, "SIZE"),
        (["trace", "NOBODY"], 2, "NOBODY"),
        (["errors"], 0, "no failure waits"),
        (["retry", "--all"], 0, "no failure waits"),
    ],
)
def test_usage(settings: Settings, sender: Sender, arguments: list[str], status: int, told: str) -> None:
    shown = run(settings, *arguments)
    assert shown.exit_code == status
    assert told in shown.output


def test_an_id_that_nobody_knows_is_said(settings: Settings, sender: Sender) -> None:
    with pytest.raises(Exception, match="no open failure 5: `ordersync errors` lists them"):
        again(settings, ids=(5,))
    with pytest.raises(Exception, match="no open failure 5"):
        failures_command.dismiss(settings, 5, "because")


def test_errors_as_a_table_as_json_and_dismissed(world: World, settings: Settings) -> None:
    failed(world, 1)
    (waiting,) = json.loads(run(settings, "errors", "--json").output)
    shown = run(settings, "errors").output
    assert str(waiting["err_id"]) in shown
    assert "GREYSON CLOTHIERS" in shown
    assert "invalid value" in shown
    assert f"ordersync retry {waiting['err_id']}" in waiting["next"]
    assert run(settings, "errors", "--dismiss", str(waiting["err_id"]), "--reason", "gone").exit_code == 0
    assert run(settings, "errors").output.strip() == "no failure waits"
    (line,) = world.errors()
    assert (line["resolution"], line["resolution_reason"], line["resolved_by"]) == (
        "DISMISSED",
        "gone",
        connect.operator(),
    )
