"""What every run of the tests stands on: each test has a deadline, none can end the process that runs it, and a run
that lost one of its worker processes has failed.

A test that takes longer than its `timeout` (pyproject.toml, or its mark) fails by the signal of pytest-timeout, which
may not get through: to code that waits in C, or that takes the failure for its own. Such a test ends its process,
which says where every thread stood.
"""

import faulthandler
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest

# Seconds beyond a test's deadline, and those for its end, until the process ends.
GRACE = 60.0
# They run the tests, and may end this process: as when whoever started it is gone.
_RUNNERS = ("_pytest", "pytest_timeout", "execnet", "xdist")
_TOLD = (signal.SIGTERM, signal.SIGINT)


class EndsTheTests(AssertionError):
    """The code under test tried to end the process that runs the tests."""


class Guard:
    """Stands before everything that would end this process. Its forks and its children may end as they like."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._real: list[tuple[Any, str, Callable[..., Any]]] = []
        self._tried: list[str] = []
        self.dump_later = faulthandler.dump_traceback_later

    def install(self) -> None:
        self._guard(os, "_exit", lambda *_: True)
        self._guard(os, "abort", lambda: True)
        self._guard(os, "kill", lambda pid, number: number != 0 and self._is_this(pid))
        self._guard(os, "killpg", lambda group, number: number != 0 and self._is_this(-group))
        self._guard(signal, "raise_signal", lambda _: True)
        self._guard(faulthandler, "dump_traceback_later", lambda *_, **told: bool(told.get("exit")))

    def remove(self) -> None:
        while self._real:
            setattr(*self._real.pop())

    def tried(self) -> list[str]:
        """From where it was tried since this was asked last."""
        tried, self._tried = self._tried, []
        return tried

    def _is_this(self, pid: int) -> bool:
        """Whether a signal to this pid, or this group, reaches this process too."""
        return pid in (self._process, 0, -1, -os.getpgrp())

    def _guard(self, module: Any, name: str, ends: Callable[..., bool]) -> None:
        real = getattr(module, name)

        def guarded(*arguments: Any, **named: Any) -> Any:
            runner = sys._getframe(1).f_globals.get("__name__", "").split(".")[0] in _RUNNERS
            if runner or os.getpid() != self._process or not ends(*arguments, **named):
                return real(*arguments, **named)
            return self._refuse(f"{module.__name__}.{name}{arguments}")

        self._real.append((module, name, real))
        setattr(module, name, guarded)

    def _refuse(self, call: str) -> NoReturn:
        said = f"{call} would have ended the process that runs the tests"
        # It may be raised in a thread, or to code that catches everything: the test fails all the same.
        self._tried.append(f"{said}, from:\n{''.join(traceback.format_stack(limit=12)[:-2])}")
        raise EndsTheTests(said)


class Harness:
    """The plugin of one run."""

    def __init__(self) -> None:
        self._guard = Guard()
        self._lost: list[str] = []
        # Of its own: tests and their capture turn the other one round.
        self._words = os.dup(sys.__stderr__.fileno()) if sys.__stderr__ else 2

    def pytest_sessionstart(self) -> None:
        self._guard.install()

    def pytest_unconfigure(self) -> None:
        self._guard.remove()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        yield from self._watched(item)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        yield from self._watched(item)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Iterator[None]:
        # After a failure pytest-timeout no longer looks at the test.
        yield from self._watched(item)

    def _watched(self, item: pytest.Item) -> Iterator[None]:
        deadline, before = _deadline(item), {number: signal.getsignal(number) for number in _TOLD}
        if deadline:
            self._guard.dump_later(deadline + GRACE, exit=True, file=self._words)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            # A handler that stayed would end the process later, when somebody stops the run.
            for number, handler in before.items():
                if signal.getsignal(number) != handler:
                    signal.signal(number, handler)
            tried = self._guard.tried()
        if tried:
            pytest.fail("\n".join(tried), pytrace=False)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        if error:
            self._lost.append(node.gateway.id)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._lost and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for worker in self._lost:
            terminalreporter.write_line(f"{worker} was lost: tests that it had still to run were not run", red=True)


def _deadline(item: pytest.Item) -> float:
    """In seconds; 0 if it has none, as with --timeout=0."""
    marker, told = item.get_closest_marker("timeout"), item.config.getoption("timeout")
    if told is None:
        told = item.config.getini("timeout")
    return float(marker.args[0] if marker is not None and told != 0 else told or 0)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Harness(), "ordersync-harness")
