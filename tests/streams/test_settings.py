"""Settings: one frozen model, every mistake in one readable message, secrets never told."""

import os
from pathlib import Path

import pytest

from connectors import errors
from connectors.database import sqlite
from connectors.tables import orders_pushdown
from streams import resources, settings
from tests.support import fakes


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in list(os.environ):
        if name.startswith(("ORDERSYNC_", "KAFKA_", "MONDAY_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_nothing_set_means_everything_embedded() -> None:
    found = settings.load()
    assert (found.kafka_bootstrap_servers, found.monday_url) == ("", "")
    assert found.database_path == Path(".ordersync/orders.db")
    assert found.server is None


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    settings.FILE.write_text("poll_every: 5\nguard_rows: 7\n")
    monkeypatch.setenv("ORDERSYNC_POLL_EVERY", "3")
    found = settings.load()
    assert (found.poll_every, found.guard_rows) == (3.0, 7)


def test_every_mistake_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERSYNC_POLL_EVERY", "-1")
    monkeypatch.setenv("ORDERSYNC_GUARD_ROWS", "many")
    with pytest.raises(errors.Misconfigured) as caught:
        settings.load()
    assert "poll_every" in str(caught.value)
    assert "guard_rows" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["a: [", "monday_url: https://api.monday.com/v2\nnonsense: 1", "- 1"])
def test_a_broken_file_is_one_line(text: str) -> None:
    settings.FILE.write_text(text)
    with pytest.raises(errors.Misconfigured) as caught:
        settings.load()
    assert "\n" not in str(caught.value)


def test_a_server_is_told_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert settings.load(database="of=some/orders.db").server is None
    (tmp_path / "password").write_text("hunter2\n")
    monkeypatch.setenv("ORDERSYNC_DATABASE_PASSWORD_FILE", str(tmp_path / "password"))
    found = settings.load(database="mssql://sync@db.example.com/orders")
    assert found.server is not None
    assert found.server.keywords["PWD"] == "hunter2"
    assert found.server.where == "db.example.com/orders"
    odbc = settings.load(database="DRIVER={D};SERVER=h;DATABASE=orders;UID=u;PWD={hunter2}")
    for shown in (repr(found), repr(found.server), repr(odbc), repr(odbc.server)):
        assert "hunter2" not in shown


@pytest.mark.parametrize("secret", settings.SECRETS)
def test_a_secret_in_the_file_is_refused_and_not_repeated(secret: str) -> None:
    settings.FILE.write_text(f"{secret}: hunter2\n")
    with pytest.raises(errors.Misconfigured) as caught:
        settings.load()
    assert secret in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_password_in_the_database_of_the_file_is_refused_and_not_repeated() -> None:
    settings.FILE.write_text('database: "DRIVER={D};SERVER=h;UID=u;Pwd={hunter2}"\n')
    with pytest.raises(errors.Misconfigured, match="the database's password") as caught:
        settings.load()
    assert "hunter2" not in str(caught.value)


def test_a_secret_is_in_no_text_and_in_no_child_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONDAY_API_TOKEN", "hunter2")
    monkeypatch.setenv("ORDERSYNC_KAFKA_PASSWORD", "hunter3")
    found = settings.load()
    assert found.token().get_secret_value() == "hunter2"
    for text in (repr(found), str(found), found.model_dump_json(), str(found.environment())):
        assert "hunter" not in text


def test_a_token_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hunter2\n")
    monkeypatch.setenv("ORDERSYNC_MONDAY_TOKEN_FILE", str(tmp_path / "token"))
    assert settings.load().token().get_secret_value() == "hunter2"
    monkeypatch.setenv("ORDERSYNC_MONDAY_TOKEN_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(errors.Misconfigured, match="nowhere"):
        settings.load().token()


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("https://api.monday.com/v2", True),
        ("http://127.0.0.1:8080/v2", True),
        ("http://api.monday.com/v2", False),
        ("http://127.0.0.1.example.com/v2", False),
    ],
)
def test_a_token_never_travels_in_the_clear(monkeypatch: pytest.MonkeyPatch, url: str, right: bool) -> None:
    monkeypatch.setenv("ORDERSYNC_MONDAY_URL", url)
    if right:
        assert settings.load().monday_url == url
    else:
        with pytest.raises(errors.Misconfigured, match="https"):
            settings.load()


def test_the_minute_of_the_real_api_cannot_be_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERSYNC_MONDAY_URL", "https://api.monday.com/v2")
    monkeypatch.setenv("ORDERSYNC_MONDAY_MINUTE", "3")
    with pytest.raises(errors.Misconfigured, match="60"):
        settings.load()


def test_a_child_reads_the_same_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    parent = settings.load(home=tmp_path / "home", database=str(tmp_path / "x.db"), kafka_bootstrap_servers="k:1")
    for name, value in parent.environment().items():
        monkeypatch.setenv(name, value)
    assert settings.load() == parent


def test_limits_that_differ_from_the_published_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERSYNC_MONDAY_LIMITS", '{"calls_per_day": 5000}')
    monkeypatch.setenv("ORDERSYNC_MONDAY_PLAN", "pro")
    found = resources.Resources(settings.load()).limits
    assert (found.calls_per_day, found.requests_per_minute) == (5_000, 2_500)


@pytest.mark.parametrize("text", ['{"calls_per_year": 5000}', '{"calls_per_day": 0.5}', '{"minute_seconds": 5}'])
def test_a_limit_that_nobody_knows_is_one_line(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ORDERSYNC_MONDAY_LIMITS", text)
    with pytest.raises(errors.Misconfigured, match="calls_per_day"):
        assert resources.Resources(settings.load()).limits


def test_a_server_compares_unless_the_client_is_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server = "mssql://sync@db.example.com/orders"
    assert not settings.load().hashes_on_server
    assert settings.load(database=server).hashes_on_server
    assert not settings.load(database=server, detect_hash="client").hashes_on_server
    with pytest.raises(errors.Misconfigured, match="detect_hash"):
        settings.load(detect_hash="server")
    monkeypatch.setenv("ORDERSYNC_DETECT_HASH", "client")
    assert settings.load(database=server).environment()["ORDERSYNC_DETECT_HASH"] == "client"


@pytest.mark.parametrize(("told", "pushed"), [(None, True), ("server", True), ("client", False)])
def test_the_detector_looks_where_the_setting_says(tmp_path: Path, told: str | None, pushed: bool) -> None:
    parts = resources.Resources(settings.load(database="mssql://sync@db.example.com/orders", detect_hash=told))
    # No server is asked to make one.
    vars(parts)["db"] = sqlite.SqliteDatabase(tmp_path / "orders.db")
    source = parts.detector(fakes.Topic()).source
    assert isinstance(source, orders_pushdown.PushdownOrders) == pushed
    parts.close()
