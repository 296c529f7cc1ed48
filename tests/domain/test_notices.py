"""Who gets which change, when it may be sent, when it is passed on, and how long a failure waits."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.domain.access import Grant, Role
from inventory.domain.alerts import Level, Subject
from inventory.domain.calendars import OfficeCalendar
from inventory.domain.errors import Invalid
from inventory.domain.notices import (
    FEW,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    MAX_ATTEMPTS,
    Change,
    ChannelKind,
    OfficeHours,
    QuietHours,
    Recipient,
    after_working_hours,
    channel_of,
    check_target,
    escalated_to,
    escalates,
    messages_of,
    office_through_which,
    parent_path,
    paths_above,
    pause_after,
    route,
    send_from,
    signature,
    unsubscribe_token,
)

CITY, PROVINCE, ROOT = "00/51/51.71/", "00/51/", "00/"
DISTRICT = "00/51/51.71/51.71.01/"
NIGHT = QuietHours(time(20), time(6))
HOURS = OfficeHours(time(8), time(16))


def change(path: str = CITY, to: Level = Level.LOW, before: Level = Level.OK, event_id: int = 1, **values) -> Change:
    values.setdefault("subject", Subject.LOW_STOCK)
    return Change(event_id=event_id, alert_id=1, path=path, from_level=before, to_level=to, **values)


def recipient(role: Role = Role.MANAGER, path: str = CITY, channel_id: int = 1, **values) -> Recipient:
    values.setdefault("least_level", Level.WATCH)
    return Recipient(channel_id=channel_id, grants=(Grant(role, path),), **values)


# --- who ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "own", "below", "where", "told"),
    [
        (Role.STOREKEEPER, CITY, True, CITY, True),
        (Role.STOREKEEPER, CITY, True, DISTRICT, False),
        (Role.MANAGER, CITY, True, CITY, True),
        (Role.MANAGER, CITY, True, DISTRICT, True),
        (Role.MANAGER, CITY, False, DISTRICT, False),
        (Role.MANAGER, CITY, False, CITY, True),
        (Role.VIEWER, PROVINCE, True, DISTRICT, True),
        (Role.VIEWER, CITY, True, PROVINCE, False),
        (Role.VIEWER, CITY, True, "00/51/51.7/", False),
        (Role.VIEWER, "00/51/51.7/", True, CITY, False),
        (Role.ADMINISTRATOR, ROOT, True, CITY, False),
    ],
)
def test_role_and_place_decide_who_is_told(role: Role, own: str, below: bool, where: str, told: bool) -> None:
    found = office_through_which(recipient(role, own, below=below), change(where))
    assert found == (own if told else None)


@pytest.mark.parametrize(
    ("role", "own", "to", "told"),
    [
        (Role.MANAGER, CITY, Level.OUT, True),
        (Role.MANAGER, CITY, Level.CRITICAL, False),
        (Role.MANAGER, PROVINCE, Level.OUT, False),
        (Role.VIEWER, CITY, Level.OUT, False),
    ],
)
def test_managers_right_above_hear_of_an_empty_store_whatever_they_leave_out(
    role: Role, own: str, to: Level, told: bool
) -> None:
    found = office_through_which(recipient(role, own, below=False), change(DISTRICT, to))
    assert (found is not None) is told


@pytest.mark.parametrize(
    ("least", "before", "to", "wanted"),
    [
        (Level.LOW, Level.OK, Level.WATCH, False),
        (Level.LOW, Level.OK, Level.LOW, True),
        (Level.LOW, Level.WATCH, Level.OUT, True),
        (Level.LOW, Level.CRITICAL, Level.OK, True),
        (Level.LOW, Level.WATCH, Level.OK, False),
        (Level.LOW, Level.OK, Level.UNKNOWN, False),
        (Level.UNKNOWN, Level.OK, Level.UNKNOWN, True),
        (Level.OUT, Level.LOW, Level.CRITICAL, False),
    ],
)
def test_the_least_level_counts_before_and_after(least: Level, before: Level, to: Level, wanted: bool) -> None:
    assert recipient(least_level=least).wants(change(to=to, before=before)) is wanted


def test_a_subject_that_is_left_out_is_not_told_and_a_new_one_is() -> None:
    without = recipient(without=frozenset({Subject.DAY_NOT_CLOSED}))
    wanted = {subject for subject in Subject if without.wants(change(subject=subject))}
    assert wanted == set(Subject) - {Subject.DAY_NOT_CLOSED}


def test_of_two_offices_above_one_another_the_nearer_is_the_region() -> None:
    both = Recipient(
        channel_id=1, grants=(Grant(Role.VIEWER, PROVINCE), Grant(Role.MANAGER, CITY)), least_level=Level.LOW
    )
    near, far = change(DISTRICT, event_id=1), change("00/51/51.03/", event_id=2)
    assert route([near, far], [both]) == {(1, CITY): [near], (1, PROVINCE): [far]}


def test_paths_above_go_up_to_the_root() -> None:
    assert paths_above(DISTRICT) == [CITY, PROVINCE, ROOT]
    assert parent_path(ROOT) == ""


@given(st.lists(st.sampled_from([ROOT, PROVINCE, CITY, DISTRICT, "00/51/51.03/", "00/16/"]), max_size=30))
def test_routing_finds_whom_looking_at_each_pair_finds(paths: list[str]) -> None:
    people = [
        recipient(role, path, channel_id=number)
        for number, (role, path) in enumerate(
            [(Role.VIEWER, ROOT), (Role.MANAGER, PROVINCE), (Role.STOREKEEPER, CITY), (Role.MANAGER, CITY)], start=1
        )
    ]
    changes = [change(path, event_id=number) for number, path in enumerate(paths)]
    wanted = {(p.channel_id, c.event_id) for p in people for c in changes if office_through_which(p, c)}
    found = [(channel, c.event_id) for (channel, _), some in route(changes, people).items() for c in some]
    assert len(found) == len(set(found))
    assert set(found) == wanted


@pytest.mark.parametrize(
    ("number", "digest", "sizes"),
    [(1, True, [1]), (9, True, [9]), (FEW, False, [1] * FEW), (FEW + 1, False, [FEW + 1]), (1000, False, [1000])],
)
def test_many_changes_are_one_message(number: int, digest: bool, sizes: list[int]) -> None:
    changes = [change(event_id=each) for each in range(number)]
    assert [len(each) for each in messages_of(changes, digest=digest)] == sizes


def test_an_escalation_goes_to_the_nearest_managers_who_want_it() -> None:
    far, near = recipient(path=PROVINCE, channel_id=1), recipient(path=CITY, channel_id=2, least_level=Level.OUT)
    managers = {PROVINCE: [far], CITY: [near]}
    assert escalated_to(change(DISTRICT, Level.OUT), managers) == (CITY, [near])
    assert escalated_to(change(DISTRICT, Level.LOW), managers) == (PROVINCE, [far])
    assert escalated_to(change(PROVINCE), managers) is None


@pytest.mark.parametrize(
    ("subject", "to", "passed_on"),
    [
        (Subject.LOW_STOCK, Level.WATCH, False),
        (Subject.LOW_STOCK, Level.UNKNOWN, False),
        (Subject.LOW_STOCK, Level.LOW, True),
        (Subject.LOW_STOCK, Level.OUT, True),
        (Subject.DAY_NOT_CLOSED, Level.WATCH, False),
        (Subject.DAY_NOT_CLOSED, Level.CRITICAL, True),
        (Subject.LOW_STOCK, Level.OK, False),
    ],
)
def test_what_is_passed_on(subject: Subject, to: Level, passed_on: bool) -> None:
    assert escalates(change(to=to, before=Level.CRITICAL, subject=subject)) is passed_on


# --- quiet hours -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "quiet", "now", "then"),
    [
        # Indonesia's three clocks have no summer time.
        ("Asia/Jakarta", NIGHT, "2024-05-15T19:59", None),
        ("Asia/Jakarta", NIGHT, "2024-05-15T20:00", "2024-05-16T06:00"),
        ("Asia/Jakarta", NIGHT, "2024-05-16T00:00", "2024-05-16T06:00"),
        ("Asia/Jakarta", NIGHT, "2024-05-16T05:59", "2024-05-16T06:00"),
        ("Asia/Jakarta", NIGHT, "2024-05-16T06:00", None),
        ("Asia/Jayapura", NIGHT, "2024-12-31T23:30", "2025-01-01T06:00"),
        ("Asia/Makassar", QuietHours(time(12), time(13)), "2024-05-15T12:30", "2024-05-15T13:00"),
        ("Asia/Makassar", QuietHours(time(12), time(13)), "2024-05-15T13:00", None),
        ("Asia/Makassar", QuietHours(time(0), time(6)), "2024-05-15T03:00", "2024-05-15T06:00"),
        ("Asia/Makassar", QuietHours(time(6), time(6)), "2024-05-15T06:00", None),
        # Clocks go forward on 31 March 2024 and back on 27 October at 02:00 and 03:00 in Berlin.
        ("Europe/Berlin", NIGHT, "2024-03-30T22:00", "2024-03-31T06:00"),
        ("Europe/Berlin", QuietHours(time(22), time(2, 30)), "2024-03-30T23:00", "2024-03-31T03:30"),
        ("Europe/Berlin", NIGHT, "2024-10-26T22:00", "2024-10-27T06:00"),
        ("Europe/Berlin", QuietHours(time(22), time(2, 30)), "2024-10-26T23:00", "2024-10-27T02:30"),
    ],
)
def test_a_message_waits_for_the_end_of_quiet_hours(zone: str, quiet: QuietHours, now: str, then: str | None) -> None:
    instant = datetime.fromisoformat(now).replace(tzinfo=ZoneInfo(zone))
    sleeper = recipient(quiet=quiet, time_zone=zone)
    wanted = datetime.fromisoformat(then or now).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    assert send_from(instant, sleeper, urgent=False) == wanted
    assert send_from(instant, sleeper, urgent=True) == instant


@given(
    st.integers(0, 3 * 366 * 1440).map(lambda minutes: datetime(2023, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)),
    st.sampled_from(["Asia/Jayapura", "Europe/Berlin", "America/Santiago"]),
    st.times().map(lambda each: each.replace(second=0, microsecond=0)),
    st.times().map(lambda each: each.replace(second=0, microsecond=0)),
)
def test_no_message_is_sent_early_nor_kept_longer_than_a_day(
    now: datetime, zone: str, since: time, until: time
) -> None:
    sleeper = recipient(quiet=QuietHours(since, until), time_zone=zone)
    then = send_from(now, sleeper, urgent=False)
    assert now <= then <= now + timedelta(hours=25)
    assert send_from(now, recipient(), urgent=False) == now


# --- working hours -----------------------------------------------------------------------------------------------

# 9 and 10 May 2024: Ascension Day and its collective leave, a Thursday and a Friday.
CALENDAR = OfficeCalendar(
    working_week="1111100", holidays={date(2024, 5, 9): "Kenaikan", date(2024, 5, 10): "Cuti bersama"}
)


@pytest.mark.parametrize(
    ("start", "hours", "then"),
    [
        ("2024-05-15T09:00", 4, "2024-05-15T13:00"),
        ("2024-05-15T08:00", 8, "2024-05-15T16:00"),
        ("2024-05-15T14:00", 4, "2024-05-16T10:00"),
        ("2024-05-15T05:00", 4, "2024-05-15T12:00"),
        ("2024-05-15T16:00", 4, "2024-05-16T12:00"),
        ("2024-05-15T23:30", 4, "2024-05-16T12:00"),
        ("2024-05-17T14:00", 4, "2024-05-20T10:00"),  # over a weekend
        ("2024-05-18T10:00", 4, "2024-05-20T12:00"),  # found on one
        ("2024-05-08T14:00", 4, "2024-05-13T10:00"),  # over two holidays and a weekend
        ("2024-05-09T10:00", 16, "2024-05-14T16:00"),
        ("2024-05-15T09:00", 0.5, "2024-05-15T09:30"),
    ],
)
@pytest.mark.parametrize("zone", ["Asia/Jakarta", "Asia/Jayapura"])
def test_hours_count_while_the_office_works(start: str, hours: float, then: str, zone: str) -> None:
    begun = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone))
    wanted = datetime.fromisoformat(then).replace(tzinfo=ZoneInfo(zone))
    assert after_working_hours(begun, hours, CALENDAR, zone, HOURS) == wanted


def test_an_office_that_never_opens_has_no_working_hours() -> None:
    shut = OfficeCalendar(
        working_week="1000000", closed=frozenset(date(2024, 1, 1) + timedelta(days=7 * n) for n in range(400))
    )
    with pytest.raises(ValueError, match="no open day"):
        after_working_hours(datetime(2024, 5, 15, tzinfo=UTC), 1, shut, "Asia/Jakarta", HOURS)


# --- attempts ----------------------------------------------------------------------------------------------------


@given(st.integers(1, 200), st.floats(0, 1))
def test_a_pause_lies_between_half_and_whole_of_what_doubles(attempts: int, chance: float) -> None:
    whole = min(FIRST_PAUSE * 2 ** min(attempts - 1, 20), LONGEST_PAUSE)
    assert whole / 2 <= pause_after(attempts, chance) <= whole


def test_the_attempts_outlast_a_night_and_end() -> None:
    shortest = sum((pause_after(each, 0.0) for each in range(1, MAX_ATTEMPTS)), timedelta())
    longest = sum((pause_after(each, 1.0) for each in range(1, MAX_ATTEMPTS)), timedelta())
    assert timedelta(hours=20) < shortest < longest < timedelta(days=3)


# --- addresses and signatures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "target", "code"),
    [
        (ChannelKind.TELEGRAM, "-1001234567890", None),
        (ChannelKind.TELEGRAM, "@dukcapil_bali", None),
        (ChannelKind.TELEGRAM, "123/../../x", "telegram_chat_format"),
        (ChannelKind.WEBHOOK, "https://kantor.example/hook?a=1", None),
        (ChannelKind.WEBHOOK, "http://kantor.example/hook", "webhook_format"),
        (ChannelKind.WEBHOOK, "https://user@kantor.example/", "webhook_format"),
        (ChannelKind.WEBHOOK, "file:///etc/passwd", "webhook_format"),
        (ChannelKind.WEBHOOK, "https://kantor.example@127.0.0.1/", "webhook_format"),
        (ChannelKind.WEBHOOK, "https://kantor.example\\@127.0.0.1/", "webhook_format"),
        (ChannelKind.WEBHOOK, "https://kantor.example/ Host: x", "webhook_format"),
        (ChannelKind.WEBHOOK, "https://kantor.example/\r\nX: y", "webhook_format"),
        (ChannelKind.WEBHOOK, "gopher://kantor.example/", "webhook_format"),
        (ChannelKind.WEBHOOK, "//kantor.example/", "webhook_format"),
        (ChannelKind.OTHER, "SLACK://127.0.0.1/", "service_unknown"),
        (ChannelKind.OTHER, "jsons://kantor.example", "service_unknown"),
        (ChannelKind.OTHER, "file://x/etc/passwd", "service_unknown"),
        (ChannelKind.WEBHOOK, "https://" + "a" * 600, "webhook_format"),
        (ChannelKind.OTHER, "slack://TokenA/TokenB/TokenC", None),
        (ChannelKind.OTHER, "json://127.0.0.1/", "service_unknown"),
        (ChannelKind.OTHER, "slack", "service_unknown"),
    ],
)
def test_addresses_are_looked_at(kind: ChannelKind, target: str, code: str | None) -> None:
    if code is None:
        assert check_target(kind, f" {target} ", ["slack"], private=False) == target
        return
    with pytest.raises(Invalid) as refused:
        check_target(kind, target, ["slack"], private=False)
    assert refused.value.code == code


def test_plain_http_needs_the_setting() -> None:
    assert check_target(ChannelKind.WEBHOOK, "http://10.0.0.5/x", [], private=True) == "http://10.0.0.5/x"


def test_a_signature_covers_the_time_and_the_body() -> None:
    wanted = hmac.new(b"rahasia", b'1715742000.{"a":1}', hashlib.sha256).hexdigest()
    assert signature("rahasia", "1715742000", b'{"a":1}') == f"sha256={wanted}"


@given(st.integers(1, 10**8))
def test_a_link_names_the_channel_that_was_signed(channel_id: int) -> None:
    token = unsubscribe_token("kunci", channel_id)
    assert channel_of("kunci", token) == channel_id
    assert channel_of("kunci lain", token) is None
    assert channel_of("kunci", f"{channel_id + 1}-{token.partition('-')[2]}") is None


@pytest.mark.parametrize("token", ["", "1", "1-", "-", "0-abc", "x-abc", "1-\u0661", "99999999999-a", "1" * 5000])
def test_a_link_that_nobody_signed_names_nothing(token: str) -> None:
    assert channel_of("kunci", token) is None
