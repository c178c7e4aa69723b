"""The parts of sample orders: the shape of `catalogue.yaml`, which is validated when it is loaded."""

import functools
import pathlib
from typing import NamedTuple

import yaml

from schemas import base

_FILE = pathlib.Path(__file__).with_suffix(".yaml")

# Forty customers with ten styles each need 400 labels, and a dropdown of the board takes 500.
STYLES_EACH = 10


class Customer(base.Model):
    """A customer. `names` are its aliases in the source; its order numbers and styles begin with `code`."""

    code: str
    names: tuple[str, ...]


class Garment(base.Model):
    """A garment. `family` is a key of `Catalogue.families`; `cents` is the price ex works in US cents."""

    code: str
    name: str
    category: str
    family: str
    hs_code: str
    cents: int


class Quirk(base.Model):
    """An unusual, valid cell: a `share` of the rows has one of `values` in one of `columns`. `{}`: the plain value."""

    share: float
    columns: tuple[str, ...]
    values: tuple[str | None, ...]
    times: int = 1


class Flaw(base.Model):
    """A value that makes an order invalid. `customer` is the code of the customer that must have it, if any."""

    column: str
    value: base.Cell
    times: int = 1
    customer: str | None = None
    why: str

    @property
    def cell(self) -> base.Cell:
        """The cell of the row: the value, repeated `times` if it is text."""
        return self.value * self.times if isinstance(self.value, str) else self.value


class Style(NamedTuple):
    """A style of one customer, with its sizes."""

    code: str
    description: str
    garment: Garment
    sizes: tuple[str, ...]


class Catalogue(base.Model):
    """The whole file. `header` and `line` map a column to its possible values, for an order number and for a row."""

    customers: tuple[Customer, ...]
    families: dict[str, tuple[str, ...]]
    garments: tuple[Garment, ...]
    colours: tuple[str, ...]
    header: dict[str, tuple[str | None, ...]]
    line: dict[str, tuple[str | None, ...]]
    quirks: tuple[Quirk, ...]
    flaws: tuple[Flaw, ...]

    def styles(self) -> dict[str, tuple[Style, ...]]:
        """The styles by customer code: the same ones for every seed."""
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
    """The catalogue; a process reads it once."""
    return Catalogue.model_validate(yaml.safe_load(_FILE.read_text(encoding="utf-8")))
