"""The values that cross a process, a topic, a table or a file: frozen pydantic models and named tuples.

    base.py       the base model, a source cell, a board value, the origin of an event
    events.py     the events on the topics
    codec.py      event to bytes and back
    versions.py   the rule of superseding and settling
    batches.py    the states of a staged order, of a batch and of a source row
    detection.py  what a detection pass reads, finds and reports
    orders.py     an order that the mapping converted, and the problems of one
    items.py      mutations of the board and their outcomes
    failures.py   the kinds of failure in the ERR tables, and undecodable bytes
    mappings.py   the shape of board.yaml and values.csv
    texts.py      how a text is trimmed, measured and cut
    workers.py    the state that worker and poller report

Imports: pydantic only; imported by: every other package but sql.
"""
