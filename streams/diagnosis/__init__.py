"""Is the service well? What each process says of itself, and the one judgement over it.

    heartbeat.py  writes the state of worker and poller to SQL
    evidence.py   everything that the judgement needs, read from SQL
    judgement.py  evidence → troubles, a pure function
    troubles.py   a trouble: part, reason, action, severity; and the diagnosis, which lists them
    deadline.py   an answer within a stated time, also while SQL hangs

`/health`, `ordersync status`, `ordersync status --check` and the metrics show the same troubles.

Imports: resources, delivery, the steps, connectors, schemas; imported by: streams.runtime, streams.commands,
streams.cli.
"""
