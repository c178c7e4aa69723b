"""The processes of ordersync, and the parts that processes and commands share.

    supervisor.py    the parent of `ordersync run`: restarts poller, worker, embedded broker and bundled board
    poller.py        the poller: passes, and between them the archive, roll backs and the lost-event sweep
    worker.py        the worker: the Faust app with its lanes, from start to stop
    board_writer.py  the worker's writer and its lease
    verify_timer.py  the worker's periodic verify
    watchdog.py      ends a worker whose event loop hangs or whose events wait
    pages.py         /live, /health and /metrics
    metrics.py       every metric, for Prometheus
    passes.py        one pass at a time on this machine
    board_audit.py   the audit of the board within the calls of a day
    api_calls.py     the API calls of a day
    connect.py       the connectors of a command or process
    embedded.py      the embedded broker and board: attach to them, or start them
    status.py        the values that `ordersync status` shows

Imports: every other package of streams but commands, demo and cli; connectors, mappings, schemas; imported by:
streams.commands, streams.demo, streams.cli.
"""
