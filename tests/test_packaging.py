"""This is an application with generic folder names: what is installed, and that nobody else owns the names."""

import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOLDERS = ("streams", "connectors", "schemas", "sql", "mappings")


def test_every_package_is_listed_and_no_test_is() -> None:
    found = {
        ".".join(path.parent.relative_to(ROOT).parts) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")
    }
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == found


def test_every_data_file_is_packaged() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if path.is_dir() or path.suffix in (".py", ".pyc"):
                continue
            owner = path.parent
            while not (owner / "__init__.py").exists():
                owner = owner.parent
            package = ".".join(owner.relative_to(ROOT).parts)
            inside = path.relative_to(owner)
            globs = patterns.get("*", []) + patterns.get(package, [])
            assert any(inside.match(glob) and len(inside.parts) == len(Path(glob).parts) for glob in globs), path


def test_nobody_else_owns_our_top_level_names() -> None:
    owners = metadata.packages_distributions()
    for folder in FOLDERS:
        assert set(owners.get(folder, ["ordersync"])) == {"ordersync"}, f"{folder} belongs to {owners[folder]} too"


def test_it_can_never_be_uploaded_by_mistake() -> None:
    assert "Private :: Do Not Upload" in PROJECT["project"]["classifiers"]


def test_the_locked_versions_fit_the_declared_bounds() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]
    locked = {name.lower().replace("_", "-"): version for name, version in (line.split("==") for line in lines)}
    extras = PROJECT["project"]["optional-dependencies"].values()
    for text in [*PROJECT["project"]["dependencies"], *(one for extra in extras for one in extra)]:
        wanted = Requirement(text)
        version = locked[wanted.name.lower().replace("_", "-")]
        assert wanted.specifier.contains(version), f"{text} does not allow {version}"
