"""The connections to other systems: one sub-package for each. Connectors receive plain values, never settings.

    errors.py     the tree of errors that connectors raise
    backoff.py    growing pauses between attempts
    locks.py      locks of files between processes
    processes.py  child processes
    database/     SQLite and SQL Server: sessions, transactions, schema
    tables/       the tables, one module for each subject
    kafka/        producer, admin client, reader and embedded broker
    monday/       the client of the Monday.com API
    archive/      the snapshot archive: Parquet files in PostgreSQL
    simulator/    the bundled board, which plays the Monday.com API
    samples/      sample rows of ORDERS_UNIFIED, and sample changes of them

Imports: schemas, sql; imported by: streams.
"""
