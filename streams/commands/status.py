"""`ordersync status`: the state of all orders. It reads SQL only, so it works while broker and board are away."""

from streams.runtime import connect
from streams.runtime import status as statuses
from streams.settings import Settings


def status(settings: Settings) -> statuses.Status:
    """The status as the tables have it now. Raises what the database raises."""
    with connect.database(settings) as parts:
        return statuses.collect(parts)
