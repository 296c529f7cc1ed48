"""Offices: the tree, its codes and paths, an office's own day, and the settings that the projection uses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from zoneinfo import ZoneInfo

from inventory.domain.errors import Invalid


class OfficeKind(StrEnum):
    MINISTRY = "ministry"
    PROVINCE = "province"
    REGENCY = "regency"
    CITY = "city"
    DISTRICT = "district"
    OUTREACH = "outreach"


PARENT_KINDS: dict[OfficeKind, tuple[OfficeKind, ...]] = {
    OfficeKind.MINISTRY: (),
    OfficeKind.PROVINCE: (OfficeKind.MINISTRY,),
    OfficeKind.REGENCY: (OfficeKind.PROVINCE,),
    OfficeKind.CITY: (OfficeKind.PROVINCE,),
    OfficeKind.DISTRICT: (OfficeKind.REGENCY, OfficeKind.CITY),
    OfficeKind.OUTREACH: (OfficeKind.REGENCY, OfficeKind.CITY, OfficeKind.DISTRICT),
}

TIME_ZONES = ("Asia/Jakarta", "Asia/Pontianak", "Asia/Makassar", "Asia/Jayapura")

_CODE = re.compile(r"[0-9A-Za-z]{1,8}(\.[0-9A-Za-z]{1,8}){0,3}", re.ASCII)
_WEEK = re.compile(r"[01]{7}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class OfficeSettings:
    """What an administrator sets per office. Days are the office's working days; `working_days` is Monday first."""

    lead_time_days: int = 14
    review_period_days: int = 5
    service_level: float = 0.95
    working_days: str = "1111100"
    destroy_within_days: int = 30
    """Calendar days, not working days."""


def check_settings(settings: OfficeSettings) -> None:
    """Raises Invalid `lead_time_range`, `review_period_range`, `service_level_range`, `working_days_format`,
    `destroy_within_range`."""
    if not 0 <= settings.lead_time_days <= 250:
        raise Invalid("lead_time_range")
    if not 1 <= settings.review_period_days <= 250:
        raise Invalid("review_period_range")
    if not 0.5 <= settings.service_level <= 0.999:
        raise Invalid("service_level_range")
    if not _WEEK.fullmatch(settings.working_days) or settings.working_days == "0000000":
        raise Invalid("working_days_format")
    if not 1 <= settings.destroy_within_days <= 365:
        raise Invalid("destroy_within_range")


def is_code(text: str) -> bool:
    """Whether `text` can be an office's code: up to four parts of letters and digits, such as 51.71.01."""
    return _CODE.fullmatch(text) is not None


def check_code(code: str) -> str:
    """Raises Invalid `office_code_format`."""
    if not is_code(code):
        raise Invalid("office_code_format", code=code[:40])
    return code


def check_time_zone(name: str) -> str:
    """Raises Invalid `time_zone_unknown`."""
    if name not in TIME_ZONES:
        raise Invalid("time_zone_unknown", time_zone=name[:40])
    return name


def check_parent(kind: OfficeKind, parent: OfficeKind | None) -> None:
    """Raises Invalid `office_parent_kind` when an office of `kind` cannot belong to one of kind `parent`."""
    allowed = PARENT_KINDS[kind]
    if (parent is None and allowed) or (parent is not None and parent not in allowed):
        raise Invalid("office_parent_kind", kind=kind.value, parent=parent.value if parent else "")


def path_of(code: str, parent_path: str | None) -> str:
    """The materialised path: the codes from the root down, each followed by a slash."""
    return f"{parent_path or ''}{code}/"


def local_day(instant: datetime, time_zone: str) -> date:
    """The business day at an office when it is `instant` (aware)."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return instant.astimezone(ZoneInfo(time_zone)).date()


def local_moment(day: date, at: time, time_zone: str) -> datetime:
    """The instant (UTC) at which an office's clock shows `at` on `day`."""
    return datetime.combine(day, at, ZoneInfo(time_zone)).astimezone(UTC)
