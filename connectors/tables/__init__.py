"""The tables of ordersync: one module for one subject, with its statements in the file of the same name below sql/.

    orders.py            ORDERS_UNIFIED and its snapshot rows    orders_pushdown.py  the same, hashed by SQL Server
    customers.py         the rows of chosen customers            row_text.py         canonical text out of a query
    staging.py           STG: versions on their way              production.py       MON: promoted orders
    batches.py           one customer's orders of one pass       row_states.py       the state of every source row
    failures.py          ERR rows: record, resolve, dismiss      retries.py          ERR rows: due times
    journal.py           requests to the board                   ledger.py           board contents, as confirmed
    lease.py             the right to write to a board           lost_events.py      orders whose events are lost
    repairs.py           settled versions, for repairs           history.py          one order in every table
    state.py             named values                            cleanup.py          removal of old rows
    warnings.py          warnings of orders in production        chunks.py           queries by many keys
    identities.py        one spelling of every identity

Imports: connectors.database, connectors.errors, schemas, sql; imported by: streams.
"""
