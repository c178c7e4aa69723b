"""docker-compose.yml, Dockerfile and deploy/: Docker is not needed, so everything that can be known without it is."""

import fnmatch
import json
import re
import ssl
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]
from typer import testing

from connectors.database import odbc_driver
from connectors.kafka import embedded_fetch
from connectors.monday import budget as budgets
from connectors.simulator import __main__ as simulator
from schemas import detection
from streams import resources, settings
from streams.cli import main as cli
from streams.commands import setup
from streams.delivery import health
from streams.diagnosis import heartbeat
from streams.runtime import metrics, passes

ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if service["image"].startswith("ordersync:")}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINNED = re.compile(
    r"^[\w./-]+:v?\d+\.\d+(\.\d+)?[\w.-]*$|^mcr\.microsoft\.com/mssql/server:\d{4}-CU\d+-ubuntu-[\d.]+$"
)
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::-([^}]*))?\}")


def told(service: dict[str, Any]) -> dict[str, str]:
    """A service's environment as Compose gives it when nothing is set outside."""
    return {name: VARIABLE.sub(lambda match: match[2], value) for name, value in service.get("environment", {}).items()}


def texts(node: Any) -> list[str]:
    """Every text of a tree."""
    if isinstance(node, dict):
        return [text for key, value in node.items() for text in (str(key), *texts(value))]
    return [text for one in node for text in texts(one)] if isinstance(node, list) else [str(node)]


def variables() -> dict[str, str]:
    """Every environment variable that a setting has, with the setting's name."""
    found: dict[str, str] = {}
    for name, setting in settings.Settings.model_fields.items():
        alias = setting.validation_alias
        names = [f"ORDERSYNC_{name.upper()}"] if alias is None else [str(one) for one in alias.choices]  # type: ignore[union-attr]
        found |= {one: name for one in names if one.isupper()}
    return found


def test_the_services_are_the_whole_set_up() -> None:
    profiles = {name: tuple(service.get("profiles", [])) for name, service in SERVICES.items()}
    assert profiles == {
        **dict.fromkeys(("kafka", "certificates", "sqlserver", "database", "postgres"), ()),
        **dict.fromkeys(("setup", "worker", "poller"), ()),
        "simulator": ("simulator",),
        "prometheus": ("monitoring",),
        "grafana": ("monitoring",),
    }


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_is_pinned_healthy_and_on_loopback(name: str) -> None:
    service = SERVICES[name]
    assert PINNED.match(service["image"]), f"{service['image']} is not pinned"
    assert all(re.match(r"^127\.0\.0\.1:\d+:\d+$", port) for port in service.get("ports", []))
    awaited = [
        other["depends_on"].get(name, {}).get("condition") for other in SERVICES.values() if "depends_on" in other
    ]
    ends = "service_completed_successfully" in awaited
    if ends:
        assert "restart" not in service
    else:
        assert service["restart"] == "unless-stopped"
        # The image of ours has one of its own, which asks the worker's page.
        assert name == "worker" or service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    for other, how in service.get("depends_on", {}).items():
        assert how["condition"] in ("service_healthy", "service_completed_successfully")
        # What a profile leaves out must not be waited for by what is always there.
        assert how.get("required", True) != bool(SERVICES[other].get("profiles")) or service.get("profiles")


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_what_a_service_mounts_exists_and_what_it_keeps_is_a_volume(name: str) -> None:
    for mount in SERVICES[name]["volumes"]:
        source = mount.split(":")[0]
        assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], mount


