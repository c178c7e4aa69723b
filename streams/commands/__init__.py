"""What each command of `ordersync` does, apart from its arguments and its output.

    setup.py      setup: tables, archive, topics, the board's key column, sample orders
    validate.py   validate: mapping, tables, board and topics against each other
    detect.py     detect: one pass, a dry run, the trial of push-down detection
    service.py    run, work and board: the processes and the board
    status.py     status: the state of all orders
    failures.py   errors and retry: open failures, dismiss, retry
    trace.py      trace: the history of one order
    verify.py     verify: check the tables and the board, repair
    fix.py        verify --fix: emits repairs and waits for them
    replay.py     replay: re-emits orders out of the log
    rollback.py   archive, rollback, hold and release
    preview.py    the fields that a plan changes, and its cost
    pushdown.py   the comparison on the server, against the comparison here
    stall.py      how long a command waits while nothing moves

Imports: connectors, mappings, schemas, sql, and of streams all but demo and cli; imported by: demo, cli.
"""
