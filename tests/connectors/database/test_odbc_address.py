"""Addresses, drivers and error numbers: what becomes of them, without any server."""

import struct
from pathlib import Path
from typing import Any

import pytest

from connectors import errors
from connectors.database import odbc_address, odbc_driver, odbc_errors

LONG = "[Microsoft][ODBC Driver 18 for SQL Server][SQL Server]"


# Addresses


def test_a_url_becomes_a_connection_string() -> None:
    found = odbc_address.parse("mssql://sync@db.example.com/orders", "p;w}d")
    assert found.text == (
        "SERVER=db.example.com,1433;DATABASE=orders;UID=sync;PWD={p;w}}d};"
        "Encrypt=yes;TrustServerCertificate=no;APP=ordersync"
    )
    assert found.where == "db.example.com/orders"
    assert "w}" not in repr(found)


@pytest.mark.parametrize(
    ("address", "password", "wanted", "unwanted"),
    [
        ("mssql://h:7/d?login=entra", "", {"SERVER": "h,7"}, {"UID", "PWD", "Authentication"}),
        ("mssql://h/d", "", {"SERVER": "h,1433"}, {"UID", "PWD", "Authentication"}),
        (
            "mssql://id@h/d?login=principal",
            "secret",
            {"Authentication": "ActiveDirectoryServicePrincipal", "UID": "id", "PWD": "secret"},
            set(),
        ),
        ("mssql://h/d?login=msi", "", {"Authentication": "ActiveDirectoryMsi"}, {"UID", "PWD"}),
        ("mssql://id@h/d?login=msi", "", {"Authentication": "ActiveDirectoryMsi", "UID": "id"}, {"PWD"}),
        ("mssql://u@h/d?trust=yes", "p", {"TrustServerCertificate": "yes", "Encrypt": "yes"}, set()),
        ("mssql://u%40x@h/a%20b", "p", {"UID": "u@x", "DATABASE": "a b"}, set()),
    ],
)
def test_each_login_has_its_keywords(address: str, password: str, wanted: dict[str, str], unwanted: set[str]) -> None:
    found = odbc_address.parse(address, password)
    assert {key: found.keywords.get(key) for key in wanted} == wanted
    assert unwanted.isdisjoint(found.keywords)
    assert found.entra == ("Authentication" not in found.keywords and "UID" not in found.keywords)


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("mssql://u:hunter2@h/d", "holds a password"),
        ("mssql://u@h", "mssql://user@host"),
        ("mssql://u@h/d?loginn=entra", "not loginn"),
        ("mssql://u@h/d?login=kerberos", "login=kerberos"),
        ("mssql://u@h/d", "needs a user"),
    ],
)
def test_an_address_that_cannot_be_meant_is_refused_without_its_secret(address: str, complaint: str) -> None:
    with pytest.raises(errors.Misconfigured, match=complaint) as caught:
        odbc_address.parse(address)
    assert "hunter2" not in str(caught.value)


def test_an_odbc_string_stays_what_it_is() -> None:
    found = odbc_address.parse(
        "DRIVER={ODBC Driver 18 for SQL Server};SERVER=h,1;UID=u;PWD={a;}}b};Database=d;Encrypt=no;"
    )
    assert found.keywords == {
        "ENCRYPT": "no",
        "APP": "ordersync",
        "DRIVER": "ODBC Driver 18 for SQL Server",
        "SERVER": "h,1",
        "UID": "u",
        "PWD": "a;}b",
        "DATABASE": "d",
    }
    assert "DRIVER={ODBC Driver 18 for SQL Server};SERVER=h,1;UID=u;PWD={a;}}b};DATABASE=d" in found.text
    assert found.where == "h,1/d"
    assert odbc_address.parse("SERVER=h;DATABASE=d").keywords["ENCRYPT"] == "yes"