def test_no_secret_has_a_default_and_none_is_in_an_environment() -> None:
    assert all(list(secret) == ["environment"] for secret in COMPOSE["secrets"].values())
    sources = {secret["environment"] for secret in COMPOSE["secrets"].values()}
    for name, service in SERVICES.items():
        assert set(service.get("secrets", [])) <= COMPOSE["secrets"].keys()
        for path in re.findall(r"/run/secrets/(\w+)", " ".join(texts(service))):
            assert path in service["secrets"], f"{name} has no secret {path}"
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|TOKEN|SECRET", variable):
                assert value.startswith("/run/secrets/"), f"{name}: {variable}"
    assert not sources & {match[1] for text in texts(SERVICES) for match in VARIABLE.finditer(text)}
    # Compose asks for all variables of the file, whichever service is started: none may be required that way.
    assert not [text for text in texts(COMPOSE) if ":?" in text]


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_variable_is_a_setting_and_every_value_fits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = variables()
    for variable in list(known):
        monkeypatch.delenv(variable, raising=False)
    given = told(SERVICES[name])
    # OpenSSL's own.
    given.pop(ssl.get_default_verify_paths().openssl_cafile_env, None)
    for variable, value in given.items():
        assert variable in known, f"{variable} is no setting"
        monkeypatch.setenv(variable, value)
    found = settings.load()
    for variable, value in given.items():
        actual = getattr(found, known[variable])
        assert actual == type(actual)(value)
    for text in texts(SERVICES[name]) + re.findall(r"ENV .*", DOCKERFILE):
        for variable in re.findall(r"\b(?:ORDERSYNC|MONDAY)_[A-Z_]+\b|\bKAFKA_BOOTSTRAP_SERVERS\b", text):
            assert variable in known, f"{variable} is no setting"


def test_the_bundled_board_may_be_named_as_the_board(monkeypatch: pytest.MonkeyPatch) -> None:
    [url] = re.findall(r"ORDERSYNC_MONDAY_URL=(\S+)", (ROOT / "docker-compose.yml").read_text())
    monkeypatch.setenv("ORDERSYNC_MONDAY_URL", url)
    assert settings.load().monday_url == url
    service = SERVICES["simulator"]
    chosen = simulator.arguments(service["command"])
    assert url == f"http://simulator:{chosen.port}/v2"
    assert [port.rpartition(":")[2] for port in service["ports"]] == [str(chosen.port)]
    assert f":{service['entrypoint'][1]}:ro" in " ".join(service["volumes"])


@pytest.mark.parametrize("name", ["setup", "worker", "poller"])
def test_the_command_exists_with_its_options(name: str) -> None:
    words = [VARIABLE.sub(lambda match: match[2], word) for word in SERVICES[name]["command"]]
    # Options are read, and refused, before help is given.
    shown = testing.CliRunner().invoke(cli.app, [*words, "--help"])
    assert shown.exit_code == 0, shown.output
    assert f" {next(word for word in words if word.isalpha())} " in shown.output


def test_the_broker_is_the_version_that_is_embedded() -> None:
    version = SERVICES["kafka"]["image"].rpartition(":")[2]
    assert embedded_fetch.COORDINATES[0].endswith(f":{version}")


def test_the_brokers_variables_are_settings_that_kafka_knows(broker: str) -> None:
    client = AdminClient({"bootstrap.servers": broker})
    [future] = client.describe_configs([ConfigResource(ResourceType.BROKER, "1")]).values()
    known = set(future.result(60))
    given = SERVICES["kafka"]["environment"]
    names = {name.removeprefix("KAFKA_").lower().replace("_", ".") for name in given}
    assert names <= known, names - known
    listeners = re.findall(r"(\w+)://", given["KAFKA_LISTENERS"])
    assert re.findall(r"(\w+):\w+", given["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"]) == listeners
    assert told(SERVICES["worker"])["KAFKA_BOOTSTRAP_SERVERS"] in given["KAFKA_ADVERTISED_LISTENERS"]


