"""Checks that source, tables and board agree, and repairs differences with ordinary events.

    verify.py       checks the state of every source row against the tables
    audit.py        compares items of the board with production
    incremental.py  the audit of what changed on the board since the last audit
    fields.py       the field values of an order, as source, production and board show them
    compare.py      the differences between two sets of field values (pandas is imported here only)
    repair.py       builds and emits the events that repair orders
    replay.py       re-emits the newest version of each order that the log retains
    lost_events.py  finds orders whose events the log has lost

Imports: streams.detect, streams.sync, connectors, mappings, schemas; imported by: streams.resources, streams.runtime,
streams.commands, streams.demo, streams.cli.
"""
