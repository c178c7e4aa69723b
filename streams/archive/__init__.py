"""The archive of customers' rows after each pass, and the roll back of a customer to one of its snapshots.

    snapshots.py  archives the queued customers and removes superfluous snapshots
    rollback.py   rolls a customer back to an archived snapshot, holds it there, and releases it
    wiring.py     builds both from Resources, and runs them between the passes of the poller

Imports: connectors, mappings, schemas, detect; wiring.py alone also resources.
Imported by: runtime.poller, commands, cli.
"""
