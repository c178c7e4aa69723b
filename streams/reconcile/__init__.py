"""Checks that source, tables and board agree, and repairs differences with ordinary events.

    verify.py       checks the state of every source row, and that source, production and ledger agree on it
    states.py       the state of a source row by what the tables say
    findings.py     what verify reports
    expected.py     a source row converted with today's mapping
    comparison.py   the engine: compares source, production and ledger of an order, cell by cell
    audit.py        compares items of the board with production
    incremental.py  the audit of what changed on the board since the last audit
    fields.py       the field values of an order, as source, production, ledger and board show them
    compare.py      the differences between sets of field values
    repair_plan.py  what would be repaired, what is left alone, and the cost
    repair.py       builds and emits the events that repair orders
    replay.py       re-emits the newest version of each order that the log retains
    lost_events.py  finds orders whose events the log has lost

Imports: streams.detect, streams.sync, connectors, mappings, schemas; imported by: streams.resources, streams.runtime,
streams.commands, streams.demo, streams.cli.
"""
