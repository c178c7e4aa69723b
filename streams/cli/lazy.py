"""The modules that a command imports when it first uses them: `lazy.show` is `streams.cli.show`, and so on.

Every process starts by the command line, and a worker has to be back soon after it was killed. A module that only some
commands need (it brings pandas, pyarrow, rich, psycopg or Faust) is therefore imported here and not at the top of a
file of this package. tests/test_start_up.py asserts what each start loads.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streams.adopt import adoption as adoption
    from streams.cli import demo as demo
    from streams.cli import show as show
    from streams.cli import show_adopt as show_adopt
    from streams.cli import show_archive as show_archive
    from streams.cli import show_failures as show_failures
    from streams.cli import show_plans as show_plans
    from streams.cli import show_reconcile as show_reconcile
    from streams.commands import detect as detect
    from streams.commands import failures as failures
    from streams.commands import plans as plans
    from streams.commands import replay as replay
    from streams.commands import rollback as rollback
    from streams.commands import service as service
    from streams.commands import setup as setup
    from streams.commands import status as status
    from streams.commands import trace as trace
    from streams.commands import validate as validate
    from streams.commands import verify as verify
    from streams.runtime import poller as poller
else:
    PACKAGES = {
        "streams.adopt": ("adoption",),
        "streams.cli": ("demo", "show", "show_adopt", "show_archive", "show_failures", "show_plans", "show_reconcile"),
        "streams.commands": (
            "detect", "failures", "plans", "replay", "rollback", "service", "setup", "status", "trace", "validate",
            "verify",
        ),
        "streams.runtime": ("poller",),
    }  # fmt: skip
    MODULES = {name: f"{package}.{name}" for package, names in PACKAGES.items() for name in names}

    def __getattr__(name: str) -> ModuleType:
        """The module of this name, imported on the first use. Raises AttributeError for any other name."""
        if name not in MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return importlib.import_module(MODULES[name])
