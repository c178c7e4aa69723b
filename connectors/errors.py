"""The error tree. The connector that meets the trouble decides the kind, and with it what happens next.

OrdersyncError
├── Transient            may succeed later: bounded pauses, then the process ends and its supervisor starts it again
│   ├── OutcomeUnknown   a write was sent and no answer arrived: check before it is sent again
│   │   └── MustLookUp   (monday/error_table.py) the API does not say what happened: only the board can
│   └── TopicMissing     (kafka/admin.py) the broker is there and the topic is not: create it
├── Rejected             this request can never succeed as it is: a failure event, its neighbours go on
├── Misconfigured        token, permission, schema, settings: pause the lane, write no ERR rows
│   ├── AccountStop      (monday/error_table.py) the API refuses the whole account
│   ├── BoardStop        (monday/error_table.py) the API refuses the whole board
│   └── NoSuchCustomer   (streams/commands/replay.py) no order has a customer of this name
└── LeaseLost            another process is the writer now: the process ends at once and writes nothing more

Not in the tree, because they never leave their package: codec.Undecodable (schemas), MappingError (schemas), guard.Stop
(streams/detect). tests/test_architecture.py holds this drawing against the classes.
"""


class OrdersyncError(Exception):
    """Trouble that ordersync has a name for. The text is one line for a user."""


class Transient(OrdersyncError):
    """May succeed later. `wait` is the pause that the other side asked for, in seconds, if it did."""

    def __init__(self, message: str, *, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class OutcomeUnknown(Transient):
    """A write was sent and its answer never arrived: it may or may not have been carried out."""


class Rejected(OrdersyncError):
    """This request cannot succeed as it is."""

    def __init__(
        self, message: str, *, code: str, http_status: int | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.http_status = http_status
        self.request_id = request_id


class Misconfigured(OrdersyncError):
    """A user must act: a token, a permission, a schema, a setting. `code` is the other side's own word."""

    def __init__(self, message: str, *, code: str = "MISCONFIGURED", wait: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.wait = wait


class LeaseLost(OrdersyncError):
    """The right to write to the board belongs to another process now. Never waited for, never retried."""
