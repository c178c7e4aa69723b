"""Every setting, its environment variable and its default: one frozen model.

The environment (`ORDERSYNC_…`) comes before `ordersync.yaml` in the working directory. A secret comes from the
environment or from a file that a setting names, never from the YAML file, and ordersync never prints it. A name that no
setting has is refused: a typing error must not leave a default in force.
"""

import difflib
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import pydantic_settings
import yaml
from pydantic import AliasChoices, Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator

from connectors import errors
from connectors.database import odbc_address

FILE = Path("ordersync.yaml")
SECRETS = ("monday_token", "kafka_password", "database_password", "archive")
# Addresses of the simulator, on this machine or by its name in docker-compose.yml: only these may use plain http.
SIMULATOR_URLS = ("http://127.0.0.1:", "http://localhost:", "http://simulator:")
REAL_API = "https://api.monday.com/v2"
# The value of `monday_url` that asks for the bundled board in so many words.
BUNDLED = "bundled"
PREFIX = "ORDERSYNC_"
# Variables with our prefix that are no settings: those of connectors/processes.py and of the tests.
OTHER_VARIABLES = re.compile(r"ORDERSYNC_(STANDBY|TEST_.*)")
# A Windows path has no double slash behind its colon.
_SCHEME = re.compile(r"\s*([a-z][a-z0-9+.:-]*)://", re.IGNORECASE)


