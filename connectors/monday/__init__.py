"""The client of the Monday.com API: it stays within the API's limits and gives each mutation its own outcome.

    client.py         sends requests, and repeats those that a limit refused
    transport.py      one POST by aiohttp
    api_version.py    the pinned version of the API, and how long it is supported
    board.py          reads columns, groups, items and subitems
    changes.py        reads what changed on the board since a time
    board_values.py   the content of the board as values
    answers.py        checked reading of an answer's data
    documents.py      the GraphQL texts of documents/, and requests of many mutations
    responses.py      an HTTP answer to a reply, and a reply to outcomes
    error_formats.py  the API's formats of errors, read into one shape
    error_table.py    one action and one exception for each error
    limits.py         the published limits, and the API's headers about them
    budget.py         paces requests within the four limits
    minute_window.py  complexity of the current minute
    daily_calls.py    calls of the UTC day

It shares no code with connectors/simulator, so that each of the two checks the other.

Imports: schemas, connectors.errors, connectors.backoff; imported by: streams.
"""
