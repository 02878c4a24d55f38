"""The duty roster in the configuration: resolved, and told where it leaves people unreachable."""

from typing import Any

import pytest

from minewatch.mine.check_duty import holes
from minewatch.model.mine import Duty, Rung, Watch

ROSTER = """
[[duty]]
rung = "district"
staff = ["S003"]
start = "08:00"
minutes = 720
screen = "dispatch-1"
"""
NIGHT = """
[[duty]]
rung = "district"
staff = ["S004", "S003"]
start = "20:00"
minutes = 720
screen = "dispatch-1"
"""
WEEK = 7 * 1440


def _codes(spoiled: Any) -> set[str]:
    return {code for code, _, _ in spoiled.faults()}


def test_a_whole_roster_loads_without_a_word(spoiled: Any) -> None:
    """Day and night stand on the rung; minutes, days and the screen arrive in the mine."""
    spoiled.append("people.toml", ROSTER + NIGHT)
    loaded = spoiled.load()
    assert loaded.faults == ()
    assert loaded.mine.duties == (
        Duty(Rung.DISTRICT, ("S003",), 480, 720, screen="dispatch-1"),
        Duty(Rung.DISTRICT, ("S004", "S003"), 1200, 720, screen="dispatch-1"),
    )
    assert loaded.mine.modems == ()


def test_a_hole_is_a_warning_that_says_how_long_and_when(spoiled: Any) -> None:
    """Half of each day nobody is on duty; it loads all the same."""
    line = spoiled.append("people.toml", ROSTER)
    loaded = spoiled.load()
    (fault,) = loaded.faults
    assert loaded.mine is not None
    assert (fault.code, fault.line) == ("roster_hole", line + 4)
    assert fault.fields == {"rung": "district", "minutes": str(WEEK // 2), "day": "1",
                            "time": "00:00"}  # fmt: skip


def test_the_first_hole_in_the_middle_of_the_week(spoiled: Any) -> None:
    """Thursday noon to one: the place is named by day and hour."""
    rest = ROSTER.replace('start = "08:00"\nminutes = 720', "{}")
    spoiled.append(
        "people.toml",
        rest.replace("{}", "weekdays = [1, 2, 3, 5, 6, 7]")
        + rest.replace("{}", "minutes = 720\nweekdays = [4]")
        + rest.replace("{}", 'start = "13:01"\nminutes = 659\nweekdays = [4]'),
    )
    (fault,) = spoiled.load().faults
    assert (fault.fields["minutes"], fault.fields["day"], fault.fields["time"]) == (
        "61", "4", "12:00",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "empty"),
    [
        ((), WEEK),
        ((Duty(Rung.POST, ("a",)),), 0),
        ((Duty(Rung.POST, ("a",), 0, 1439),), 7),
        ((Duty(Rung.POST, ("a",), 1439, 1440),), 0),
        ((Duty(Rung.POST, ("a",), 0, 1440, (1, 2, 3, 4, 5)),), 2 * 1440),
        ((Duty(Rung.POST, ("a",), 1439, 2, (7,)),), WEEK - 2),
    ],
)
def test_the_minutes_without_anybody(rows: tuple[Duty, ...], empty: int) -> None:
    """A duty may run into the next day and from Sunday into Monday."""
    assert len(holes(rows)) == empty


@pytest.mark.parametrize("day", [1, 4, 7])
@pytest.mark.parametrize("start", [0, 600, 1430])
def test_the_check_and_the_core_agree_about_every_minute(day: int, start: int) -> None:
    """What `check` calls a hole is exactly when the core finds nobody."""
    rows = (Duty(Rung.POST, ("a",), start, 90, (day,)),)
    empty = set(holes(rows))
    assert all(rows[0].is_on(minute) is (minute not in empty) for minute in range(WEEK))


def test_who_cannot_be_reached_is_named(spoiled: Any) -> None:
    """Without a phone and without a screen nobody on the row is reached."""
    spoiled.append("people.toml", ROSTER.replace('screen = "dispatch-1"\n', "") + NIGHT)
    faults = {each.code: each.fields for each in spoiled.load().faults}
    assert faults["duty_unreachable"] == {"wanted": "S003"}


def test_phones_without_a_modem_reach_nobody(spoiled: Any) -> None:
    """A number is of no use where nothing dials it; with a modem line all is well."""
    spoiled.replace(
        "people.toml",
        'role = "duty_leader"\n',
        'role = "duty_leader"\nphone = "13800000003"\n',
    )
    row = ROSTER.replace('screen = "dispatch-1"\n', "").replace("720", "1440")
    spoiled.append("people.toml", row)
    assert _codes(spoiled) == {"duty_no_modem"}
    spoiled.append(
        "buses.toml", '\n[[bus]]\nid = "sms"\nurl = "serial:///dev/serial/by-id/m?baud=9600"\n'
    )
    spoiled.append(
        "devices.toml", '\n[[device]]\nid = "modem"\nbus = "sms"\nunit = 1\nmodel = "gsm-modem"\n'
    )
    loaded = spoiled.load()
    assert {each.code for each in loaded.faults} == set()
    assert loaded.mine.modems == ("sms",)


def test_a_screen_that_is_no_terminal(spoiled: Any) -> None:
    """No page is ever live under a name that the console does not know."""
    spoiled.append("people.toml", ROSTER.replace("dispatch-1", "leader").replace("720", "1440"))
    assert _codes(spoiled) == {"unknown_terminal"}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("S003", "S999", "unknown_reference"),
        ("district", "county", "bad_choice"),
        ("08:00", "24:00", "bad_form"),
        ("minutes = 720", "minutes = 1441", "out_of_bounds"),
        ("minutes = 720", "weekdays = [8]", "out_of_bounds"),
        ('staff = ["S003"]', "staff = []", "out_of_bounds"),
        ("minutes", "minuten", "unknown_key"),
    ],
)
def test_a_slip_refuses(spoiled: Any, old: str, new: str, code: str) -> None:
    """A wrong name, rung, time or number in a row refuses the configuration."""
    spoiled.append("people.toml", ROSTER.replace(old, new))
    loaded = spoiled.load()
    assert loaded.mine is None
    assert code in {each.code for each in loaded.faults}


def test_the_watch(spoiled: Any) -> None:
    """Without the table nobody is asked; with it hourly from 22:00 to 06:00, unless it says so."""
    assert spoiled.load().mine.watch == Watch(1320, 360, 0, 5)
    spoiled.append("people.toml", "\n[watch]\n")
    assert spoiled.load().mine.watch == Watch(1320, 360, 60, 5)
    spoiled.replace(
        "people.toml", "[watch]\n", '[watch]\nnight = ["21:30", "07:15"]\nevery_minutes = 30\n'
        "answer_minutes = 3\n",
    )  # fmt: skip
    assert spoiled.load().mine.watch == Watch(1290, 435, 30, 3)


@pytest.mark.parametrize(
    ("table", "key", "most"),
    [
        ("watch", "every_minutes", 60),
        ("watch", "answer_minutes", 5),
        ("escalation", "company_s", 300),
        ("escalation", "shelve_max_minutes", 480),
        ("escalation", "shelves_max", 32),
    ],
)
def test_a_mine_may_be_stricter_and_never_looser(
    spoiled: Any, table: str, key: str, most: int
) -> None:
    """The bound itself is allowed, one more is refused with its source."""
    spoiled.append("people.toml", f"\n[{table}]\n{key} = {most}\n")
    assert spoiled.load().faults == ()
    spoiled.replace("people.toml", f"{key} = {most}\n", f"{key} = {most + 1}\n")
    assert _codes(spoiled) == {"looser_bound"}
