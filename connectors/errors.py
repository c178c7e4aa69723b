"""The error tree. The connector that meets an error chooses its class, and with it the reaction.

OrdersyncError
├── Transient            may succeed later: bounded pauses, then the process ends and its supervisor restarts it
│   ├── OutcomeUnknown   a write was sent and no answer arrived: check before it is repeated
│   │   └── MustLookUp   (monday/error_table.py) the API does not report the outcome: only a lookup can
│   └── TopicMissing     (kafka/admin.py) the broker answers and has no such topic: create it
├── Rejected             this request can never succeed as it is: a failure event, the other requests go on
├── Misconfigured        token, permission, schema, settings: pause the lane, write no ERR rows
│   ├── AccountStop      (monday/error_table.py) the API refuses the whole account
│   ├── Unreadable       a cell ended the statement that reads it: read the cells another way
│   ├── BoardStop        (monday/error_table.py) the API refuses the whole board
│   └── NoSuchCustomer   (streams/commands/replay.py) no order has a customer of this name
├── LeaseLost            another process is the writer now: the process ends at once and writes nothing more
└── Outdated             the files that this process read at its start have changed: it ends and starts again

Not in the tree, because they never leave their package: codec.Undecodable (schemas), MappingError (schemas), guard.Stop
(streams/detect). tests/test_architecture.py compares this drawing with the classes.
"""


class OrdersyncError(Exception):
    """An error that ordersync knows. Its text is one line for the operator."""


class Transient(OrdersyncError):
    """The operation may succeed later. `wait` is the pause in seconds that the other side asked for, if it did."""

    def __init__(self, message: str, *, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class OutcomeUnknown(Transient):
    """A write was sent and no answer arrived: the other side may or may not have executed it."""


class Rejected(OrdersyncError):
    """This request cannot succeed as it is. `code` is the other side's, or ours; `request_id` is the other side's."""

    def __init__(
        self, message: str, *, code: str, http_status: int | None = None, request_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.http_status = http_status
        self.request_id = request_id


class Misconfigured(OrdersyncError):
    """An operator must act: a token, a permission, a schema, a setting. `code` is the other side's, or ours; `wait` is
    the pause in seconds before the next attempt, if the other side asked for one.
    """

    def __init__(self, message: str, *, code: str = "MISCONFIGURED", wait: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.wait = wait


class Unreadable(Misconfigured):
    """A cell that the engine cannot read ended the statement. The statement can be put so that it goes on."""


class LeaseLost(OrdersyncError):
    """Another process is the lease holder now. The process ends: it neither waits nor retries."""


class Outdated(OrdersyncError):
    """The files that this process read at its start have changed. The process ends: after a restart it knows them."""
