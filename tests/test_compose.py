"""docker-compose.yml: it reads, its images are pinned, and nothing is reachable from outside this machine."""

from pathlib import Path
from typing import Any

import pytest
import yaml

COMPOSE = Path(__file__).parent.parent / "docker-compose.yml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_is_pinned_healthy_and_on_loopback(name: str) -> None:
    service = SERVICES[name]
    _, _, tag = service["image"].rpartition(":")
    assert any(part.isdigit() for part in tag.split(".")), f"{service['image']} is not pinned"
    assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", []))
    assert service["healthcheck"]["test"]


def test_the_broker_is_the_version_that_is_embedded() -> None:
    from connectors import kafka_fetch

    version = SERVICES["kafka"]["image"].rpartition(":")[2]
    assert version in Path(kafka_fetch.__file__).read_text()
