"""The error tree, decided in the connector that saw the trouble.

OrdersyncError
├── Transient        may succeed later: bounded back-off, then the process ends and starts again
│   └── OutcomeUnknown   a write left and no answer came: look before doing it again
├── Rejected         this request can never succeed as it is: a failure event, its neighbours go on
└── Misconfigured    token, permission, schema, settings: hold everything, write no ERR rows
    └── LeaseLost        another process is the writer now: end at once, write nothing more
"""


class OrdersyncError(Exception):
    """Something ordersync knows how to name. The text is one line for a person."""


class Transient(OrdersyncError):
    """May succeed later. `wait` is the pause that the other side asked for, in seconds, if it did."""

    def __init__(self, message: str, *, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class OutcomeUnknown(Transient):
    """A write was sent and its answer never came: it may or may not have happened."""


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
    """A person must act: a token, a permission, a schema, a setting. `code` is the other side's own word."""

    def __init__(self, message: str, *, code: str = "MISCONFIGURED", wait: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.wait = wait


class LeaseLost(Misconfigured):
    """The right to write to the board belongs to another process now."""
