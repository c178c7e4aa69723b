"""The command line: typer reads the arguments, a command does the work, rich prints the result.

    main.py            the program, its common options, most commands
    archive.py         archive, rollback, hold, release
    failures.py        errors, retry, trace
    reconcile.py       verify, replay
    demo.py            the demo, which prints as it goes
    exit_codes.py      the one table of exit codes
    lazy.py            the modules that a command imports when it first uses them
    show.py            output of setup, validate, detect, status and board
    show_archive.py    output of archive, rollback, hold and release
    show_failures.py   output of errors, retry and trace
    show_reconcile.py  output of verify and replay

Imports: every other package; imported by: streams/__main__.py only.
"""
