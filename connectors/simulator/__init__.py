"""The program that plays Monday.com: one board behind real HTTP, in its own process, with its state in one SQLite file.

    __main__.py     the command line
    config.py       every setting
    clock.py        the time as an argument
    server.py       HTTP, start and stop
    service.py      one request: token, limits, parse, faults, key, complexity, run, answer; the gateway in front
    incoming.py     headers and body of a POST, and the price of its document
    limits.py       the limits of minute, requests at a time, complexity and day
    cost.py         the estimated complexity of a request
    faults.py       seeded faults
    graph.py        parse, validate and run a GraphQL text
    schema.graphql  the part of the API that the simulator offers
    roots.py        the fields of Query and Mutation
    views.py        the objects that they return
    answers.py      the format of every error
    board.py        the effect of each mutation
    values.py       the format of a value for each column type
    activity.py     the activity log of both boards
    labels.py       labels of status and dropdown columns
    search.py       pages, filters and cursors
    store.py        the state, in the tables of tables.sql
    seed.py         the first content of a new file, from the CSV files
    stats.py        counters
    admin.py        the tester's access: read, count, set faults, edit by hand
    page.py         the board as an HTML page for users

It follows the public description of the API and nothing else, and is stricter where the description is silent: a
request that passes here should pass there. It shares no code with connectors/monday, so that each of the two checks the
other.

Imports: schemas.base; imported by: streams.resources, streams.runtime, streams.commands, for its settings alone.
"""
