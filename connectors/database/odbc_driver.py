"""Microsoft's ODBC driver for SQL Server: the newest installed one, else the one in a wheel."""

import ctypes
import importlib.util
import platform
import re
from pathlib import Path
from typing import Any

from connectors import errors

_NAME = re.compile(r"ODBC Driver (\d+) for SQL Server")
_WHEEL = "mssql_python_odbc"
# The Debian packages that the wheels of pyodbc and of the driver do not contain.
DEBIAN = ("libodbc2", "libltdl7", "libkrb5-3", "libgssapi-krb5-2", "libssl3")
_INSTALL = f"on Debian, apt install {' '.join(DEBIAN)}"
_GET_ONE = (
    "install Microsoft's ODBC Driver 18 for SQL Server, or `pip install 'ordersync[sqlserver]'`, which brings one"
)


def load() -> Any:
    """Imports pyodbc. Raises Misconfigured without an ODBC driver manager, which its import needs."""
    try:
        # Imported here: without a driver manager the import fails, and SQLite needs none.
        import pyodbc  # noqa: PLC0415
    except ImportError as error:
        raise errors.Misconfigured(
            f"SQL Server needs an ODBC driver manager, and pyodbc finds none ({error}): {_INSTALL}",
            code="DRIVER",
        ) from error
    return pyodbc


def find(installed: list[str]) -> str:
    """The name of the newest of the `installed` drivers, else the path of the wheel's library.

    Raises Misconfigured when there is neither, or when the library cannot be loaded.
    """
    by_version = {int(match[1]): name for name in installed if (match := _NAME.fullmatch(name))}
    if by_version:
        return by_version[max(by_version)]
    library = in_wheel()
    if library is None:
        raise errors.Misconfigured(f"there is no ODBC driver for SQL Server: {_GET_ONE}", code="DRIVER")
    check(library)
    return str(library)


def in_wheel() -> Path | None:
    """The library in `mssql-python-odbc` for this system; None when the wheel is not installed."""
    package = importlib.util.find_spec(_WHEEL)
    if package is None or not package.submodule_search_locations:
        return None
    machine = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    folder = Path(package.submodule_search_locations[0]) / "libs" / "linux" / distribution() / machine / "lib"
    return max(folder.glob("libmsodbcsql-*.so*"), default=None)


def distribution() -> str:
    """The name that the wheel has for this kind of Linux."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return "debian_ubuntu"
    kinds = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    if kinds & {"rhel", "fedora", "centos", "rocky", "almalinux"}:
        return "rhel"
    return "suse" if kinds & {"suse", "sles", "opensuse"} else "debian_ubuntu"


def check(library: Path) -> None:
    """Loads the library, and raises Misconfigured with the reason: unixODBC only says that the driver is not found."""
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        raise errors.Misconfigured(f"the ODBC driver cannot be loaded ({error}): {_INSTALL}", code="DRIVER") from error