def test_the_image_holds_every_package_is_small_and_runs_as_nobody_in_particular() -> None:
    stages = DOCKERFILE.split("FROM ")[1:]
    assert len(stages) == 2
    assert all(re.match(r"python:3\.11\.\d+-slim", stage) for stage in stages)
    copied = [word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", stages[0], re.M) for word in line.split()]
    for package in {name.split(".")[0] for name in PROJECT["tool"]["setuptools"]["packages"]}:
        assert package in copied
    assert {"pyproject.toml", "constraints.txt", PROJECT["project"]["readme"]} <= set(copied)
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] not in ("#", "")]
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, source
        assert not fnmatch.fnmatch(source, ".*")
    assert "apt-get" not in stages[0]
    assert not re.search(r"gcc|build-essential|-dev\b", DOCKERFILE)
    [installed] = re.findall(r"apt-get install --yes --no-install-recommends ([\w .-]+)", stages[1])
    assert tuple(installed.split()) == odbc_driver.DEBIAN
    assert stages[1].count("apt-get install") == 1
    assert "&& rm -rf /var/lib/apt/lists/*" in stages[1]
    [extra] = re.findall(r"'\.\[(\w+)\]'$", stages[0], re.M)
    assert "mssql-python-odbc" in " ".join(PROJECT["project"]["optional-dependencies"][extra])
    [user] = re.findall(r"^USER (\S+)$", stages[1], re.M)
    assert user.isdigit()
    assert int(user) > 0
    assert f"--uid {user}" in stages[1]
    [entry] = re.findall(r"^ENTRYPOINT (.*)$", stages[1], re.M)
    assert json.loads(entry) == list(PROJECT["project"]["scripts"])
    port = told(SERVICES["worker"])["ORDERSYNC_WEB_PORT"]
    assert f":{port}/live" in stages[1]
    assert f"EXPOSE {port}" in stages[1]
    assert SERVICES["worker"]["image"] == f"ordersync:{PROJECT['project']['version']}"


def names_told(folder: Path, broker: str) -> set[str]:
    """Every name that /metrics has, once there was a pass."""
    parts = resources.Resources(settings.Settings(home=folder, topic_prefix=f"{folder.name}-"), bootstrap=broker)
    parts.db.apply_schema(resources.utcnow())
    parts.ensure_topics()
    setup.fill_with_samples(parts, orders=69, seed=1)
    parts.detector(passes.publisher(parts)).run(detection.Filters(limit=2))
    state = health.Health()
    reporter = heartbeat.Reporter(
        parts.state,
        state,
        parts.noise,
        name="worker-1",
        bootstrap=broker,
        budget=budgets.Budget(parts.limits),
        now=resources.utcnow,
    )
    page = metrics.of_worker(parts, state, reporter, "group").render().decode()
    parts.close()
    return set(re.findall(r"^# TYPE (\w+)", page, re.M))


def test_dashboards_and_rules_ask_for_what_the_worker_tells(broker: str, tmp_path: Path) -> None:
    provisioning = ROOT / "deploy/grafana/provisioning"
    [source] = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())["datasources"]
    [provider] = yaml.safe_load((provisioning / "dashboards/ordersync.yml").read_text())["providers"]
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in SERVICES["grafana"]["volumes"]
    assert source["url"] == f"http://prometheus:{SERVICES['prometheus']['ports'][0].rpartition(':')[2]}"
    expressions = []
    for path in sorted((ROOT / "deploy/grafana/dashboards").glob("*.json")):
        board = json.loads(path.read_text())
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"]) > 10
        assert {panel["datasource"]["uid"] for panel in board["panels"]} == {source["uid"]}
        expressions += [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    expressions += [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    asked = {name for expression in expressions for name in re.findall(r"ordersync_\w+", expression)}
    assert len(asked) > 15
    assert asked <= names_told(tmp_path, broker)


def test_prometheus_asks_the_workers_page() -> None:
    told_it = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    [job] = told_it["scrape_configs"]
    [targets] = [one["targets"] for one in job["static_configs"]]
    given = told(SERVICES["worker"])
    assert targets == [f"worker:{given['ORDERSYNC_WEB_PORT']}"]
    assert given["ORDERSYNC_WEB_BIND"] == "0.0.0.0"
    assert all((ROOT / "deploy/prometheus" / name).exists() for name in told_it["rule_files"])
