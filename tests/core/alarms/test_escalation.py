"""The ladder of an unanswered alarm: who is on duty, what reaches them, and that it never ends."""

from dataclasses import replace

import pytest

from minewatch.core import local_time
from minewatch.core.alarms import escalation, on_call
from minewatch.core.fold import recover
from minewatch.core.view import view
from minewatch.model.alarm import AlarmKind, AlarmState
from minewatch.model.image import Image, Notice
from minewatch.model.mine import (
    Duty,
    Escalation,
    Handover,
    Mode,
    Role,
    Rung,
    Staff,
    Upload,
)

MINUTE_MS = 60_000
MONDAY_MS = 1_700_409_600_000
"""Monday 20 November 2023, 00:00 in China."""

PHONES = (
    Staff("S1", "甲", Role.DISPATCHER, "13800000001"),
    Staff("S3", "丙", Role.DUTY_LEADER, "13800000003"),
    Staff("S4", "丁", Role.CHIEF_ENGINEER, "13800000004"),
    Staff("S5", "戊", Role.MINE_HEAD, "13800000005"),
    Staff("S6", "己", Role.FIELD_ENGINEER, "13800000006"),
    Staff("S8", "辛", Role.LAMP_ROOM_CLERK),
)
MODEM = {"staff": PHONES, "modems": ("gas2",)}
COMPANY = Duty(Rung.COMPANY, ("S6",))


def _trip(rig) -> int:
    """Trip a head, and keep it there; return the ms of the alarm."""
    rig.turn(readings={"Z0_H0": 155})
    rig.world["Z0_H0"] = 155
    return rig.now_ms


