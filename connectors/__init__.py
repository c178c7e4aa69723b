"""The outside systems, and the machinery that all of them share. Connectors receive plain values, never settings.

    database/     SQLite and SQL Server             tables/       the tables of ordersync
    archive/      the snapshot archive              kafka/        Apache Kafka and the embedded broker
    monday/       the Monday.com API                simulator/    the program that plays the API
    samples/      generated orders                  errors.py     the error tree
    backoff.py    pauses between attempts           locks.py      a lock on a file
    processes.py  child processes

Imports: schemas, sql; imported by: streams.
"""
