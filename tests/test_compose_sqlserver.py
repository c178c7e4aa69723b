"""SQL Server in docker-compose.yml: its certificate, its logins, who may do what. Its scripts run here, no server."""

import contextlib
import re
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from connectors import database, errors
from connectors.archive import postgres as archive_postgres
from connectors.database import odbc_address
from sql import grants
from streams import settings
from streams.commands import setup
from tests.contracts import engines
from tests.test_compose import DOCKERFILE, ROOT, SERVICES, texts, told


def deployed(name: str) -> str:
    return (ROOT / "deploy/sqlserver" / name).read_text()


def mounted(service: str) -> dict[str, str]:
    """Source by target of what a service mounts."""
    return {mount.split(":")[1]: mount.split(":")[0] for mount in SERVICES[service]["volumes"]}


def test_the_tests_take_the_image_that_is_deployed() -> None:
    assert SERVICES["sqlserver"]["image"] == engines.IMAGE


@pytest.mark.parametrize(
    ("name", "user", "secret"),
    [
        ("setup", "ordersync_owner", "mssql_owner_password"),
        ("worker", "ordersync_service", "mssql_service_password"),
        ("poller", "ordersync_service", "mssql_service_password"),
    ],
)
def test_the_tables_are_on_the_server_and_only_setup_owns_them(name: str, user: str, secret: str) -> None:
    service, given = SERVICES[name], told(SERVICES[name])
    address = odbc_address.parse(given["ORDERSYNC_DATABASE"], "word")
    wanted = {"SERVER": "sqlserver,1433", "DATABASE": "ordersync", "UID": user}
    assert wanted.items() <= address.keywords.items()
    assert (address.keywords["Encrypt"], address.keywords["TrustServerCertificate"]) == ("yes", "no")
    assert given["ORDERSYNC_DATABASE_PASSWORD_FILE"] == f"/run/secrets/{secret}"
    assert [one for one in service["secrets"] if one.startswith("mssql")] == [secret]
    assert f"CREATE LOGIN [{user}] WITH PASSWORD = N'${secret.removeprefix('mssql_')}';" in deployed("database.sh")
    assert service["depends_on"]["database"]["condition"] == "service_completed_successfully"


def test_the_archive_is_postgres() -> None:
    for name in ("setup", "worker", "poller"):
        given = told(SERVICES[name])
        made = archive_postgres.PostgresDatabase(given["ORDERSYNC_ARCHIVE"], "word")
        postgres = SERVICES["postgres"]["environment"]
        assert made.address == f"postgres:5432/{postgres['POSTGRES_DB']}"
        assert f"//{postgres['POSTGRES_USER']}@" in given["ORDERSYNC_ARCHIVE"]
        assert given["ORDERSYNC_ARCHIVE_PASSWORD_FILE"] == postgres["POSTGRES_PASSWORD_FILE"]


def test_the_certificate_is_checked_everywhere() -> None:
    scripts = [path.read_text() for path in (ROOT / "deploy/sqlserver").iterdir()]
    for text in [*texts(SERVICES), DOCKERFILE, *scripts]:
        assert not re.search(r"TrustServerCertificate|trust=yes|sqlcmd[^|;&]* -C\b", text, re.I), text
    network = dict(re.findall(r"^(\w+) = (\S+)$", deployed("mssql.conf"), re.M))
    assert network["forceencryption"] == "1"
    folder = network["tlskey"].rpartition("/")[0]
    assert network["tlscert"].startswith(f"{folder}/")
    assert mounted("sqlserver")[folder] == "keys"
    # Nobody else may read the server's key.
    assert {name for name in SERVICES if "keys" in mounted(name).values()} == {"certificates", "sqlserver"}
    for name in ("sqlserver", "database", "setup", "worker", "poller"):
        trusted = told(SERVICES[name])[ssl.get_default_verify_paths().openssl_cafile_env]
        assert mounted(name)[trusted.rpartition("/")[0]] == "trust"
    made, keys, trust = SERVICES["certificates"]["command"]
    assert (mounted("certificates")[keys], mounted("certificates")[trust]) == ("keys", "trust")
    assert made in SERVICES
    assert f"sqlcmd -b -S {made} " in SERVICES["sqlserver"]["healthcheck"]["test"][1]
    assert re.search(rf"mkdir .*{keys} {trust} && chown ordersync .*{keys} {trust}$", DOCKERFILE, re.M)