def _said(rig, since_ms: int) -> list[tuple[int, str, list[str]]]:
    """Return the escalations of the trip: after how many seconds, to whom, told to whom."""
    trip = next(
        each for each in rig.state.durable.alarms.items.values() if each.kind is AlarmKind.TRIP
    )
    return [
        ((e.now_ms - since_ms) // 1000, e.data["to"], e.data["told"])
        for e in rig.of("escalated")
        if e.data["alarm"] == trip.id
    ]


@pytest.mark.parametrize(
    ("wall_ms", "week", "day"),
    [
        (MONDAY_MS, 0, 0),
        (MONDAY_MS - 1, 7 * 1440 - 1, 1439),
        (MONDAY_MS + 1439 * MINUTE_MS, 1439, 1439),
        (MONDAY_MS + 1440 * MINUTE_MS, 1440, 0),
        (MONDAY_MS + 59_999, 0, 0),
        (MONDAY_MS + 60_000, 1, 1),
        (0, 3 * 1440 + 480, 480),
    ],
)
def test_the_minute_of_the_week(wall_ms: int, week: int, day: int) -> None:
    """Local time is UTC+8 all year, a week begins on Monday; 1970 began on a Thursday."""
    assert (local_time.week_minute(wall_ms), local_time.day_minute(wall_ms)) == (week, day)


@pytest.mark.parametrize("company", [False, True])
def test_the_schedule(mine_of, company) -> None:
    """Practice 13's times; the company is a step of its own where the roster has one."""
    mine = mine_of(duties=(COMPANY,) if company else ())
    steps = [("horn", 30_000), ("duty_leader", 60_000), ("mine_head", 180_000)]
    steps += [("company", 240_000)] if company else []
    assert on_call.schedule(mine) == (*steps, ("unanswered", 300_000))
    names = [escalation.step_name(mine, n) for n in range(1, 8)]
    assert names == [*(name for name, _ in steps), *["unanswered"] * (7 - len(steps))]


def test_due_times_repeat_after_the_last(mine_of, alarm_of) -> None:
    """The steps count from the alarm, the repeats from the last step."""
    mine = mine_of()
    item = alarm_of(raised_ms=1_000, stepped_ms=500_000)
    due = [escalation.due_ms(mine, item, step) for step in range(6)]
    assert due == [31_000, 61_000, 181_000, 301_000, 800_000, 800_000]


def test_each_step_tells_whose_office_it_is(rig_of, mine_of) -> None:
    """Without a roster: duty leader, then mine head and chief engineer, then all, by phone."""
    rig = rig_of(mine_of(**MODEM)).start()
    began_ms = _trip(rig)
    rig.run(601, scan_ms=1000)
    head, all_ = ["sms:S4", "sms:S5"], ["sms:S3", "sms:S4", "sms:S5"]
    assert _said(rig, began_ms) == [
        (30, "horn", ["horn"]),
        (60, "duty_leader", ["sms:S3"]),
        (180, "mine_head", head),
        (300, "unanswered", all_),
        (600, "unanswered", all_),
    ]
    assert not rig.state.durable.alarms.standing.get("nobody_reachable/duty_leader")
    assert recover(rig.events) == rig.state.durable


def test_the_roster_says_who_is_on_duty(rig_of, mine_of) -> None:
    """Night and day have their own leaders; who is off duty is not called."""
    duties = (
        Duty(Rung.POST, ("S1",)),
        Duty(Rung.DISTRICT, ("S3",), 8 * 60, 720),
        Duty(Rung.DISTRICT, ("S4",), 20 * 60, 720),
        Duty(Rung.MINE, ("S5", "S8")),
        COMPANY,
    )
    for hour, leader in ((9, "S3"), (23, "S4"), (3, "S4")):
        rig = rig_of(mine_of(**MODEM, duties=duties), wall_ms=MONDAY_MS + hour * 3_600_000)
        began_ms = _trip(rig.start())
        rig.run(310, scan_ms=1000)
        all_ = sorted({"sms:S1", "sms:S5", "sms:S6", f"sms:{leader}"})
        assert _said(rig, began_ms) == [
            (30, "horn", ["horn", "sms:S1"]),
            (60, "duty_leader", [f"sms:{leader}"]),
            (180, "mine_head", ["sms:S5"]),
            (240, "company", ["sms:S6"]),
            (300, "unanswered", all_),
        ]


def _image(wall_ms: int, *, trusted: bool) -> Image:
    return Image(0, 0, wall_ms, trusted, 0)


def test_without_a_trusted_clock_everybody_on_the_roster_counts(mine_of) -> None:
    """Nobody knows the hour, so every row of the rung is told."""
    rows = (Duty(Rung.DISTRICT, ("S3",), 0, 60), Duty(Rung.DISTRICT, ("S4",), 60, 60))
    mine = mine_of(duties=(*rows, Duty(Rung.MINE, ("S5",))))
    assert on_call.on_duty(mine, Rung.DISTRICT, _image(MONDAY_MS, trusted=True)) == rows[:1]
    assert on_call.on_duty(mine, Rung.DISTRICT, _image(MONDAY_MS, trusted=False)) == rows


@pytest.mark.parametrize(("off_min", "on"), [(-1, False), (0, True), (59, True), (60, False)])
def test_a_duty_begins_and_ends_at_its_minute(mine_of, off_min: int, on) -> None:
    """The first minute is on duty, the one after the last is not."""
    mine = mine_of(duties=(Duty(Rung.DISTRICT, ("S3",), 600, 60),))
    image = _image(MONDAY_MS + (600 + off_min) * MINUTE_MS, trusted=True)
    assert bool(on_call.on_duty(mine, Rung.DISTRICT, image)) is on


def test_a_hole_in_the_roster_goes_on_at_once(rig_of, mine_of, row) -> None:
    """A rung with nobody on duty reaches nobody: the next is told in the same cycle."""
    duties = (Duty(Rung.DISTRICT, ("S3",), 8 * 60, 60),)
    rig = rig_of(mine_of(**MODEM, duties=duties), wall_ms=MONDAY_MS + 12 * 3_600_000).start()
    began_ms = _trip(rig)
    rig.run(62)
    assert _said(rig, began_ms)[1:] == [
        (60, "duty_leader", []),
        (60, "mine_head", ["sms:S4", "sms:S5"]),
    ]
    nobody = row(rig, AlarmKind.NOBODY_REACHABLE, "duty_leader")
    assert (nobody.priority, nobody.state) == (2, AlarmState.UNACKNOWLEDGED)
    rig.run(560, scan_ms=1000)
    assert [s for s, _, _ in _said(rig, began_ms)[3:]] == [300, 600]


def test_a_modem_that_is_down_reaches_nobody(rig_of, mine_of, row) -> None:
    """With the line lost every step falls through to the county, and each says so."""
    rig = rig_of(mine_of(**MODEM, uploads=(Upload("county", "mqtt://h"),))).start()
    rig.turn(notices=(Notice("bus_lost", "gas2", {}),))
    began_ms = _trip(rig)
    rig.run(61)
    assert _said(rig, began_ms) == [
        (30, "horn", ["horn"]),
        (60, "duty_leader", []),
        (60, "mine_head", []),
        (60, "unanswered", ["upload"]),
    ]
    assert row(rig, AlarmKind.NOBODY_REACHABLE, "unanswered") is None
    rig.turn(notices=(Notice("bus_restored", "gas2", {}),))
    rig.run(301, scan_ms=1000)
    assert _said(rig, began_ms)[4:] == [
        (360, "unanswered", ["sms:S3", "sms:S4", "sms:S5", "upload"]),
    ]


def test_the_last_step_without_anybody_repeats_and_is_an_alarm(rig_of, mine_of, row) -> None:
    """With the upload down as well nobody hears of it: said at every repeat, and it stands."""
    mine = mine_of(**MODEM, uploads=(Upload("county", "mqtt://h"),))
    rig = rig_of(mine).start()
    lost = (Notice("bus_lost", "gas2", {}), Notice("upload_lost", "", {}))
    rig.turn(notices=lost)
    began_ms = _trip(rig)
    rig.run(361, scan_ms=1000)
    assert [(s, told) for s, to, told in _said(rig, began_ms) if to == "unanswered"] == [
        (60, []), (360, []),
    ]  # fmt: skip
    assert row(rig, AlarmKind.NOBODY_REACHABLE, "unanswered").active
    rig.command("acknowledge", "S1", alarms=sorted(rig.state.durable.alarms.items))
    rig.turn()
    for to in on_call.STEPS:
        assert (
            row(rig, AlarmKind.NOBODY_REACHABLE, to) is None
            or not row(rig, AlarmKind.NOBODY_REACHABLE, to).active
        )


def test_two_modems_one_of_which_lives(rig_of, mine_of) -> None:
    """One living modem is enough."""
    mine = mine_of(staff=PHONES, modems=("one", "two"))
    rig = rig_of(mine).start()
    rig.turn(notices=(Notice("bus_lost", "one", {}),))
    began_ms = _trip(rig)
    rig.run(61, scan_ms=1000)
    assert _said(rig, began_ms)[-1] == (60, "duty_leader", ["sms:S3"])


def test_messages_that_all_fail_let_the_next_step_go_at_once(rig_of, mine_of, row) -> None:
    """As long as one message may still arrive the step stands; with the last failure it is over."""
    rig = rig_of(mine_of(**MODEM)).start()
    began_ms = _trip(rig)
    rig.run(181, scan_ms=1000)
    trip = row(rig, AlarmKind.TRIP, "Z0_H0")
    assert trip.told == ("sms:S4", "sms:S5")

    def fail(code: str) -> None:
        said = {"message": f"{trip.id}-{trip.step}-{code}", "to": code, "tries": 3, "error": "x"}
        rig.turn(notices=(Notice("message_failed", "gas2", said),))

    fail("S4")
    rig.turn()
    assert len(_said(rig, began_ms)) == 3
    fail("S5")
    rig.turn()
    assert _said(rig, began_ms)[3:] == [(181, "unanswered", ["sms:S3", "sms:S4", "sms:S5"])]
    assert row(rig, AlarmKind.NOBODY_REACHABLE, "mine_head").active
    trip = row(rig, AlarmKind.TRIP, "Z0_H0")
    for code in ("S3", "S4", "S5"):
        fail(code)
    rig.turn()
    assert row(rig, AlarmKind.NOBODY_REACHABLE, "unanswered").active
    assert len(_said(rig, began_ms)) == 4
    rig.run(300, scan_ms=1000)
    assert [to for _, to, _ in _said(rig, began_ms)[4:]] == ["unanswered"]
    assert not row(rig, AlarmKind.NOBODY_REACHABLE, "unanswered").active


def test_a_screen_with_a_live_page_reaches_who_is_on_duty(rig_of, mine_of) -> None:
    """The leader's own terminal counts while its page is live and audible, for 60 s each time."""
    duties = (Duty(Rung.DISTRICT, ("S8",), screen="leader"),)
    rig = rig_of(mine_of(duties=duties)).start()
    began_ms = _trip(rig)
    seen = Notice("console_seen", "", {"pages": 2, "terminals": ["dispatch", "leader"]})
    rig.turn(notices=(seen,))
    rig.run(59, scan_ms=1000)
    rig.run(2)
    assert _said(rig, began_ms) == [
        (30, "horn", ["horn", "page"]),
        (60, "duty_leader", ["screen:leader"]),
    ]


@pytest.mark.parametrize(("age_ms", "live"), [(59_999, True), (60_000, True), (60_001, False)])
def test_a_page_is_live_for_a_minute(rig_of, mine_of, draft_of, age_ms: int, live) -> None:
    """One minute to the millisecond."""
    rig = rig_of(mine_of(duties=(Duty(Rung.DISTRICT, ("S8",), screen="leader"),))).start()
    rig.turn(notices=(Notice("console_seen", "", {"terminals": ["leader"]}),))
    draft = draft_of(rig, ms=age_ms)
    assert on_call.reached(draft, "duty_leader") == (("screen:leader",) if live else ())
    assert on_call.reached(draft, "horn") == (("horn", "page") if live else ("horn",))


def test_without_any_channel_the_steps_keep_their_time(rig, row) -> None:
    """A mine that can call nobody escalates by the clock, and says that nobody is reached."""
    began_ms = _trip(rig)
    rig.run(301, scan_ms=1000)
    assert _said(rig, began_ms) == [
        (30, "horn", ["horn"]),
        (60, "duty_leader", []),
        (180, "mine_head", []),
        (300, "unanswered", []),
    ]
    for to in ("duty_leader", "mine_head", "unanswered"):
        assert row(rig, AlarmKind.NOBODY_REACHABLE, to).active
    assert row(rig, AlarmKind.NOBODY_REACHABLE, "horn") is None
    assert len(rig.of("escalated")) == len([e for e in rig.of("escalated") if e.data["step"] <= 4])


@pytest.mark.parametrize("mode", [Mode.MONITOR, Mode.CONTROL])
def test_the_horn_reaches_the_post_where_it_is_driven(rig_of, mine_of, draft_of, mode) -> None:
    """In mode monitor no horn sounds, so without a page the post is not reached."""
    rig = rig_of(mine_of(mode=mode)).start()
    told = on_call.reached(draft_of(rig), "horn")
    assert told == (() if mode is Mode.MONITOR else ("horn",))


def test_a_long_stop_of_the_process_takes_the_steps_that_are_due_as_one(rig_of, mine_of) -> None:
    """After a gap the highest step due is said once, and the repeats go on from there."""
    rig = rig_of(mine_of(**MODEM)).start()
    began_ms = _trip(rig)
    rig.run(20, scan_ms=1000)
    rig.turn(ms=700_000)
    assert [(s, to) for s, to, _ in _said(rig, began_ms)] == [(720, "unanswered")]
    rig.run(301, scan_ms=1000)
    assert [s for s, _, _ in _said(rig, began_ms)] == [720, 1020]


def test_the_frame_says_to_whom_it_went(rig_of, mine_of, row) -> None:
    """The page shows the step and who was told, nothing before the first step."""
    rig = rig_of(mine_of(**MODEM)).start()
    _trip(rig)
    trip = row(rig, AlarmKind.TRIP, "Z0_H0")
    shown = view(rig.mine, rig.state, rig.now_ms)["alarms"][trip.id]
    assert (shown["escalated_to"], shown["told"]) == ("", [])
    rig.run(61, scan_ms=1000)
    shown = view(rig.mine, rig.state, rig.now_ms)["alarms"][trip.id]
    assert (shown["escalated_to"], shown["told"]) == ("duty_leader", ["sms:S3"])


@pytest.mark.parametrize(
    ("priority", "state", "urgent"),
    [
        (1, AlarmState.UNACKNOWLEDGED, True),
        (1, AlarmState.RETURNED, True),
        (1, AlarmState.ACKNOWLEDGED, False),
        (1, AlarmState.LATCHED, False),
        (2, AlarmState.UNACKNOWLEDGED, False),
    ],
)
def test_what_climbs(alarm_of, priority: int, state: AlarmState, urgent) -> None:
    """Only priority 1 that nobody has answered."""
    item = alarm_of(state, AlarmKind.TRIP, priority=priority)
    assert escalation.is_urgent(item) is urgent


def test_close_outs_are_due_before_the_shift_goes(rig_of, mine_of) -> None:
    """Practice 12: what the shift has not explained is due when the handover begins."""
    mine = mine_of(handover=Handover(("08:00",)))
    rig = rig_of(mine, wall_ms=MONDAY_MS + 8 * 3_600_000 - 300_000).start()
    rig.turn(readings={"Z0_H0": 120})
    rig.command("acknowledge", "S1", alarms=sorted(rig.state.durable.alarms.items))
    rig.run(280, scan_ms=1000)
    assert not rig.of("close_out_due")
    rig.run(40, scan_ms=1000)
    (started,) = rig.of("handover_started")
    due = [(e.now_ms, e.data["source"]) for e in rig.of("close_out_due")]
    assert due == [(started.now_ms, "Z0_H0")]
    rig.run(1800, scan_ms=10_000)
    assert len([e for e in rig.of("close_out_due") if e.data["source"] == "Z0_H0"]) == 1


@pytest.mark.parametrize(("off_ms", "due"), [(-1, 0), (0, 1)])
def test_a_close_out_is_due_after_half_an_hour(rig, off_ms: int, due: int) -> None:
    """To the millisecond, without a shift change."""
    rig.turn(readings={"Z0_H0": 120})
    raised_ms = rig.now_ms
    rig.command("acknowledge", "S1", alarms=sorted(rig.state.durable.alarms.items))
    rig.turn(ms=raised_ms + 30 * MINUTE_MS + off_ms - rig.now_ms)
    assert len([e for e in rig.of("close_out_due") if e.data["source"] == "Z0_H0"]) == due


def test_an_escalation_of_the_past_that_told_nobody_known_is_told_now(mine_of, rig_of) -> None:
    """A state recorded by an older version goes on: whom it told is not known, so the next is."""
    rig = rig_of(mine_of(**MODEM)).start()
    began_ms = _trip(rig)
    rig.run(61, scan_ms=1000)
    alarms = rig.state.durable.alarms
    items = {key: replace(each, told=()) for key, each in alarms.items.items()}
    old = replace(rig.state.durable, alarms=replace(alarms, items=items))
    rig.state = replace(rig.state, durable=old)
    rig.turn(readings={"Z1_H0": 120})
    assert _said(rig, began_ms)[-1][1] == "mine_head"


def test_the_roster_of_another_rung_fills_no_hole(rig_of, mine_of, draft_of) -> None:
    """A rung that the roster does not name is its office; one that it names is the roster's."""
    mine = mine_of(**MODEM, duties=(Duty(Rung.MINE, ("S5",)),))
    draft = draft_of(rig_of(mine).start())
    assert on_call.reached(draft, "duty_leader") == ("sms:S3",)
    assert on_call.reached(draft, "mine_head") == ("sms:S5",)
    assert on_call.reached(draft, "unanswered") == ("sms:S3", "sms:S5")


def test_a_slower_mine_keeps_its_own_times(rig_of, mine_of) -> None:
    """The configuration's seconds are the schedule."""
    rules = Escalation(5, 10, 15, 20, 30, company_s=17)
    rig = rig_of(mine_of(**MODEM, escalation=rules, duties=(COMPANY,))).start()
    began_ms = _trip(rig)
    rig.run(51)
    assert [s for s, _, _ in _said(rig, began_ms)] == [5, 10, 15, 17, 20, 50]


@pytest.mark.parametrize(
    ("parts", "channels"),
    [
        ({}, False),
        ({"modems": ("m",)}, True),
        ({"duties": (COMPANY,)}, False),
        ({"duties": (COMPANY, Duty(Rung.POST, ("S1",), screen="x"))}, True),
    ],
)
def test_whether_people_are_reached_at_all(mine_of, parts, channels) -> None:
    """A modem is a channel, and so is a screen; a roster alone is none."""
    assert on_call.has_channels(mine_of(**parts)) is channels


def test_a_rung_without_offices_and_without_a_roster_is_empty(mine_of, rig_of, draft_of) -> None:
    """Nobody is of the company, and nobody but the horn at the post, unless the roster says so."""
    draft = draft_of(rig_of(mine_of(**MODEM)).start())
    assert on_call.reached(draft, "company") == ()
    assert on_call.reached(draft, "horn") == ("horn",)
