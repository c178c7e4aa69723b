"""The start of every process that needs Kafka: its topics, as soon as the broker answers."""

import contextlib
import logging
from collections.abc import Callable

from connectors import errors
from streams import health, reporting

log = logging.getLogger(__name__)

ASK_EVERY = 1.0


def wait_for_topics(ensure: Callable[[], object], state: health.Health, stopped: Callable[[float], bool]) -> bool:
    """Makes the topics that are missing. False when told to stop before the broker answered; blocks until then.

    A broker that is away at the start is waited for here: ending would only be repeated by who starts us again.
    `stopped` waits so many seconds and tells whether to stop. Raises Misconfigured when login or rights are refused.
    """
    with contextlib.ExitStack() as waiting:
        while True:
            try:
                ensure()
                return True
            except errors.Transient as error:
                if reporting.BROKER not in state.holding:
                    log.warning("%s: waiting for it", error)
                    waiting.enter_context(state.hold_in_trouble(reporting.BROKER, str(error)))
            if stopped(ASK_EVERY):
                return False
