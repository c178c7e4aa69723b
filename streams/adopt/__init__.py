"""Adopt: the items of a board that is in use become the items of our orders, in place of new ones.

    matching.py    which item belongs to which order; pure
    decisions.py   what a person decides about the ambiguous ones, as a CSV file
    reading.py     source, production, ledger and board, as far as matching needs them
    sizes.py       which subitem stands for which size
    applying.py    writes the keys, the ledger, and the links of production rows, piece by piece
    adoption.py    `ordersync adopt`: the dry run, and the adoption under the lease

Imports: connectors, mappings, schemas, sync, reconcile, resources, runtime; imported by: cli.
"""
