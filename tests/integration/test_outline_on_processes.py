"""Users change labels and groups of the board while a real worker runs: no restart, one mutation, nothing in vain."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mappings
from tests.integration.test_repair_commands import Plant, Until, planted
from tests.support.factories import identity

CUSTOMERS = {"GREYSON CLOTHIERS": 12, "TRACKSMITH": 8}
SHOWN = "Spring!"


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory, broker: str, until: Until) -> Iterator[Plant]:
    """The bundled mapping: the source owns the titles of groups."""
    with planted(tmp_path_factory.mktemp("home"), broker, until, CUSTOMERS) as made:
        yield made


@pytest.fixture
def plant_of_people(tmp_path: Path, broker: str, until: Until) -> Iterator[Plant]:
    """The same mapping, but people own the titles of groups."""
    folder = tmp_path / "mappings"
    shutil.copytree(Path(mappings.__file__).parent, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    board = folder / "board.yaml"
    text = board.read_text()
    assert text.count('  "owner": "source"\n') == 1
    board.write_text(text.replace('  "owner": "source"\n', '  "owner": "people"\n'))
    with planted(tmp_path / "home", broker, until, CUSTOMERS, folder) as made:
        yield made


def edit(plant: Plant, **fields: Any) -> None:
    plant.admin("edit", json.dumps(fields).encode())


def items(plant: Plant) -> list[dict[str, Any]]:
    return [item for item in plant.admin("board")["items"] if item["state"] == "active"]


def titles(plant: Plant) -> list[str]:
    return [group["title"] for group in plant.admin("board")["groups"]]


def group_of(plant: Plant, number: int) -> str:
    key = plant.parts.mappings.board.key.id
    (item,) = [one for one in items(plant) if one["columns"].get(key) == identity(number)]
    return str(item["group"])


def change(plant: Plant, number: int, column: str, value: str) -> None:
    """The business changes a cell, and a pass detects it."""
    with plant.parts.db.write() as session:
        session.execute(f"UPDATE ORDERS_UNIFIED SET [{column}] = ? WHERE record_uuid = ?", (value, identity(number)))
    assert plant.type("detect").exit_code == 0


def verified(plant: Plant, *options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(plant.type("verify", "--board", "--json", *options).stdout)
    return found


def test_a_label_made_as_the_message_advises_needs_no_restart(plant: Plant) -> None:
    change(plant, 1, "UNIT OF MEASURE", "BUSHEL")
    (failed,) = plant.until(plant.parts.failures.waiting, "the label is refused")
    assert failed["error_code"] == "LABEL"
    unit = next(one.id for one in plant.parts.mappings.board.columns if one.source == "UNIT OF MEASURE")
    edit(plant, action="add_label", column_id=unit, label="BUSHEL")
    retried = plant.type("retry", "--all")
    assert retried.exit_code == 0, retried.output
    plant.until(lambda: not plant.parts.failures.waiting(), "the retry arrives")
    plant.settles()
    assert {item["columns"][unit]["label"] for item in items(plant) if unit in item["columns"]} >= {"BUSHEL"}
    assert verified(plant)["sound"]


def test_a_renamed_group_is_one_difference_and_gets_its_name_back_with_one_mutation(plant: Plant) -> None:
    name = group_of(plant, 1)
    edit(plant, action="rename_group", group=name, title=SHOWN)
    found = plant.type("verify", "--board")
    assert f"group {name} is called {SHOWN} on the board: {CUSTOMERS['GREYSON CLOTHIERS']} items" in found.stdout
    assert (found.exit_code, "orders differ" in found.stdout) == (1, False)
    before = plant.admin("stats")["mutations"]
    fixed = verified(plant, "--fix", "--wait")
    assert (fixed["sound"], fixed["emitted"], fixed["board"]["groups"]) == (True, 1, [])
    assert plant.admin("stats")["mutations"] == before + 1
    assert (titles(plant).count(name), SHOWN in titles(plant)) == (1, False)


def test_a_title_of_people_is_kept_and_counts_as_equal(plant_of_people: Plant) -> None:
    plant = plant_of_people
    name = group_of(plant, 1)
    edit(plant, action="rename_group", group=name, title=SHOWN)
    before = plant.admin("stats")["mutations"]
    assert verified(plant)["sound"]
    assert verified(plant, "--fix", "--wait")["emitted"] == 0
    replayed = plant.type("replay", "--customer", "greyson", "--from-beginning")
    assert replayed.exit_code == 0, replayed.output
    plant.settles()
    assert plant.admin("stats")["mutations"] == before
    change(plant, 1, "CUSTOMER STYLE", "ANOTHER STYLE")
    plant.settles()
    assert group_of(plant, 1) == SHOWN
    assert name not in titles(plant)
    assert verified(plant)["sound"]