class Settings(pydantic_settings.BaseSettings):
    """All values that may differ between two installations. Durations are in seconds."""

    model_config = pydantic_settings.SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", yaml_file=FILE, populate_by_name=True
    )

    home: Path = Field(Path(".ordersync"), description="folder of the embedded database, broker and board")
    mappings: Path | None = Field(None, description="folder of board.yaml and its tables; default: the packaged one")

    database: str = Field(
        "",
        repr=False,
        description="path of a SQLite file, or a SQL Server: mssql://user@host:1433/database or an ODBC string "
        "(connectors/database/odbc_address.py); default: orders.db in the home folder",
    )
    database_password: SecretStr = SecretStr("")
    database_password_file: Path | None = Field(None, description="file with the password, in place of the variable")

    archive: SecretStr = Field(
        SecretStr(""), description="postgresql:// address of the snapshot archive; default: the embedded database"
    )
    archive_password_file: Path | None = Field(
        None, description="file with the password of the archive, if the address has none"
    )
    archive_days: int = Field(30, ge=1, description="number of days for which every customer can be rolled back")
    archive_snapshots: int = Field(
        100, ge=1, description="snapshots kept of a customer: dense for recent days, sparse for old ones"
    )

    kafka_bootstrap_servers: str = Field(
        "",
        validation_alias=AliasChoices("KAFKA_BOOTSTRAP_SERVERS", "kafka_bootstrap_servers"),
        description="an Apache Kafka; default: the embedded one",
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_username: str = ""
    kafka_password: SecretStr = SecretStr("")
    kafka_password_file: Path | None = Field(None, description="file with the password, in place of the variable")
    kafka_ca_file: Path | None = Field(None, description="PEM file of the only CA to trust; default: the system's")
    kafka_replication: int = Field(1, ge=1, description="replicas of each topic: 3 on a cluster that may lose a broker")
    topic_prefix: str = Field("", pattern=r"^[A-Za-z0-9._-]*$")
    group: str = Field("ordersync", min_length=1, description="consumer group of the workers")

    monday_url: str = Field(
        "",
        description="address of the API, or `bundled` for the bundled board; default: Monday.com with a token, the "
        "bundled board without one",
    )
    monday_token: SecretStr = Field(
        SecretStr(""),
        validation_alias=AliasChoices("MONDAY_API_TOKEN", "ORDERSYNC_MONDAY_TOKEN", "monday_token"),
    )
    monday_token_file: Path | None = Field(
        None, description="file with the token, in place of the variable; read again whenever the API refuses the token"
    )
    monday_token_tier: Literal["personal", "app", "trial"] = "personal"
    monday_plan: Literal["standard", "pro", "enterprise"] = "standard"
    monday_minute: float = Field(60.0, gt=0, description="length of the API's minute; shorter only with the simulator")
    monday_in_flight: float = Field(
        60.0, ge=0, description="seconds for which the API may go on with a request; shorter only with the simulator"
    )
    monday_limits: dict[str, float] = Field(
        {}, description="limits that differ from the published ones, by name (connectors/monday/limits.py), as JSON"
    )
    batch_size: int = Field(25, ge=1, le=100, description="maximum of mutations in one request")

    detect_hash: Literal["server", "client"] | None = Field(
        None, description="where rows are compared; default: in the server on SQL Server, in the client on SQLite"
    )
    poll_every: float = Field(10.0, gt=0, description="pause between two passes of the poller")
    window_minutes: float = Field(10.0, gt=0, description="minutes' worth of API budget that may be unsettled")
    guard_deleted: float = Field(
        0.20, gt=0, le=1, description="share of deleted rows above which the guard stops a pass"
    )
    guard_changed: float = Field(
        0.50, gt=0, le=1, description="share of changed rows above which the guard stops a pass"
    )
    guard_rows: int = Field(50, ge=1, description="the guard never stops a pass for fewer rows than this")
    guard_created: float = Field(
        1.0, gt=0, description="created rows above this share of the known ones stop a pass, but not a first load"
    )
    guard_created_rows: int = Field(
        500, ge=0, description="the guard never stops a pass for this number of created rows, or fewer"
    )

    retry_first: float = Field(60.0, gt=0, description="pause before the first retry; four times as long each time")
    retry_tries: int = Field(5, ge=0)
    keep_days: int = Field(
        30, ge=2, description="days for which settled staged versions and answered requests are kept"
    )
    verify_every: float = Field(60.0, gt=0, description="pause between two verifies of the tables by a worker")
    verify_within: float = Field(
        900.0, gt=0, description="time within which a worker compares every order cell by cell, in slices"
    )
    verify_share: float = Field(
        0.05, gt=0, le=1, description="share of one core that these slices may take, even if a round takes longer then"
    )
    verify_board_every: float = Field(
        0.0, ge=0, description="pause between two audits of the board by the writer; 0: never"
    )
    verify_board_full_days: float = Field(
        7.0, ge=0, description="days after which an audit reads the whole board again; 0: always"
    )
    verify_board_gap_hours: float = Field(
        24.0, gt=0, description="an audit reads the whole board if the last one is older than this"
    )
    verify_board_overlap: float = Field(
        900.0, ge=60, description="an audit reads the changes since so long before the last one"
    )
    lease_seconds: float = Field(10.0, gt=0, description="duration of the writer's lease")
    worker: str = Field("worker-1", pattern=r"^[A-Za-z0-9._-]+$", description="unique, stable name of the worker")
    web_port: int = Field(
        6066, ge=0, le=65535, description="port of /health and /metrics; another free port if it is taken"
    )
    web_bind: str = Field("127.0.0.1", min_length=1, description="address of the pages, which have no login")

    @field_validator("*", mode="before")
    @classmethod
    def _blank_is_none(cls, value: object, info: ValidationInfo) -> object:
        """A variable cannot be None: an empty one stands for it (`environment`)."""
        optional = info.field_name is not None and cls.model_fields[info.field_name].default is None
        return None if optional and value == "" else value

    @field_validator("database")
    @classmethod
    def _path_or_server(cls, address: str) -> str:
        """Refuses an address of another kind, which would be taken for a path. Its text may hold a password."""
        scheme = _SCHEME.match(address)
        if scheme is None or address.startswith(odbc_address.SCHEME):
            return address
        raise ValueError(
            f"{scheme[1]}:// is no database of ordersync: write the path of a SQLite file alone, or the address of a "
            "SQL Server as mssql://user@host:1433/database or as an ODBC string"
        )

    @model_validator(mode="after")
    def _https(self) -> Self:
        real = self.api_url and not self.api_url.startswith(SIMULATOR_URLS)
        if real and not self.api_url.startswith("https://"):
            raise ValueError("monday_url must be https: ordersync never sends a token unencrypted")
        if real and self.monday_minute != 60:
            raise ValueError("monday_minute must be 60 with the real API")
        if real and self.monday_in_flight < 60:
            raise ValueError("monday_in_flight must be at least 60 with the real API")
        return self

    @model_validator(mode="after")
    def _can_hash(self) -> Self:
        if self.detect_hash == "server" and not odbc_address.is_server(self.database):
            raise ValueError("detect_hash must be client with SQLite, which cannot hash: remove the setting")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[pydantic_settings.BaseSettings],
        init_settings: pydantic_settings.PydanticBaseSettingsSource,
        env_settings: pydantic_settings.PydanticBaseSettingsSource,
        dotenv_settings: pydantic_settings.PydanticBaseSettingsSource,
        file_secret_settings: pydantic_settings.PydanticBaseSettingsSource,
    ) -> tuple[pydantic_settings.PydanticBaseSettingsSource, ...]:
        yaml = pydantic_settings.YamlConfigSettingsSource(settings_cls)
        return init_settings, env_settings, yaml

    def environment(self) -> dict[str, str]:
        """Every setting but the secrets as environment variables; an empty one stands for None."""
        given = self.model_dump(mode="json", exclude=set(SECRETS))
        return {
            _variables(name)[0]: json.dumps(value) if isinstance(value, dict) else "" if value is None else str(value)
            for name, value in given.items()
        }

    def environment_of_child(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """The whole environment of a child process that has exactly these settings, secrets included."""
        others = {name: value for name, value in inherited.items() if not _is_ours(name)}
        secrets = {_variables(name)[0]: getattr(self, name).get_secret_value() for name in SECRETS}
        return {**others, **self.environment(), **{name: value for name, value in secrets.items() if value}}

    @property
    def api_url(self) -> str:
        """The address of the API: that of Monday.com where only a token is given; "" for the bundled board."""
        if self.monday_url == BUNDLED:
            return ""
        has_token = bool(self.monday_token.get_secret_value()) or self.monday_token_file is not None
        return self.monday_url or (REAL_API if has_token else "")

    @property
    def names_api(self) -> bool:
        """Whether the settings say which API it is, the bundled board included."""
        return bool(self.api_url or self.monday_url)

    @property
    def api_host(self) -> str:
        """The name of the API in the binding: its host, BUNDLED for the bundled board wherever it runs."""
        bundled = not self.api_url or self.api_url.startswith(SIMULATOR_URLS)
        return BUNDLED if bundled else urlsplit(self.api_url).netloc.rpartition("@")[2].lower()

    @property
    def database_name(self) -> str:
        """The name of the database in the binding, without a login: server/database, or the whole path of the file."""
        if self.server is None:
            return str(self.database_path.resolve())
        return self.server.where.lower().removeprefix("tcp:").replace(",1433", "")

    def check_board(self) -> None:
        """Raises Misconfigured for a SQL Server with the bundled board, unless the settings ask for that board."""
        if odbc_address.is_server(self.database) and not self.names_api:
            raise errors.Misconfigured(
                f"the database is a SQL Server, and no board is named: set MONDAY_API_TOKEN for Monday.com, or "
                f"{PREFIX}MONDAY_URL={BUNDLED} for the bundled board"
            )

    @property
    def server(self) -> odbc_address.Address | None:
        """The SQL Server of the tables, None for the embedded database. Raises Misconfigured for a bad address."""
        if not odbc_address.is_server(self.database):
            return None
        password = _read_secret("database_password_file", self.database_password_file) or self.database_password
        return odbc_address.parse(self.database, password.get_secret_value())

    @property
    def hashes_on_server(self) -> bool:
        """Does the database hash and compare the rows, in place of detection?"""
        return odbc_address.is_server(self.database) and self.detect_hash != "client"

    @property
    def database_path(self) -> Path:
        """The path of the embedded database."""
        return Path(self.database) if self.database else self.home / "orders.db"

    def token(self) -> SecretStr:
        """The API token, from its file or its variable. Raises Misconfigured for the file."""
        return _read_secret("monday_token_file", self.monday_token_file) or self.monday_token

    def archive_password(self) -> SecretStr:
        """The password of the archive, from its file; empty without one, because the address may have it."""
        return _read_secret("archive_password_file", self.archive_password_file) or SecretStr("")

    def password(self) -> SecretStr:
        """The password of Kafka, from its file or its variable. Raises Misconfigured for the file."""
        return _read_secret("kafka_password_file", self.kafka_password_file) or self.kafka_password


def _read_secret(name: str, file: Path | None) -> SecretStr | None:
    """The secret in the file of the setting `name`, None without a file."""
    if file is None:
        return None
    try:
        return SecretStr(file.read_text().strip())
    except OSError as error:
        raise errors.Misconfigured(f"{name} {file}: {error.strerror}. Name a file that ordersync can read") from None
    except UnicodeDecodeError:
        raise errors.Misconfigured(f"{name} {file}: it is not UTF-8 text. Name a file with the secret alone") from None


class _Alone(Settings):
    """Settings that read neither the environment nor the file."""

    model_config = pydantic_settings.SettingsConfigDict(yaml_file=None)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[pydantic_settings.BaseSettings],
        init_settings: pydantic_settings.PydanticBaseSettingsSource,
        env_settings: pydantic_settings.PydanticBaseSettingsSource,
        dotenv_settings: pydantic_settings.PydanticBaseSettingsSource,
        file_secret_settings: pydantic_settings.PydanticBaseSettingsSource,
    ) -> tuple[pydantic_settings.PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def load(**overrides: object) -> Settings:
    """The settings of this process. Raises Misconfigured with every mistake in one readable message."""
    _check_file()
    given = {name: value for name, value in overrides.items() if value is not None}
    known = [variable for name in Settings.model_fields for variable in _variables(name)]
    mistakes = [_unknown(name, known) for name in sorted(os.environ) if _is_ours(name) and name.upper() not in known]
    try:
        loaded = Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        mistakes += map(_text_of, error.errors(include_input=False, include_url=False))
    if mistakes:
        raise errors.Misconfigured(f"settings: {'; '.join(mistakes)}")
    return loaded


def alone(*, home: Path | None = None, database: str | None = None) -> tuple[Settings, list[str]]:
    """The settings of a demo: everything embedded, whatever environment and file say; and what it so ignores, by name.

    Only the home folder counts, and a SQL Server that `database` names, with its password. Raises Misconfigured.
    """
    used = ["home"]
    given: dict[str, object] = {"home": home or Path(os.environ.get(f"{PREFIX}HOME") or ".ordersync")}
    if database is not None and odbc_address.is_server(database):
        given["database"] = database
        used += ["database_password", "database_password_file"]
        given |= {name: value for name in used[1:] if (value := os.environ.get(_variables(name)[0]))}
    counting = {variable for name in used for variable in _variables(name)}
    ignored = [name for name in sorted(os.environ) if _is_ours(name) and name.upper() not in counting]
    return _Alone(**given, monday_url=BUNDLED), ignored + [str(FILE)] * FILE.exists()  # type: ignore[arg-type]


def _variables(name: str) -> list[str]:
    """The environment variables of a setting, the first one to be preferred."""
    alias = Settings.model_fields[name].validation_alias
    names = [str(one) for one in alias.choices] if isinstance(alias, AliasChoices) else [PREFIX + name]
    return list(dict.fromkeys(one.upper() for one in names))


def _is_ours(variable: str) -> bool:
    """Whether an environment variable is one for ordersync, known or unknown."""
    name = variable.upper()
    if OTHER_VARIABLES.fullmatch(name):
        return False
    return name.startswith(PREFIX) or any(
        name in _variables(alias) for alias in ("kafka_bootstrap_servers", "monday_token")
    )


def _unknown(name: str, known: Iterable[str]) -> str:
    # The prefix is left out: all names would be near to each other.
    bare = {one.upper().removeprefix(PREFIX): one for one in known}
    near = difflib.get_close_matches(name.upper().removeprefix(PREFIX), bare, 1)
    return f"{name} is no setting" + (f": is it {bare[near[0]]}?" if near else ": docs/operations.md lists them")


def _text_of(mistake: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in mistake["loc"])
    if mistake["type"] == "extra_forbidden":
        return f"{FILE}: " + _unknown(where, Settings.model_fields.keys() - set(SECRETS))
    return ": ".join(filter(None, (where, mistake["msg"].removeprefix("Value error, "))))


def _check_file() -> None:
    if not FILE.exists():
        return
    try:
        content = yaml.safe_load(FILE.read_text()) or {}
    except OSError as error:
        raise errors.Misconfigured(f"{FILE}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise errors.Misconfigured(f"{FILE} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise errors.Misconfigured(f"{FILE} has no settings: write `name: value`, one a line")
    secrets = [secret for secret in SECRETS if secret in content]
    if "PWD" in odbc_address.pairs(str(content.get("database", ""))):
        secrets.append("the database's password")
    if secrets:
        raise errors.Misconfigured(
            f"{FILE} has {secrets[0]}: remove it, a secret belongs in the environment or in its own file"
        )
