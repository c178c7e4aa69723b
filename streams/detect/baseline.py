"""The baseline: what the snapshot rows were compared and converted with, and how the source and the mapping of now
differ from it.
"""

from collections.abc import Sequence

from mappings import columns, fingerprint, hashing, sizes
from mappings.loading import Mappings
from schemas import detection
from schemas import mappings as shapes
from streams.detect import guard

# The named value of the baseline.
NAME = "detect.baseline"

Live = Sequence[tuple[str, str]]

# Base types, of any engine, whose values are no text, number or date.
_OPAQUE = frozenset(
    {
        "binary", "blob", "geography", "geometry", "hierarchyid", "image", "rowversion", "sql_variant", "timestamp",
        "varbinary",
    }
)  # fmt: skip


def today(live: Live, mappings: Mappings) -> detection.Baseline:
    """The baseline of the source's live columns (name and SQL type, in table order) and this mapping.

    Raises Stop when a column is missing without which no row can be compared: a marker of the sizes, or one that the
    mapping reads.
    """
    try:
        size_columns = sizes.size_columns(live, mappings.board.sizes)
    except shapes.MappingError as error:
        raise guard.Stop(f"ORDERS_UNIFIED has lost its sizes: {error}") from error
    watched, types = columns.watched(mappings, size_columns), dict(live)
    if lost := [name for name in watched if name not in types]:
        raise guard.Stop(
            f"ORDERS_UNIFIED has lost {guard.listed(lost)}, which board.yaml reads: bring it back, or correct "
            "board.yaml"
        )
    return detection.Baseline(
        scheme=hashing.SCHEME,
        columns=watched,
        types=tuple(_base(types[name]) for name in watched),
        sizes=size_columns,
        mapping=fingerprint.fingerprint(mappings),
    )


def lost(former: detection.Baseline, now: detection.Baseline, live: Live, mappings: Mappings) -> list[str]:
    """One sentence for each column of the former baseline that does not serve any more, whatever its rows hold."""
    types, decided = dict(live), mappings.board.sizes.ignore
    former_sizes = _former_sizes(former, mappings)
    found = []
    for name in former.columns:
        if name not in types:
            found.append(f"[{name}] is not in ORDERS_UNIFIED any more")
        elif name in former_sizes and name not in now.sizes and name not in decided:
            sql_type = types[name]
            if sizes.is_integer(sql_type):
                found.append(
                    f'[{name}] lies outside the range of sizes now: name it in "also" or "ignore" of board.yaml'
                )
            else:
                found.append(f"[{name}] is {sql_type} now, and a size is an integer column")
        elif name in now.columns and _base(types[name]) in _OPAQUE:
            found.append(f"[{name}] is {types[name]} now, which holds no text, number or date")
    return found


def retyped(former: detection.Baseline, now: detection.Baseline) -> list[str]:
    """One sentence for each column whose type changed: its cells may be written in another form."""
    before = dict(zip(former.columns, former.types, strict=False))
    return [
        f"[{name}] was {before[name]} and is {sql_type} now"
        for name, sql_type in zip(now.columns, now.types, strict=True)
        if before.get(name, sql_type) != sql_type
    ]


def _former_sizes(former: detection.Baseline, mappings: Mappings) -> frozenset[str]:
    """The sizes of a baseline; one of an earlier version has them between the two markers of the mapping."""
    if former.sizes:
        return frozenset(former.sizes)
    names, markers = list(former.columns), mappings.board.sizes
    start = names.index(markers.after) + 1 if markers.after in names else 0
    end = names.index(markers.total) if markers.total in names else start
    mapped = {column.source for column in mappings.board.columns}
    return frozenset(name for name in names[start:end] if name not in mapped)


def _base(sql_type: str) -> str:
    """The type without its length: a longer text column holds the same texts."""
    return sql_type.partition("(")[0].strip().casefold()
