"""The one table of exit codes, for every command. docs/operations.md repeats it."""

from enum import IntEnum


class Exit(IntEnum):
    """What the end of a command says. The highest one that applies counts."""

    DONE = 0
    WRONG = 1
    USAGE = 2
    PERSON = 3
    DOWN = 5
    INTERRUPTED = 130


MEANING = {
    Exit.DONE: "done, or well",
    Exit.WRONG: "something is wrong and was printed, or failures wait",
    Exit.USAGE: "wrong usage",
    Exit.PERSON: "something asks for an operator: a guard stop, a refused token, findings of verify, a missing set-up",
    Exit.DOWN: "a part of the service is down: database, broker, board, poller or worker",
    Exit.INTERRUPTED: "stopped by Ctrl-C",
}
# By streams.diagnosis.troubles.Severity, which `--help` must not load.
OF_SEVERITY = {"down": Exit.DOWN, "person": Exit.PERSON, "failures": Exit.WRONG, "note": Exit.DONE, None: Exit.DONE}
HELP = "Exit codes: " + "; ".join(f"{code.value} {meaning}" for code, meaning in MEANING.items()) + "."
