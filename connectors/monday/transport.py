"""Sends HTTP requests by aiohttp, with one session, and turns aiohttp's exceptions into ours.

Without a connection a request did not arrive: Transient. After any later error the API may have executed it:
OutcomeUnknown. aiohttp itself never repeats a POST.
"""

import types
from collections.abc import Awaitable, Callable, Mapping
from typing import Self

import aiohttp

from connectors import errors
from connectors.monday import error_formats

# A function that POSTs one body with these headers. It raises Transient, OutcomeUnknown or Misconfigured.
Transport = Callable[[str, Mapping[str, str]], Awaitable[error_formats.Answer]]


class Http:
    """POSTs to one URL. `timeout` limits a whole request, `connect_timeout` its connection, both in seconds.

    `connect_timeout` is well below the duration of the writer's lease, so that the request leaves within the lease.
    """

    def __init__(self, url: str, *, timeout: float, connect_timeout: float = 5.0, proxy: str | None = None) -> None:
        self._url = url
        self._proxy = proxy
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=connect_timeout)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=self._timeout)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __call__(self, body: str, headers: Mapping[str, str]) -> error_formats.Answer:
        if self._session is None:
            raise RuntimeError("the client is not open: use `async with`")
        try:
            # A redirect would send the token to another address: here it is an answer like any other.
            async with self._session.post(
                self._url, data=body.encode(), headers=headers, proxy=self._proxy, allow_redirects=False
            ) as response:
                content = await response.read()
                return error_formats.Answer(
                    status=response.status,
                    headers={name.lower(): value for name, value in response.headers.items()},
                    text=content.decode(errors="replace"),
                )
        except (aiohttp.ClientSSLError, aiohttp.InvalidURL) as error:
            raise errors.Misconfigured(_describe(error), code="CONNECTION_REFUSED_BY_US") from error
        except (
            aiohttp.ClientConnectorError,
            aiohttp.ClientHttpProxyError,
            aiohttp.ConnectionTimeoutError,
        ) as error:
            raise errors.Transient(f"not sent: {_describe(error)}") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise errors.OutcomeUnknown(f"sent, no answer: {_describe(error)}") from error


def _describe(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()