@pytest.mark.processes
def test_the_certificate_that_is_made_is_the_servers_and_is_kept(tmp_path: Path) -> None:
    keys, trust = tmp_path / "keys", tmp_path / "trust"
    keys.mkdir()
    trust.mkdir()
    command: list[str | Path] = ["sh", ROOT / "deploy/sqlserver/certificates.sh", "sqlserver", keys, trust]
    said = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(2)]
    assert said == ["created the certificate of sqlserver\n", "the certificate of sqlserver exists\n"]
    assert sorted(path.name for path in tmp_path.glob("*/*")) == ["ca.pem", "server.key", "server.pem"]
    assert (keys / "server.key").stat().st_mode & 0o777 == 0o600
    shake_hands(keys, trust / "ca.pem", "sqlserver")
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for 'elsewhere'"):
        shake_hands(keys, trust / "ca.pem", "elsewhere")
    # Of a key that does not fit what is trusted, a new pair is made.
    (trust / "ca.pem").unlink()
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == said[0]
    shake_hands(keys, trust / "ca.pem", "sqlserver")


def shake_hands(keys: Path, ca: Path, name: str) -> None:
    """A TLS handshake in memory, of a client that trusts `ca` alone and asks for `name`."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(keys / "server.pem", keys / "server.key")
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        ssl.create_default_context(cafile=str(ca)).wrap_bio(back, there, server_hostname=name),
        server.wrap_bio(there, back, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    shown = ends[0].getpeercert()
    assert shown is not None
    assert shown["subject"] == ((("commonName", "sqlserver"),),)


@pytest.mark.processes
def test_the_logins_are_made_with_their_passwords_whatever_is_in_them(tmp_path: Path) -> None:
    passwords = {
        "mssql_sa_password": "sa",
        "mssql_owner_password": 'it\'s $(HOME) \\ "1"',
        "mssql_service_password": "é`x`",
    }
    for name, password in passwords.items():
        (tmp_path / name).write_text(password)
    (tmp_path / "sqlcmd").write_text(f'#!/bin/sh\necho "$SQLCMDPASSWORD" "$@"\ncat "$8" >{tmp_path}/script\n')
    (tmp_path / "sqlcmd").chmod(0o755)
    script = (
        deployed("database.sh").replace("/run/secrets", str(tmp_path)).replace("/opt/mssql-tools18/bin", str(tmp_path))
    )
    ran = subprocess.run(["bash", "-c", script, "database.sh", "sqlserver"], check=True, capture_output=True, text=True)
    assert ran.stdout.startswith("sa -b -x -S sqlserver -U sa -i ")
    assert "it's" not in ran.stdout
    made = (tmp_path / "script").read_text()
    assert "[ordersync_owner] WITH PASSWORD = N'it''s $(HOME) \\ \"1\"';" in made
    assert "[ordersync_service] WITH PASSWORD = N'é`x`';" in made
    assert re.findall(r"ALTER ROLE \[(\w+)\] ADD MEMBER \[(\w+)\]", made) == [
        ("db_owner", "ordersync_owner"),
        (grants.ROLE, "ordersync_service"),
    ]
    # The script goes with the passwords that are in it.
    assert not Path(ran.stdout.splitlines()[0].split()[-1]).exists()
    (tmp_path / "script").unlink()
    (tmp_path / "mssql_owner_password").unlink()
    ran = subprocess.run(["bash", "-c", script, "database.sh", "sqlserver"], capture_output=True, text=True)
    assert ran.returncode
    assert "mssql_owner_password" in ran.stderr
    assert not (tmp_path / "script").exists()


def test_setup_gives_the_service_its_rights_once_the_tables_are_there() -> None:
    assert "--grant" in SERVICES["setup"]["command"]
    ran: list[str] = []

    class Database:
        """Keeps what it is to run."""

        @contextlib.contextmanager
        def write(self) -> Iterator[Any]:
            yield self
            ran.append("COMMIT")

        def execute(self, statement: str) -> int:
            ran.append(statement)
            return -1

    setup.give_rights(cast(database.Database, Database()))
    assert ran == [*grants.statements(), "COMMIT"]


def test_a_file_has_no_roles(tmp_path: Path) -> None:
    told = settings.Settings(home=tmp_path)
    with pytest.raises(errors.Misconfigured, match="--grant is for SQL Server"):
        setup.setup(told, sample_orders=0, seed=1, grant=True)
    assert not list(tmp_path.iterdir())
