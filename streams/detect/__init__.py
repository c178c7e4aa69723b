"""The detect step: compares every source row with its snapshot row and emits the changes to `orders.changed`.

    step.py           one pass: compare, guard, admit, emit, rebaseline, report
    baseline.py       what the snapshot rows were compared and converted with, and what was lost of it
    scan.py           finds the rows that differ, that left, or that the mapping converts otherwise
    undecided.py      integer columns with numbers that nothing reads
    unreadable.py     refused rows: cells that cannot be read
    plans.py          what the guard holds, and what an operator has accepted of it
    findings.py       the counts and candidates of one pass
    admission.py      which candidates the admission window admits
    guard.py          the limits at which a pass stops before it emits anything
    identities.py     refused rows: source rows without a record_uuid of their own
    holds.py          customers on hold, whose orders detection ignores
    events.py         builds events and snapshot rows from admitted candidates
    emit.py           the order of effects: batches, events, snapshot rows
    archive_queue.py  customers whose rows the archive must store after the pass
    ports.py          the methods of the connectors that a pass calls

Imports: connectors.errors, mappings, schemas; imported by: reconcile, archive, resources, runtime, commands, cli.
"""
