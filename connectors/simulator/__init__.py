"""A stand-in for Monday.com: one board behind real HTTP, a process of its own, its state in one SQLite file.

    server.py     HTTP, start and stop                __main__.py  the command line
    service.py    the life of one request: token, limits, parse, faults, key, complexity, run, answer
    incoming.py   headers and body, read and priced    cost.py      what a request is charged
    limits.py     minute, crowd, complexity, day       faults.py    seeded trouble
    graph.py      parse, validate, run                 answers.py   the shape of every error
    roots.py      queries and mutations                views.py     what they return
    board.py      what a mutation does                 values.py    the shape of a value per column type
    search.py     pages, filters and cursors           labels.py    labels of status and dropdown columns
    store.py      tables.sql, filled by seed.py        stats.py     counters
    admin.py      look, count, break, edit by hand     page.py      the board for a person

It follows the public description of the API and nothing else, and is stricter where that is silent: what
passes here should pass there. It shares no code with the client, so that one can check the other.
"""
