"""Settings: one frozen model, every mistake in one readable message, secrets never told."""

import os
from pathlib import Path

import pytest

from connectors import errors
from connectors.database import sqlite
from connectors.monday.limits import preset
from connectors.tables import orders_pushdown
from streams import resources, settings
from streams.commands import service
from streams.demo import stage
from streams.runtime import embedded
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


@pytest.mark.parametrize(
    ("url", "token", "api", "host"),
    [
        ("", "", "", "bundled"),
        ("", "t", "https://api.monday.com/v2", "api.monday.com"),
        ("bundled", "t", "", "bundled"),
        ("https://proxy.example.com/v2", "", "https://proxy.example.com/v2", "proxy.example.com"),
        ("http://127.0.0.1:8080/v2", "t", "http://127.0.0.1:8080/v2", "bundled"),
    ],
)
def test_a_token_alone_means_the_real_api(
    monkeypatch: pytest.MonkeyPatch, url: str, token: str, api: str, host: str
) -> None:
    for name, value in (("ORDERSYNC_MONDAY_URL", url), ("MONDAY_API_TOKEN", token)):
        monkeypatch.setenv(name, value)
    found = settings.load()
    assert (found.api_url, found.api_host, found.names_api) == (api, host, bool(url or token))


def test_a_token_file_means_the_real_api_too(tmp_path: Path) -> None:
    assert settings.load(monday_token_file=tmp_path / "token").api_url == settings.REAL_API


def test_a_server_with_the_bundled_board_wants_it_in_so_many_words(monkeypatch: pytest.MonkeyPatch) -> None:
    server = "mssql://sync@db.example.com/orders"
    with pytest.raises(errors.Misconfigured, match="ORDERSYNC_MONDAY_URL=bundled"):
        embedded.endpoints(settings.load(database=server), preset("personal", "pro")).__enter__()
    settings.load().check_board()
    settings.load(database=server, monday_url="bundled").check_board()
    monkeypatch.setenv("MONDAY_API_TOKEN", "t")
    settings.load(database=server).check_board()


@pytest.mark.parametrize(
    "address",
    ["postgres://u:hunter2@h/d", "mysql://h/d", "sqlserver://h/d", "sqlite:///orders.db", "MSSQL://h/d", "jdbc:x://h"],
)
def test_a_database_of_an_unknown_scheme_is_no_path(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("ORDERSYNC_DATABASE", address)
    with pytest.raises(errors.Misconfigured, match="mssql://user@host") as caught:
        settings.load()
    assert f"{address.partition('://')[0]}:// is no database" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["orders.db", "/srv/orders.db", "C:\\data\\orders.db", "C:/orders.db"])
def test_a_path_stays_a_path(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("ORDERSYNC_DATABASE", path)
    assert settings.load().database_path == Path(path)


def test_the_name_of_a_database_has_no_login() -> None:
    assert settings.load(database="orders.db").database_name == str(Path("orders.db").resolve())
    same = ["DRIVER={D};SERVER=tcp:H,1433;DATABASE=Orders;UID=u;PWD={hunter2}", "SERVER=h;DATABASE=orders;UID=u;PWD=x"]
    assert {settings.load(database=address).database_name for address in same} == {"h/orders"}


def test_every_unknown_name_is_told_with_the_nearest_one(monkeypatch: pytest.MonkeyPatch) -> None:
    settings.FILE.write_text("gaurd_rows: 7\n")
    monkeypatch.setenv("ORDERSYNC_POL_EVERY", "3")
    monkeypatch.setenv("ORDERSYNC_KAFKA_BOOTSTRAP_SERVERS", "k:1")
    monkeypatch.setenv("ORDERSYNC_QQQQ", "hunter2")
    monkeypatch.setenv("ORDERSYNC_GUARD_ROWS", "many")
    # Those of the tests and of a standby are known.
    monkeypatch.setenv("ORDERSYNC_TEST_SEED", "1")
    monkeypatch.setenv("ORDERSYNC_STANDBY", "1")
    with pytest.raises(errors.Misconfigured) as caught:
        settings.load()
    for said in (
        "ORDERSYNC_POL_EVERY is no setting: is it ORDERSYNC_POLL_EVERY?",
        "ORDERSYNC_KAFKA_BOOTSTRAP_SERVERS is no setting: is it KAFKA_BOOTSTRAP_SERVERS?",
        "ORDERSYNC_QQQQ is no setting: docs/operations.md lists them",
        "ordersync.yaml: gaurd_rows is no setting: is it guard_rows?",
        "guard_rows: ",
    ):
        assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "TEST_SEED" not in str(caught.value)
    assert "STANDBY" not in str(caught.value)


def test_a_demo_uses_nothing_that_the_environment_or_the_file_names(monkeypatch: pytest.MonkeyPatch) -> None:
    real = {
        "MONDAY_API_TOKEN": "hunter2",
        "ORDERSYNC_MONDAY_URL": "https://api.monday.com/v2",
        "ORDERSYNC_DATABASE": "mssql://sync@db.example.com/orders",
        "KAFKA_BOOTSTRAP_SERVERS": "k:1",
        "ORDERSYNC_ARCHIVE": "postgresql://h/d",
        "ORDERSYNC_MONDAY_TOKEN_FILE": "/run/token",
        "ORDERSYNC_QQQQ": "1",
    }
    for name, value in real.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ORDERSYNC_HOME", "mine")
    settings.FILE.write_text("mappings: theirs\nmonday_token_file: theirs\n")
    base, ignored = settings.alone()
    assert ignored == [*sorted(real), "ordersync.yaml"]
    found = stage.settings_of(base, minute=3.0)
    assert (found.home, found.api_url, found.kafka_bootstrap_servers) == (Path("mine/demo"), "", "")
    assert (found.server, found.database_path) == (None, Path("mine/demo/orders.db"))
    # The processes of the demo have the same settings, although they read environment and file themselves.
    ends = embedded.Endpoints("k:2", "http://127.0.0.1:9/v2", lambda: [])
    (worker, _) = service.services(found, ends)
    for name in real:
        monkeypatch.delenv(name)
    for name, value in worker.environment.items():
        monkeypatch.setenv(name, value)
    child = settings.load()
    assert (child.api_url, child.kafka_bootstrap_servers) == (ends.monday_url, ends.bootstrap)
    assert (child.token().get_secret_value(), child.mappings) == ("simulator", None)
    assert child.archive.get_secret_value() == ""
    assert "hunter2" not in str(worker.environment)


def test_a_demo_on_a_server_is_asked_for_by_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERSYNC_DATABASE_PASSWORD", "hunter2")
    base, ignored = settings.alone(database="mssql://sync@db.example.com/orders")
    assert ignored == []
    found = stage.settings_of(base, minute=3.0)
    assert found.server is not None
    assert found.server.keywords["PWD"] == "hunter2"
    found.check_board()


def test_a_child_has_the_secrets_of_its_parent_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERSYNC_KAFKA_PASSWORD", "hunter2")
    given = settings.load(monday_url="bundled").environment_of_child({"PATH": "/bin", "MONDAY_API_TOKEN": "other"})
    assert (given["PATH"], given["ORDERSYNC_KAFKA_PASSWORD"]) == ("/bin", "hunter2")
    assert "MONDAY_API_TOKEN" not in given
