"""When the moon is new, and whether its first crescent was to be expected on an evening in Indonesia.

Source: J. Meeus, Astronomical algorithms (1998), chapter 49, its larger terms: right to within a quarter of an hour.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta

MONTH = 29.530588861
"""Mean days from new moon to new moon."""
FIRST_NEW_MOON = 2451550.09766
"""Of the year 2000, as a Julian day."""
YEAR_2000 = datetime(2000, 1, 1, 12, tzinfo=UTC), 2451545.0
"""An instant, and its Julian day."""

LATEST_SUNSET = time(11, 45, tzinfo=UTC)
"""In Aceh, where the sun sets last in Indonesia and the crescent is seen first."""
NEW_CRITERION_FROM = 2022
LEAST_AGE, LEAST_AGE_BEFORE = 10.5, 8.0
"""Hours from new moon to that sunset. Until 2021 the ministers of religion of the region asked for 8 hours, or for a
height of 2 degrees; since then for 6.4 degrees between sun and moon, reached after 10.5 hours at the earliest."""


def crescent_expected(evening: date) -> bool:
    """Whether a new month was to be declared on this evening, so that it begins on the next day."""
    least = LEAST_AGE if evening.year >= NEW_CRITERION_FROM else LEAST_AGE_BEFORE
    return age(datetime.combine(evening, LATEST_SUNSET)) >= least


def age(instant: datetime) -> float:
    """Hours since the new moon that is nearest to an instant (aware); negative before it."""
    since, day = YEAR_2000
    julian = day + (instant - since) / timedelta(days=1)
    return (julian - _new_moon(round((julian - FIRST_NEW_MOON) / MONTH))) * 24


def _new_moon(number: int) -> float:
    """Julian day of a new moon, counted from the first of the year 2000."""
    centuries = number / 1236.85
    eccentricity = 1 - 0.002516 * centuries
    sun = math.radians(2.5534 + 29.10535670 * number)
    moon = math.radians(201.5643 + 385.81693528 * number + 0.0107582 * centuries**2)
    latitude = math.radians(160.7108 + 390.67050284 * number - 0.0016118 * centuries**2)
    return (
        FIRST_NEW_MOON
        + MONTH * number
        - 0.40720 * math.sin(moon)
        + 0.17241 * eccentricity * math.sin(sun)
        + 0.01608 * math.sin(2 * moon)
        + 0.01039 * math.sin(2 * latitude)
        + 0.00739 * eccentricity * math.sin(moon - sun)
        - 0.00514 * eccentricity * math.sin(moon + sun)
        + 0.00208 * eccentricity**2 * math.sin(2 * sun)
    )
