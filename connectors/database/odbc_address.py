"""Connections to SQL Server from one address: driver, login, encryption and time limits.

    mssql://user@host:1433/database                  SQL login; its password is a setting of its own
    mssql://host/database?login=entra                Entra ID: environment, managed identity, Azure CLI ... in turn
    mssql://client-id@host/database?login=principal  a service principal; its secret is the password
    mssql://host/database?login=msi                  the managed identity; with a user, the one of that client id
    DRIVER={...};SERVER=...;UID=...;PWD={...}         an ODBC connection string, as it is

The connection is encrypted and the certificate checked, unless the address says `trust=yes`.
"""

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from connectors import errors
from connectors.database import odbc_driver, odbc_errors

if TYPE_CHECKING:
    import pyodbc

SCHEME = "mssql://"
LOGIN_TIMEOUT = 15
STATEMENT_TIMEOUT = 300  # seconds, as LOGIN_TIMEOUT

_PAIR = re.compile(r"\s*([^=;{}]+?)\s*=\s*(\{(?:[^}]|\}\})*\}|[^;]*?)\s*(?:;|$)")
_SPECIAL = re.compile(r"[;={}]")
_TOKEN = 1256  # SQL_COPT_SS_ACCESS_TOKEN
_TOKEN_FOR = "https://database.windows.net/.default"
_LOGINS = {"sql": "", "entra": "", "principal": "ActiveDirectoryServicePrincipal", "msi": "ActiveDirectoryMsi"}
_OPTIONS = {"login", "trust", "driver"}


@dataclass(frozen=True)
class Address:
    """The place of a database and the login. `where` names it for operators; the other fields may contain a secret."""

    where: str
    keywords: Mapping[str, str] = field(repr=False)
    entra: bool = False

    @property
    def text(self) -> str:
        """The ODBC connection string."""
        return ";".join(f"{key}={quoted(key, value)}" for key, value in self.keywords.items())


def is_server(address: str) -> bool:
    """Whether the address names a SQL Server; any other text is the path of a SQLite file."""
    return address.startswith(SCHEME) or not {"DRIVER", "SERVER", "DSN"}.isdisjoint(pairs(address))


def parse(address: str, password: str = "") -> Address:
    """The address of `ORDERSYNC_DATABASE`. Raises Misconfigured, without a secret in its text, for an unusable one."""
    return _from_url(address, password) if address.startswith(SCHEME) else _from_odbc(address, password)


def connect(address: Address, *, token: Callable[[], str] | None = None) -> "pyodbc.Connection":
    """Opens a connection in autocommit mode. Raises Misconfigured or Transient, which name the server."""
    driver = odbc_driver.load()
    # A pooled connection would keep the isolation level of its last use.
    driver.pooling = False
    keywords = dict(address.keywords)
    if "DRIVER" not in keywords and "DSN" not in keywords:
        keywords = {"DRIVER": odbc_driver.find(driver.drivers()), **keywords}
    before = {_TOKEN: _packed((token or entra_token)())} if address.entra else {}
    text = Address(address.where, keywords).text
    try:
        connection: pyodbc.Connection = driver.connect(
            text, autocommit=True, timeout=LOGIN_TIMEOUT, attrs_before=before
        )
    except driver.Error as error:
        named = odbc_errors.named(error.args, address.where)
        if named is None:
            raise
        raise named from error
    connection.timeout = STATEMENT_TIMEOUT
    return connection


def entra_token() -> str:
    """A fresh token for the Entra ID identity of this process; the driver has no such login of its own on Linux."""
    try:
        # Imported here: it is an extra that may not be installed.
        from azure import identity  # noqa: PLC0415
    except ImportError as error:
        raise errors.Misconfigured(
            f"login=entra needs azure-identity ({error}): pip install 'ordersync[sqlserver]'", code="DRIVER"
        ) from error
    with identity.DefaultAzureCredential() as credential:
        return str(credential.get_token(_TOKEN_FOR).token)


def quoted(key: str, value: str) -> str:
    """A value of a connection string: in braces, with `}` doubled, where it needs them."""
    plain = key not in ("DRIVER", "PWD") and value == value.strip() and not _SPECIAL.search(value)
    return value if plain else "{" + value.replace("}", "}}") + "}"


def _from_url(address: str, password: str) -> Address:
    parts = urlsplit(address)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    database, host = unquote(parts.path.strip("/")), parts.hostname or ""
    if parts.password is not None:
        raise errors.Misconfigured("the database's address holds a password: remove it, it is a setting of its own")
    if not host or not database:
        raise errors.Misconfigured("the database's address is mssql://user@host:1433/database")
    if unknown := sorted(set(options) - _OPTIONS):
        raise errors.Misconfigured(f"the database's address may say {', '.join(sorted(_OPTIONS))}, not {unknown[0]}")
    user = unquote(parts.username or "")
    login = options.get("login", "sql" if user else "entra")
    if login not in _LOGINS:
        raise errors.Misconfigured(f"login={login}: it may be {', '.join(_LOGINS)}")
    if login in ("sql", "principal") and not (user and password):
        raise errors.Misconfigured(f"login={login} needs a user in the database's address, and its password")
    keywords = {"DRIVER": options["driver"]} if "driver" in options else {}
    keywords |= {"SERVER": f"{host},{parts.port or 1433}", "DATABASE": database}
    keywords |= {"Authentication": _LOGINS[login]} if _LOGINS[login] else {}
    # A login by token allows neither UID nor PWD.
    keywords |= {"UID": user} if user and login != "entra" else {}
    keywords |= {"PWD": password} if login in ("sql", "principal") else {}
    keywords |= {"Encrypt": "yes", "TrustServerCertificate": "yes" if options.get("trust") == "yes" else "no"}
    return Address(f"{host}/{database}", {**keywords, "APP": "ordersync"}, entra=login == "entra")


def _from_odbc(address: str, password: str) -> Address:
    keywords = pairs(address)
    if not keywords:
        raise errors.Misconfigured("the database's address is no ODBC connection string")
    if password:
        keywords["PWD"] = password
    if "SERVER" in keywords:
        keywords = {"ENCRYPT": "yes", "APP": "ordersync", **keywords}
    where = "/".join(keywords[key] for key in ("SERVER", "DSN", "DATABASE") if key in keywords)
    return Address(where, keywords)


def pairs(text: str) -> dict[str, str]:
    """The keywords of an ODBC string, in upper case, with their unquoted values; empty for any other text."""
    keywords: dict[str, str] = {}
    at = 0
    while at < len(text.rstrip("; \n")):
        match = _PAIR.match(text, at)
        if match is None or match.end() == at:
            return {}
        value = match[2]
        keywords[match[1].upper()] = value[1:-1].replace("}}", "}") if value.startswith("{") else value
        at = match.end()
    return keywords


def _packed(token: str) -> bytes:
    raw = token.encode("utf-16-le")
    return struct.pack("<I", len(raw)) + raw
