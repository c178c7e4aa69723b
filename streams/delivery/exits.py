"""How a process ends: at once after an unknown error, within a deadline after a stop."""

import asyncio
import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Awaitable, Callable

from connectors import errors

log = logging.getLogger(__name__)

EXIT_UNKNOWN = 70  # EX_SOFTWARE: an error without a name in the error tree
EXIT_AGAIN = 75  # EX_TEMPFAIL: an error of the error tree, which a restart may overcome
# Seconds for the last lines of the log, before the process ends without them.
LAST_WORDS = 2.0
# Seconds that the whole stop may take after SIGTERM.
END_WITHIN = 4.5


def end_process(code: int, why: str) -> None:
    """Ends the process at once. Faust's orderly stop after an error would acknowledge events that no step worked."""
    # A hanging thread may hold the lock of the log. The interpreter's own timer needs no lock, not even the GIL.
    faulthandler.dump_traceback_later(LAST_WORDS, exit=True, file=2)
    log.critical("%s: this process ends (exit %d)", why, code)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def end_within(seconds: float = END_WITHIN) -> None:
    """Ends a process that is stopping after `seconds`, even if a part of it hangs."""
    reason = "the stop took too long: unacknowledged events arrive once more"
    deadline = threading.Timer(seconds, end_process, (0, reason))
    deadline.daemon = True
    deadline.start()


async def guarded(name: str, work: Awaitable[None], end: Callable[[int, str], None] = end_process) -> None:
    """Ends the process if `work` raises; logs an error of the error tree in one line. Passes a cancellation on."""
    try:
        await work
    except asyncio.CancelledError:
        raise
    except errors.OrdersyncError as error:
        end(EXIT_AGAIN, f"{name}: {error}")
    except BaseException as error:
        log.exception("%s: unknown error", name)
        end(EXIT_UNKNOWN, f"{name}: {type(error).__name__}")
