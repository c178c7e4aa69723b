"""Every setting, its environment variable and its default: one frozen model.

Read from the environment (`ORDERSYNC_…`), then from `ordersync.yaml` in the working directory. Secrets come from
the environment or from a file that a setting names, never from the YAML file, and are never printed.
"""

import json
import ssl
from pathlib import Path
from typing import Literal, Self

import pydantic_settings
import yaml
from pydantic import AliasChoices, Field, SecretStr, ValidationError, model_validator

from connectors import errors
from connectors.database import odbc_address

FILE = Path("ordersync.yaml")
SECRETS = ("monday_token", "kafka_password", "database_password", "archive")
# Plain http is for the bundled board alone: on this machine, or under its name in docker-compose.yml.
OURS = ("http://127.0.0.1:", "http://localhost:", "http://simulator:")


class Settings(pydantic_settings.BaseSettings):
    """All that may differ between two set-ups. Durations are seconds."""

    model_config = pydantic_settings.SettingsConfigDict(
        env_prefix="ORDERSYNC_", frozen=True, extra="forbid", yaml_file=FILE, populate_by_name=True
    )

    home: Path = Field(Path(".ordersync"), description="folder of the embedded database, broker and board")
    mappings: Path | None = Field(None, description="folder of board.yaml and its tables; default: the bundled one")

    database: str = Field(
        "",
        repr=False,
        description="path of a SQLite file, or a SQL Server: mssql://user@host:1433/database or an ODBC string "
        "(connectors/database/odbc_address.py); default: orders.db in the home folder",
    )
    database_password: SecretStr = SecretStr("")
    database_password_file: Path | None = Field(None, description="file that holds the password, instead")

    archive: SecretStr = Field(
        SecretStr(""), description="postgresql:// address of the snapshot archive; default: the embedded database"
    )
    archive_password_file: Path | None = Field(
        None, description="file that holds its password, if the address does not"
    )
    archive_days: int = Field(30, ge=1, description="how far back every customer can be rolled back")
    archive_snapshots: int = Field(100, ge=1, description="kept of a customer: dense of late, sparse long ago")

    kafka_bootstrap_servers: str = Field(
        "",
        validation_alias=AliasChoices("KAFKA_BOOTSTRAP_SERVERS", "kafka_bootstrap_servers"),
        description="an Apache Kafka; default: the embedded one",
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_username: str = ""
    kafka_password: SecretStr = SecretStr("")
    kafka_password_file: Path | None = Field(None, description="file that holds the password, instead")
    kafka_ca_file: Path | None = Field(None, description="PEM file of the only CA to trust; default: the system's")
    kafka_replication: int = Field(1, ge=1, description="replicas of each topic: 3 on a cluster that may lose a broker")
    topic_prefix: str = Field("", pattern=r"^[A-Za-z0-9._-]*$")
    group: str = Field("ordersync", min_length=1, description="consumer group of the workers")

    monday_url: str = Field("", description="the API, https://api.monday.com/v2; default: the bundled simulator")
    monday_token: SecretStr = Field(
        SecretStr(""),
        validation_alias=AliasChoices("MONDAY_API_TOKEN", "ORDERSYNC_MONDAY_TOKEN", "monday_token"),
    )
    monday_token_file: Path | None = None
    monday_token_tier: Literal["personal", "app", "trial"] = "personal"
    monday_plan: Literal["standard", "pro", "enterprise"] = "standard"
    monday_minute: float = Field(60.0, gt=0, description="length of the API's minute; less only with the simulator")
    monday_limits: dict[str, float] = Field(
        {}, description="what differs from the published limits, by name (connectors/monday/limits.py), as JSON"
    )
    batch_size: int = Field(25, ge=1, le=100, description="mutations in one request, at most")

    detect_hash: Literal["server", "client"] | None = Field(
        None, description="who finds the rows that differ; default: the server on SQL Server, the client on SQLite"
    )
    poll_every: float = Field(10.0, gt=0, description="pause between two passes of the poller")
    window_minutes: float = Field(10.0, gt=0, description="minutes' worth of API budget that may be unsettled")
    guard_deleted: float = Field(0.20, gt=0, le=1, description="share of rows deleted that stops a pass")
    guard_changed: float = Field(0.50, gt=0, le=1, description="share of rows changed that stops a pass")
    guard_rows: int = Field(50, ge=1, description="the guard never stops a pass for fewer rows than this")

    retry_first: float = Field(60.0, gt=0, description="pause before the first retry; four times as long each time")
    retry_tries: int = Field(5, ge=0)
    keep_days: int = Field(30, ge=2, description="how long staged versions and requests that have ended are kept")
    verify_every: float = Field(60.0, gt=0, description="pause between two looks of a worker at how every row stands")
    verify_board_every: float = Field(
        0.0, ge=0, description="pause between two comparisons of the whole board by the worker that writes; 0: never"
    )
    lease_seconds: float = Field(10.0, gt=0, description="life of the writer's lease")
    worker: str = Field("worker-1", pattern=r"^[A-Za-z0-9._-]+$", description="unique, stable name of the worker")
    web_port: int = Field(6066, ge=0, le=65535, description="/health and /metrics; another free one if it is taken")
    web_bind: str = Field("127.0.0.1", min_length=1, description="address of the pages, which ask for no login")

    @model_validator(mode="after")
    def _https(self) -> Self:
        bundled = self.monday_url.startswith(OURS)
        if self.monday_url and not bundled and not self.monday_url.startswith("https://"):
            raise ValueError("monday_url must be https: a token never travels in the clear")
        if self.monday_url and not bundled and self.monday_minute != 60:
            raise ValueError("monday_minute is 60 with the real API")
        return self

    @model_validator(mode="after")
    def _can_hash(self) -> Self:
        if self.detect_hash == "server" and not odbc_address.is_server(self.database):
            raise ValueError("detect_hash is client with SQLite, which hashes nothing: leave it out")
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
        """These settings as variables for a child process; secrets stay where they are, it inherits them."""
        given = self.model_dump(mode="json", exclude=set(SECRETS), exclude_none=True)
        return {
            "KAFKA_BOOTSTRAP_SERVERS" if name == "kafka_bootstrap_servers" else f"ORDERSYNC_{name.upper()}": (
                json.dumps(value) if isinstance(value, dict) else str(value)
            )
            for name, value in given.items()
        }

    @property
    def server(self) -> odbc_address.Address | None:
        """The SQL Server of the tables; None for the embedded database."""
        if not odbc_address.is_server(self.database):
            return None
        password = _out_of("database_password_file", self.database_password_file) or self.database_password
        return odbc_address.parse(self.database, password.get_secret_value())

    @property
    def hashes_on_server(self) -> bool:
        """Whether detection is pushed down to the database."""
        return odbc_address.is_server(self.database) and self.detect_hash != "client"

    @property
    def database_path(self) -> Path:
        """Where the embedded database lives."""
        return Path(self.database) if self.database else self.home / "orders.db"

    def token(self) -> SecretStr:
        """The API token: from its own variable, or from the file that a setting names."""
        return _out_of("monday_token_file", self.monday_token_file) or self.monday_token

    def archive_password(self) -> SecretStr:
        """The archive's password, if it is in a file; else its address holds it."""
        return _out_of("archive_password_file", self.archive_password_file) or SecretStr("")

    def password(self) -> SecretStr:
        """Kafka's password, from either place."""
        return _out_of("kafka_password_file", self.kafka_password_file) or self.kafka_password


def _out_of(name: str, file: Path | None) -> SecretStr | None:
    """The secret in the file that the setting `name` names, if it names one."""
    if file is None:
        return None
    try:
        return SecretStr(file.read_text().strip())
    except OSError as error:
        raise errors.Misconfigured(f"{name} {file}: {error.strerror}. Name a file that can be read") from None


def load(**overrides: object) -> Settings:
    """The settings of this process. Raises Misconfigured with every mistake in one readable message."""
    _check_file()
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        told = [
            (".".join(str(part) for part in found["loc"]), found["msg"].removeprefix("Value error, "))
            for found in error.errors(include_input=False, include_url=False)
        ]
        raise errors.Misconfigured("settings: " + "; ".join(": ".join(filter(None, one)) for one in told)) from None


def _check_file() -> None:
    if not FILE.exists():
        return
    try:
        found = yaml.safe_load(FILE.read_text()) or {}
    except OSError as error:
        raise errors.Misconfigured(f"{FILE}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise errors.Misconfigured(f"{FILE} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise errors.Misconfigured(f"{FILE} holds no settings: write `name: value`, one a line")
    held = [secret for secret in SECRETS if secret in found]
    if "PWD" in odbc_address.pairs(str(found.get("database", ""))):
        held.append("the database's password")
    if held:
        raise errors.Misconfigured(
            f"{FILE} holds {held[0]}: a secret belongs in the environment or in a file of its own, take it out"
        )


def kafka_security(s: Settings) -> dict[str, str]:
    """librdkafka's security settings, out of ours. A broker's certificate is always verified, its host name too.

    Raises Misconfigured when the file of the password or of the CA cannot be used.
    """
    if s.kafka_security_protocol == "PLAINTEXT":
        return {}
    found: dict[str, str] = {"security.protocol": s.kafka_security_protocol}
    if s.kafka_security_protocol.startswith("SASL"):
        found |= {
            "sasl.mechanism": s.kafka_sasl_mechanism,
            "sasl.username": s.kafka_username,
            "sasl.password": s.password().get_secret_value(),
        }
    if s.kafka_security_protocol.endswith("SSL"):
        found |= {"enable.ssl.certificate.verification": "true", "ssl.endpoint.identification.algorithm": "https"}
        if s.kafka_ca_file is not None:
            kafka_tls(s)
            found["ssl.ca.location"] = str(s.kafka_ca_file)
    return found


def kafka_tls(s: Settings) -> ssl.SSLContext:
    """The same for Python's own TLS: the CA that a setting names, or the system's. Raises Misconfigured."""
    try:
        return ssl.create_default_context(cafile=s.kafka_ca_file)
    except OSError as error:  # A file that holds no certificate is one too (ssl.SSLError).
        raise errors.Misconfigured(
            f"kafka_ca_file {s.kafka_ca_file}: {error.strerror or error}. Name a PEM file that holds the CA"
        ) from None