@pytest.mark.parametrize(
    ("address", "server"),
    [
        ("mssql://h/d", True),
        ("Driver={D};Server=h", True),
        ("DSN=orders", True),
        ("orders.db", False),
        ("", False),
        ("/data/a=b;c/orders.db", False),
    ],
)
def test_a_server_is_told_from_a_path(address: str, server: bool) -> None:
    assert odbc_address.is_server(address) == server


class FakeDriver:
    """pyodbc as `connect` calls it: keeps what it was given."""

    class Error(Exception):
        pass

    def __init__(self, *trouble: object) -> None:
        self.trouble = trouble
        self.given: dict[str, Any] = {}

    def drivers(self) -> list[str]:
        return ["ODBC Driver 17 for SQL Server", "SQLite3", "ODBC Driver 18 for SQL Server"]

    def connect(self, text: str, **given: Any) -> Any:
        self.given = {"text": text, **given}
        if self.trouble:
            raise self.Error(*self.trouble)
        return type("Connection", (), {})()


def test_a_token_travels_as_the_driver_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeDriver()
    monkeypatch.setattr(odbc_driver, "load", lambda: fake)
    made = odbc_address.connect(odbc_address.parse("mssql://h/d?login=entra"), token=lambda: "tök")
    assert made.timeout == odbc_address.STATEMENT_TIMEOUT
    assert fake.given["attrs_before"] == {1256: struct.pack("<I", 6) + "tök".encode("utf-16-le")}
    assert fake.given["text"].startswith("DRIVER={ODBC Driver 18 for SQL Server};SERVER=h,1433;")
    assert (fake.given["autocommit"], fake.given["timeout"]) == (True, odbc_address.LOGIN_TIMEOUT)


def test_a_refused_login_says_where_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeDriver("28000", f"[28000] {LONG}Login failed for user 'sync'. (18456) (SQLDriverConnect)")
    monkeypatch.setattr(odbc_driver, "load", lambda: fake)
    with pytest.raises(errors.Misconfigured, match=r"h/d: .*Login failed.*check the user") as caught:
        odbc_address.connect(odbc_address.parse("mssql://sync@h/d", "hunter2"))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("numbers", [(4060,), (4060, 18456), (18456, 4060), (911,)])
def test_a_database_that_is_not_there_is_no_wrong_password(numbers: tuple[int, ...]) -> None:
    said = {
        4060: 'Cannot open database "orders" requested by the login.',
        18456: "Login failed for user 'sync'.",
        911: "Database 'orders' does not exist.",
    }
    text = "; ".join(f"[42000] {LONG}{said[number]} ({number}) (SQLDriverConnect)" for number in numbers)
    found = odbc_errors.named(("42000", text), "h/orders")
    assert isinstance(found, errors.Misconfigured)
    assert found.code == "DATABASE"
    assert str(found).endswith("make that database, or let this login open it: setup makes tables, never a database")


# Drivers


def test_the_newest_installed_driver_is_taken() -> None:
    installed = ["ODBC Driver 9 for SQL Server", "ODBC Driver 18 for SQL Server", "FreeTDS"]
    assert odbc_driver.find(installed) == "ODBC Driver 18 for SQL Server"


def test_without_a_driver_one_line_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(odbc_driver, "in_wheel", lambda: None)
    with pytest.raises(errors.Misconfigured, match="ordersync\\[sqlserver\\]") as caught:
        odbc_driver.find(["FreeTDS"])
    assert "\n" not in str(caught.value)


def test_a_library_that_cannot_be_loaded_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "libmsodbcsql-18.so"
    library.write_bytes(b"no library")
    monkeypatch.setattr(odbc_driver, "in_wheel", lambda: library)
    with pytest.raises(errors.Misconfigured, match=r"cannot be loaded .*libmsodbcsql-18\.so"):
        odbc_driver.find([])


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ({"ID": "debian"}, "debian_ubuntu"),
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "rhel"),
        ({"ID": "opensuse-leap", "ID_LIKE": "suse opensuse"}, "suse"),
    ],
)
def test_the_wheel_has_a_library_for_each_kind_of_linux(
    release: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: release)
    assert odbc_driver.distribution() == name


