"""How long the API supports the pinned version."""

from datetime import date

import pytest

from connectors.monday import api_version


@pytest.mark.parametrize(
    ("version", "ends"),
    [
        ("2026-10", date(2027, 4, 1)),
        ("2026-07", date(2027, 1, 1)),
        ("2027-01", date(2027, 7, 1)),
        ("2027-04", date(2027, 10, 1)),
    ],
)
def test_a_version_is_current_for_a_quarter_and_maintained_for_another(version: str, ends: date) -> None:
    assert api_version.support(date(2026, 12, 1), version).ends == ends


@pytest.mark.parametrize(
    ("today", "days", "warns"),
    [
        (date(2026, 12, 1), 121, None),
        (date(2026, 12, 31), 91, None),
        (date(2027, 1, 1), 90, "for 90 more days"),
        (date(2027, 3, 31), 1, "for 1 more days"),
        (date(2027, 4, 1), 0, "since 2027-04-01 no more"),
        (date(2027, 5, 1), -30, "since 2027-04-01 no more"),
    ],
)
def test_every_report_warns_from_90_days_before_the_end_on(today: date, days: int, warns: str | None) -> None:
    found = api_version.support(today, "2026-10")
    assert found.days_left == days
    assert warns in found.warning if warns and found.warning else found.warning is warns
