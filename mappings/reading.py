"""Reads a YAML or CSV file as plain data with the line of every part, so that a mistake has a line.

No function raises for a file: an unreadable part becomes a mistake in words, and reading goes on.
"""

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from schemas import texts

Location = tuple[str | int, ...]


@dataclass
class Document:
    """One file as plain data. `lines` maps each part to the line on which it starts."""

    name: str
    data: Any = None
    lines: dict[Location, int] = field(default_factory=dict)
    notes: list[tuple[int, str]] = field(default_factory=list)

    @property
    def mistakes(self) -> list[str]:
        """The mistakes, one line of text each, in the order of the file."""
        return [words for _, words in sorted(self.notes, key=lambda mistake: mistake[0])]

    def blame_line(self, line: int, words: str) -> None:
        """Note a mistake on a line; line 0 is the file as a whole."""
        self.notes.append((line, f"{self.name}:{line}: {words}" if line else f"{self.name}: {words}"))

    def blame(self, location: Location, words: str) -> None:
        """Note a mistake at a part of the file, or at the nearest part around it that exists."""
        nearest = location
        while nearest and nearest not in self.lines:
            nearest = nearest[:-1]
        line, where = self.lines.get(nearest, 0), dotted(location)
        if where:
            self.notes.append((line, f"{self.name}:{line} {where}: {words}"))
        else:
            self.blame_line(line, words)


def dotted(location: Location) -> str:
    """A location as text: ("columns", 3, "type") is columns[3].type."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).removeprefix(".")


def read_yaml(path: Path) -> Document:
    """Read a YAML file; `data` is None when it is not readable. A duplicate key is a mistake."""
    document = Document(path.name)
    text = _text(path, document)
    if text is None:
        return document
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        if mark is not None:
            document.lines[()] = mark.line + 1
        problem = getattr(error, "problem", None) or str(error)
        document.blame((), f"not readable as YAML ({problem}): correct this line or the one before")
        return document
    if node is None:
        document.blame((), "the file is empty: fill it in, or copy the bundled one")
        return document
    document.data = _plain(node, (), document)
    return document


def read_csv(path: Path, header: tuple[str, ...]) -> Document:
    """Read a CSV file with exactly this header; `data` is a list of (line, cell, ...), cells trimmed."""
    document = Document(path.name, data=[])
    text = _text(path, document)
    if text is None:
        return document
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        for number, cells in enumerate(filter(None, reader)):
            line = reader.line_num
            if number == 0:
                if tuple(cells) != header:
                    document.blame_line(line, f"the first line must be {','.join(header)}")
            elif len(cells) != len(header):
                words = f"{len(cells)} cells where {len(header)} belong: quote a cell that contains a comma"
                document.blame_line(line, words)
            else:
                document.data.append((line, *(texts.trimmed(cell) for cell in cells)))
    except csv.Error as error:
        document.blame_line(reader.line_num, f"not readable as CSV ({error}): correct this line")
    if not document.data and not document.notes:
        document.blame_line(0, "the file has no rows: fill it in, or copy the bundled one")
    return document


def _text(path: Path, document: Document) -> str | None:
    try:
        return path.read_text(encoding="utf-8-sig")  # spreadsheets write a byte order mark
    except FileNotFoundError:
        document.blame_line(0, f"there is no such file in {path.parent}: copy the bundled one")
    except (OSError, UnicodeDecodeError) as error:
        document.blame_line(0, f"not readable ({error}): save it as UTF-8 text")
    return None


def _plain(node: yaml.Node, location: Location, document: Document) -> Any:
    document.lines[location] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            here = (*location, str(key))
            if key_node.tag != "tag:yaml.org,2002:str":
                document.lines[here] = key_node.start_mark.line + 1
                document.blame(here, f"the key {key} is not text: put it in double quotes")
            elif key in data:
                document.lines[here] = key_node.start_mark.line + 1
                document.blame(here, "this key is given twice: remove one of the two")
            else:
                data[key] = _plain(value_node, here, document)
        return data
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child, (*location, index), document) for index, child in enumerate(node.value)]
    value = yaml.constructor.SafeConstructor().construct_object(node)
    return value if value is None or isinstance(value, str | int | float) else node.value
