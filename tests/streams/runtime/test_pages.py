"""Where the pages are shown."""

import contextlib

import pytest

from connectors import errors
from streams.runtime import pages


def test_workers_that_start_at_the_same_moment_get_a_port_each() -> None:
    with contextlib.closing(pages.listening(0)) as first:
        wanted = first.getsockname()[1]
        with contextlib.closing(pages.listening(wanted)) as second:
            assert second.getsockname()[1] not in (0, wanted)
    with contextlib.closing(pages.listening(wanted)) as again:
        assert again.getsockname()[1] == wanted


def test_an_address_of_another_machine_is_misconfigured() -> None:
    with pytest.raises(errors.Misconfigured, match=r"^cannot listen on 192\.0\.2\.1: .*: set ORDERSYNC_WEB_BIND"):
        pages.listening(6066, "192.0.2.1")
