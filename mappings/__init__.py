"""The mapping from a source row to the board: pure functions beside their data.

    loading.py    board.yaml, customers.csv and values.csv: all valid, or an error with every mistake
    reading.py    one YAML or CSV file as plain data, with the line of each part
    customers.py  customer aliases and canonical names
    values.py     a source cell to its canonical text, number or date
    sizes.py      the size columns, and the melt of a wide row to quantities
    columns.py    the watched columns, and the lengths of staging columns
    hashing.py    the canonical text of a row and its hash
    items.py      a source row to a valid order; staging values to the API's column values
    labels.py     may a mutation send these labels, and may it create new ones
    plan.py       the desired item compared with the ledger: mutations
    checks.py     the mapping compared with source table, staging table and board

Imports: schemas; imported by: streams.
"""

from mappings.loading import Mappings, load

__all__ = ["Mappings", "load"]
