"""How a process ends: at once when it meets an unknown error, within a deadline when it is stopped."""

import asyncio
import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Awaitable, Callable

from connectors import errors

log = logging.getLogger(__name__)

EXIT_UNKNOWN = 70  # EX_SOFTWARE: something this program does not know
EXIT_AGAIN = 75  # EX_TEMPFAIL: known trouble that a new start gets over
LAST_WORDS = 2.0
# After SIGTERM: how long everything may take.
END_WITHIN = 4.5


def end_process(code: int, why: str) -> None:
    """Ends the process here and now: Faust's orderly stop after an error acknowledges what nobody worked."""
    # Whoever hangs may hold the lock of the log. The interpreter's own timer needs no lock, not even the GIL.
    faulthandler.dump_traceback_later(LAST_WORDS, exit=True, file=2)
    log.critical("%s: this process ends (exit %d)", why, code)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def end_within(seconds: float = END_WITHIN) -> None:
    """Ends this process by then, whatever hangs: it was told to stop."""
    last = threading.Timer(seconds, end_process, (0, "the stop took too long: what is in work comes again"))
    last.daemon = True
    last.start()


async def guarded(name: str, work: Awaitable[None], end: Callable[[int, str], None] = end_process) -> None:
    """Whatever leaves `work` ends the process, trouble that has a name in one line. Cancelling is no trouble."""
    try:
        await work
    except asyncio.CancelledError:
        raise
    except errors.OrdersyncError as error:
        end(EXIT_AGAIN, f"{name}: {error}")
    except BaseException as error:
        log.exception("%s: unknown error", name)
        end(EXIT_UNKNOWN, f"{name}: {type(error).__name__}")
