"""sync: the step that brings the board to the staged orders, and the one writer of the board.

    step.py        the step: choose, plan, write, end         plan.py        the mutations of one order, in three waves
    select.py      which staged versions are to be written    cells.py       a cell as text and as a comparable number
    writer.py      requests: journal, send, resend, split     batch_size.py  how many mutations one request carries
    outcome.py     the result of each mutation of a request   ports.py       what the writer needs: API, journal, ledger
    in_doubt.py    in-doubt requests and parked orders        lookup.py      which creates of a request the board shows
    refresh.py     the ledger brought to what the board shows read_ahead.py  board reads in calls of 100 orders
    board.py       lookups, answered by the API             outline.py     columns, labels and groups of the board
    room.py        whether a full board takes creates

Imports: connectors, mappings, schemas; imported by: runtime, commands, reconcile, cli.
"""
