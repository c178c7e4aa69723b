"""Every statement file has one user: `connectors/tables/X.py` loads `sql/X.sql`, and no block of a file is unused."""

import ast
import re
from collections.abc import Iterator, Set
from pathlib import Path

import pytest

import sql

ROOT = Path(__file__).parents[3]
FOLDERS = ("connectors", "mappings", "schemas", "sql", "streams")
# The statement files that no table has, with the module or package that loads each.
ELSEWHERE = {
    "archive": "connectors/archive/snapshots.py",
    "catalog": "connectors/database",
    "postgresql": "connectors/archive/postgres.py",
}


def user(file: str) -> str:
    """The only module or package that may load a statement file."""
    return ELSEWHERE.get(file, f"connectors/tables/{file}.py")


def modules(place: str) -> list[Path]:
    """The modules of a folder, or the one module."""
    path = ROOT / place
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def loads(tree: ast.AST) -> Iterator[str]:
    """The statement files that a module loads; the file of a load that is no literal is called "?"."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="sql"), attr="load"), args=[ast.Constant(value=str(file)), *_]
            ):
                yield file
            case ast.Call(func=ast.Attribute(value=ast.Name(id="sql"), attr="load")):
                yield "?"


def used(tree: ast.AST, names: Set[str]) -> set[str]:
    """The block names that stand in a module as a string, or that an f-string builds from its strings.

    A string that indexes anything but statements is the name of a column, not of a block.
    """
    columns = {
        id(node.slice)
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript) and not re.search(r"STATEMENTS|catalog", ast.unparse(node.value))
    }
    strings = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in columns
    }
    words = "|".join(re.escape(text) for text in strings if re.fullmatch(r"\w*", text))
    patterns = [
        "".join(
            re.escape(str(part.value)) if isinstance(part, ast.Constant) else f"(?:{words})" for part in node.values
        )
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
    ]
    return {name for name in names if name in strings or any(re.fullmatch(pattern, name) for pattern in patterns)}


def test_every_statement_file_has_its_one_user() -> None:
    users: dict[str, set[str]] = {}
    for path in (path for folder in FOLDERS for path in modules(folder)):
        module = path.relative_to(ROOT).as_posix()
        package = next((place for place in ELSEWHERE.values() if module.startswith(f"{place}/")), module)
        for file in loads(parsed(path)):
            users.setdefault(file, set()).add(package)
    assert users == {file: {user(file)} for file in sql.files()}


def test_no_block_is_unused() -> None:
    unused = []
    for file in sql.files():
        names = {block.name for block in sql.blocks(file)}
        unused += [
            f"{file}.sql: {name}" for name in names.difference(*(used(parsed(p), names) for p in modules(user(file))))
        ]
    assert unused == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('STATEMENTS["a"]', {"a"}),
        ('row["a"]', set()),
        ('NAMES = ("a", "b_c")', {"a", "b_c"}),
        ('name = f"a{end}"', {"a"}),
        ('end = "_c"\nname = f"b{end}"', {"b_c"}),
        ('ways = ("b", "c")\nname = f"{one}_{other}"', {"b_c"}),
        ('name = f"b_{end}"', set()),
    ],
)
def test_a_use_is_a_string_of_the_module(text: str, found: set[str]) -> None:
    assert used(ast.parse(text), {"a", "b_c"}) == found


def test_every_load_is_found() -> None:
    assert list(loads(ast.parse('sql.load("a")\nsql.load("b", "sqlite")\nsql.load(name)'))) == ["a", "b", "?"]