# Errors

KINDS = {"transient": errors.Transient, "rejected": errors.Rejected, "misconfigured": errors.Misconfigured}


@pytest.mark.parametrize("reverse", [False, True], ids=["server's order", "pyodbc's order"])
@pytest.mark.parametrize(
    ("state", "text", "kind"),
    [
        ("40001", "Transaction was deadlocked. Rerun the transaction. (1205) (SQLExecDirectW)", "transient"),
        ("42000", "Lock request time out period exceeded. (1222) (SQLExecDirectW)", "transient"),
        ("HYT00", "Query timeout expired (0) (SQLExecDirectW)", "transient"),
        ("HYT00", "Login timeout expired (0) (SQLDriverConnect)", "transient"),
        ("08S01", "Communication link failure (0) (SQLExecDirectW)", "transient"),
        ("42000", "Database is not currently available. (40613) (SQLDriverConnect)", "transient"),
        ("28000", "Login failed for user 'x'. (18456) (SQLDriverConnect)", "misconfigured"),
        ("08004", "database does not exist (911) (SQLDriverConnect)", "misconfigured"),
        ("08001", "certificate verify failed:self-signed certificate (-1) (SQLDriverConnect)", "misconfigured"),
        ("01000", "Can't open lib '/x.so' : file not found (0) (SQLDriverConnect)", "misconfigured"),
        ("IM002", "Data source name not found (0) (SQLDriverConnect)", "misconfigured"),
        ("42S02", "Invalid object name 'T'. (208) (SQLExecDirectW); [42S02] ... (8180)", "misconfigured"),
        ("42000", "The INSERT permission was denied on the object 'T'. (229) (SQLExecDirectW)", "misconfigured"),
        ("42000", "Cannot open server 'x' requested by the login. (40615) (SQLDriverConnect)", "misconfigured"),
        ("42S02", "Cannot drop the view 'V', or you do not have permission. (3701) (SQLExecDirectW)", "misconfigured"),
        ("42000", "The column 'x' cannot be modified because it is computed. (271) (SQLExecDirectW)", "misconfigured"),
        (
            "23000",
            "CREATE UNIQUE INDEX terminated: a duplicate key was found. (1505) (SQLExecDirectW)",
            "misconfigured",
        ),
        ("42000", "There is insufficient system memory to run this query. (701) (SQLExecDirectW)", "transient"),
        ("42000", "The object 'CK_x' is dependent on column 'Size'. (5074) (SQLExecDirectW)", "misconfigured"),
        ("42000", "The transaction log is full. (9002) (SQLExecDirectW)", "misconfigured"),
        ("23000", "Violation of PRIMARY KEY. The value is (1205). (2627) (SQLExecDirectW); [01000] (3621)", "rejected"),
        ("23000", "Cannot insert the value NULL (515) (SQLExecDirectW)", "rejected"),
        ("22001", "String or binary data would be truncated. (2628) (SQLExecDirectW)", "rejected"),
        ("22018", "Conversion failed (245) (SQLExecDirectW)", "rejected"),
    ],
)
def test_every_known_error_has_its_kind(state: str, text: str, kind: str, reverse: bool) -> None:
    args = (state, f"[{state}] {LONG}{text}")
    found = odbc_errors.named(tuple(reversed(args)) if reverse else args, "h/d")
    assert type(found) is KINDS[kind]
    assert "\n" not in str(found)


@pytest.mark.parametrize("args", [("42000", "Incorrect syntax near 'x'. (102) (SQLExecDirectW)"), ("odd",), ()])
def test_a_mistake_of_ours_stays_what_it_is(args: tuple[str, ...]) -> None:
    assert odbc_errors.named(args, "h/d") is None
