"""What sample orders are made of: the shape of `catalogue.yaml`, checked once when it is read."""

import functools
import pathlib
from typing import NamedTuple

import yaml

from schemas import base

_FILE = pathlib.Path(__file__).with_suffix(".yaml")

# Forty customers with ten styles each: 400 labels, and a dropdown of the board stops at 500.
STYLES_EACH = 10


class Customer(base.Model):
    """`names` are the raw names that the source writes, `code` begins its order numbers and styles."""

    code: str
    names: tuple[str, ...]


class Garment(base.Model):
    """`family` names a row of `Catalogue.families`; `cents` is the price ex works in US cents."""

    code: str
    name: str
    category: str
    family: str
    hs_code: str
    cents: int


class Quirk(base.Model):
    """`share` of the rows write one of `values` in one of `columns`; `{}` stands for the plain value."""

    share: float
    columns: tuple[str, ...]
    values: tuple[str | None, ...]
    times: int = 1


class Flaw(base.Model):
    """One value that makes an order bad. `customer` is the code of who writes such a value, if it matters."""

    column: str
    value: base.Cell
    times: int = 1
    customer: str | None = None
    why: str

    @property
    def cell(self) -> base.Cell:
        """The value as it is written into the row."""
        return self.value * self.times if isinstance(self.value, str) else self.value


class Style(NamedTuple):
    """A style of one customer, with the sizes that it is made in."""

    code: str
    description: str
    garment: Garment
    sizes: tuple[str, ...]


class Catalogue(base.Model):
    """The whole file. `header` and `line` map a column to the values it takes at random."""

    customers: tuple[Customer, ...]
    families: dict[str, tuple[str, ...]]
    garments: tuple[Garment, ...]
    colours: tuple[str, ...]
    header: dict[str, tuple[str | None, ...]]
    line: dict[str, tuple[str | None, ...]]
    quirks: tuple[Quirk, ...]
    flaws: tuple[Flaw, ...]

    def styles(self) -> dict[str, tuple[Style, ...]]:
        """The styles of each customer code. No chance in it: every seed sells the same goods."""
        return {customer.code: self._styles_of(customer, at) for at, customer in enumerate(self.customers)}

    def _styles_of(self, customer: Customer, at: int) -> tuple[Style, ...]:
        styles = []
        for number in range(STYLES_EACH):
            garment = self.garments[(at * 5 + number) % len(self.garments)]
            code = f"{customer.code}{garment.code}{100_000 + at * 100 + number}"
            styles.append(Style(code, f"{garment.name} {code[-4:]}", garment, self.families[garment.family]))
        return tuple(styles)


@functools.cache
def load() -> Catalogue:
    """The catalogue, read once in a process."""
    return Catalogue.model_validate(yaml.safe_load(_FILE.read_text(encoding="utf-8")))
