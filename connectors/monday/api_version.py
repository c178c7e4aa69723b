"""The version of the API that every request pins, and how long the API supports it.

The API has a new version each quarter. A version is current for one quarter and in maintenance for the next one; after
that the API answers with another version without an error. The switch is in the first month of a quarter, on a day that
is announced (2027-01 becomes current on 2027-01-15), so support ends at the first of that month at the earliest.
"""

from datetime import date

from schemas import base

VERSION = "2026-10"
# Days before the end from which on every report warns.
WARN_DAYS = 90
# Months of support: a quarter as the current version, a quarter in maintenance.
MONTHS = 6


class Support(base.Model):
    """The support of a version. `ends`: its first day without support; `days_left` is negative afterwards."""

    version: str
    ends: date
    days_left: int

    @property
    def warning(self) -> str | None:
        """One line for the operator; None while the end is more than WARN_DAYS away."""
        if self.days_left > WARN_DAYS:
            return None
        advice = "upgrade ordersync to a release with a newer one (connectors/monday/api_version.py)"
        if self.days_left <= 0:
            return f"Monday.com supports the API version {self.version} since {self.ends} no more: {advice}"
        return f"Monday.com supports the API version {self.version} for {self.days_left} more days at least: {advice}"


def support(today: date, version: str = VERSION) -> Support:
    """How long the API supports a version, as of `today` (UTC)."""
    year, month = map(int, version.split("-"))
    months = year * 12 + month - 1 + MONTHS
    ends = date(months // 12, months % 12 + 1, 1)
    return Support(version=version, ends=ends, days_left=(ends - today).days)
