"""`ordersync status`: the state of all orders. It reads SQL only, so it works while broker and board are away."""

from collections.abc import Callable

from connectors import errors
from schemas.mappings import MappingError
from streams.diagnosis import deadline, evidence, judgement
from streams.diagnosis.troubles import Diagnosis, Part, Severity, Trouble, diagnosis
from streams.resources import utcnow
from streams.runtime import connect
from streams.runtime import status as statuses
from streams.settings import Settings

# Seconds that the database has, including its login.
CHECK_WITHIN = 10.0


def status(settings: Settings) -> statuses.Status:
    """The status as the tables have it now. Raises what the database raises."""
    with connect.database(settings) as parts:
        return statuses.collect(parts)


def check(load: Callable[[], Settings], within: float = CHECK_WITHIN) -> Diagnosis:
    """Whether the service is well. Raises nothing for settings, mapping and database: they are among the troubles.

    It creates no database: without one, `setup` is what is missing.
    """
    try:
        settings = load()
    except errors.Misconfigured as error:
        return diagnosis(utcnow(), [_settings(str(error))])
    if settings.server is None and not settings.database_path.exists():
        missing = errors.Misconfigured(f"there is no database {settings.database_path}", code="SCHEMA")
        return judgement.unreadable(missing, utcnow())
    try:
        return deadline.Question(lambda: _judged(settings)).answer(within)
    except (errors.OrdersyncError, MappingError, TimeoutError) as error:
        return judgement.unreadable(error, utcnow())


def _judged(settings: Settings) -> Diagnosis:
    with connect.database(settings) as parts:
        return judgement.judge(evidence.collect(parts))


def _settings(reason: str) -> Trouble:
    action = "correct it; `ordersync validate` checks it"
    return Trouble(severity=Severity.PERSON, part=Part.SETTINGS, reason=reason, action=action)
