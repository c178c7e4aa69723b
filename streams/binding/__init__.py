"""The binding: which database, Monday account, board and API belong to a home, so that none is exchanged unnoticed.

    compare.py   what a process is pointed at, against what is bound
    store.py     where a binding is kept: in the database, and in the home folder

Imports: connectors, schemas, settings; imported by: resources, runtime, commands.
"""
