"""The way of an order from the source to the board and to production, and the processes that run it.

    detect   compares ORDERS_UNIFIED with the snapshot rows, emits changes  → orders.changed
    stage    validates and converts a change, melts its sizes, writes STG   → orders.staged or orders.failed
    sync     plans the mutations of an order and sends them to the board    → orders.synced or orders.failed
    settle   promotes STG rows to production, or writes an ERR row          → orders.dead-letter if retryable
    retry    re-emits a failed version when its retry is due                → orders.staged

The files here are the steps stage, settle and retry, the daily cleanup, the table of topics, the settings, resources.py
(builds all connectors) and app.py (the Faust app of the worker). The sub-packages, each imports only those above it:

    detect/     the detect step: passes, guard, admission window, customer holds
    sync/       the sync step: plan, writer, journal, in-doubt requests
    delivery/   the lanes: batches of events, acknowledgement, dead letters, health
    reconcile/  verify, audit, repair, replay, lost events
    archive/    archived snapshots of customers, and roll back
    diagnosis/  is the service well: heartbeats, and the one judgement
    runtime/    the processes: supervisor, poller, worker, watchdog, pages
    commands/   one module for each command of the operator
    demo/       the demo's stage and its row-by-row proof
    cli/        the command line: arguments and output

Imports: connectors, mappings, schemas, sql; imported by: nothing.
"""
