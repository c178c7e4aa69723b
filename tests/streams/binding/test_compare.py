"""What a process is pointed at, against what is bound: every exchange is noticed, by both names."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.monday.board_values import BoardIdentity
from schemas.bindings import Binding, Creates
from streams.binding import compare

HERE = compare.Place(database="/home/orders.db", api="api.monday.com", board_id="9")
BOUND = Binding(
    database_id="ONE",
    database="/home/orders.db",
    api="api.monday.com",
    account_id="1",
    account_name="ACME",
    board_id="9",
    board_name="Orders",
    bound_at=datetime(2026, 12, 1, tzinfo=UTC),
    items=0,
    creates=Creates.FREE,
)


def other(bound: Binding = BOUND, /, **changed: object) -> Binding:
    return bound.model_copy(update=changed)


@pytest.mark.parametrize(
    ("home", "stored"),
    [(None, None), (None, BOUND), (BOUND, BOUND), (other(board_id="8", api="bundled"), BOUND)],
    ids=["nothing is bound", "a home without a copy", "both", "a copy that is older than the database's own"],
)
def test_what_is_bound_is_no_difference(home: Binding | None, stored: Binding | None) -> None:
    assert compare.differences(home, stored, HERE) == []


@pytest.mark.parametrize(
    ("home", "stored", "here", "said"),
    [
        (BOUND, None, {"database": "/b.db"}, "database /home/orders.db, not to /b.db"),
        (BOUND, None, {}, "database /home/orders.db, which is not the one that was there"),
        (BOUND, other(database_id="TWO"), {}, "database /home/orders.db, which is not the one that was there"),
        (BOUND, other(database="h/orders"), {"database": "h/copy"}, "database h/orders, not to its copy h/copy"),
        (None, BOUND, {"board_id": "8"}, "board 9 (Orders), not to board 8"),
        (None, BOUND, {"api": "bundled"}, "API api.monday.com, not to the bundled board"),
        (None, other(api="bundled"), {}, "API the bundled board, not to api.monday.com"),
    ],
)
def test_another_one_is_named_with_the_bound_one(
    home: Binding | None, stored: Binding | None, here: dict[str, str], said: str
) -> None:
    (found,) = compare.differences(home, stored, HERE.model_copy(update=here))
    assert found.startswith(said)


def test_all_differences_are_one_message_with_the_way_out() -> None:
    here = compare.Place(database="/home/orders.db", api="bundled", board_id="8")
    error = compare.refused(compare.differences(BOUND, BOUND, here))
    assert "board 9 (Orders), not to board 8; and to API" in str(error)
    assert "`ordersync setup --rebind`" in str(error)
    assert "`ordersync adopt`" in str(error)


def test_settings_that_name_no_api_contradict_none() -> None:
    assert compare.differences(None, BOUND, HERE.model_copy(update={"api": ""})) == []


def test_a_file_that_was_moved_is_the_same_database_and_a_copy_is_another(tmp_path: Path) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    bound, here = other(database=str(old)), HERE.model_copy(update={"database": str(new)})
    assert compare.differences(bound, bound, here) == []
    old.touch()
    assert compare.differences(bound, bound, here) == [f"database {old}, not to its copy {new}"]


def test_an_account_is_its_id_and_not_its_name() -> None:
    identity = BoardIdentity(account_id="1", account_name="ACME Ltd", board_id="9", board_name="New name", items=3)
    assert compare.other_account(BOUND, identity) == []
    (found,) = compare.other_account(BOUND, identity.model_copy(update={"account_id": "2"}))
    assert found == "account 1 (ACME), not to account 2 (ACME Ltd)"
