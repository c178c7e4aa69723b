"""The one name of a customer, out of the many that the source writes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mappings import values
from schemas import mappings as shapes


def _key(name: str) -> str:
    return values.clean(name).replace("\N{NO-BREAK SPACE}", " ").casefold()


@dataclass(frozen=True)
class Customers:
    """customers.csv, ready for look-ups: the whole name decides, case aside, never a part of it."""

    names: Mapping[str, str]
    rules: shapes.ValueRules

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]], rules: shapes.ValueRules) -> "Customers":
        """Out of (alias, canonical) pairs."""
        return cls({_key(alias): canonical for alias, canonical in pairs}, rules)

    def canonical(self, name: str | None) -> str:
        """The canonical name; a name that nobody listed stays as written, trimmed; "" when it is blank."""
        written = values.plain(name, self.rules)
        return self.names.get(_key(written), written)


def mistakes(pairs: Iterable[tuple[int, str, str]]) -> Iterable[tuple[int, str]]:
    """What is wrong with (line, alias, canonical) triples, as (line, words)."""
    first: dict[str, tuple[int, str]] = {}
    listed = list(pairs)
    for line, alias, canonical in listed:
        if not alias or not canonical:
            yield (
                line,
                "an alias and its canonical name are both needed: fill in the blank one or remove the line",
            )
            continue
        seen, _ = first.setdefault(_key(alias), (line, canonical))
        if seen != line:
            yield line, f"{alias!r} is listed already on line {seen}: remove one of the two"
    told: set[str] = set()
    for line, _, canonical in listed:
        again = first.get(_key(canonical))
        if again is not None and again[1] != canonical and canonical not in told:
            told.add(canonical)
            yield (
                line,
                (
                    f"the canonical name {canonical!r} is itself an alias of {again[1]!r} (line {again[0]}): "
                    "point both at one name"
                ),
            )
