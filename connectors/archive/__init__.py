"""The archive of customers' snapshots, for roll back.

    snapshots.py  the table snapshot_archive     parquet.py  one snapshot as a file
    postgres.py   the archive in PostgreSQL

Imports: connectors.database, connectors.errors, schemas, sql; imported by: streams.
"""
