"""Customer aliases, as the source writes them, and the canonical name of each customer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mappings import values
from schemas import mappings as shapes


def _key(name: str) -> str:
    return values.clean(name).replace("\N{NO-BREAK SPACE}", " ").casefold()


@dataclass(frozen=True)
class Customers:
    """customers.csv as a lookup by alias: the whole name must match, without case."""

    names: Mapping[str, str]
    rules: shapes.ValueRules

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]], rules: shapes.ValueRules) -> "Customers":
        """Build the lookup from (alias, canonical) pairs."""
        return cls({_key(alias): canonical for alias, canonical in pairs}, rules)

    def canonical(self, name: str | None) -> str:
        """The canonical name; a name that is not listed stays as written, trimmed; "" for a blank one."""
        written = values.plain(name, self.rules)
        return self.names.get(_key(written), written)


def mistakes(pairs: Iterable[tuple[int, str, str]]) -> Iterable[tuple[int, str]]:
    """The mistakes of (line, alias, canonical) triples, as (line, text)."""
    first: dict[str, tuple[int, str]] = {}
    listed = list(pairs)
    for line, alias, canonical in listed:
        if not alias or not canonical:
            yield (
                line,
                "an alias and its canonical name are both needed: fill in the blank one or remove the line",
            )
            continue
        earlier, _ = first.setdefault(_key(alias), (line, canonical))
        if earlier != line:
            yield line, f"{alias!r} is listed already on line {earlier}: remove one of the two"
    reported: set[str] = set()
    for line, _, canonical in listed:
        as_alias = first.get(_key(canonical))
        if as_alias is not None and as_alias[1] != canonical and canonical not in reported:
            reported.add(canonical)
            yield (
                line,
                (
                    f"the canonical name {canonical!r} is itself an alias of {as_alias[1]!r} (line {as_alias[0]}): "
                    "point both at one name"
                ),
            )
