"""Due dates and interlock tests: what has to come again does, and a test proves a cut."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minewatch.core.alarms.alarm import find, is_active
from minewatch.core.desk import due, interlock_test
from minewatch.core.desk.due import DAY_MS, LOOK_MS, SAID_MAX, SHOWN_MAX, SOON_MS, SPANS_MAX
from minewatch.core.desk.interlock_test import TEST_MS
from minewatch.core.draft import Draft
from minewatch.core.fold import recover
from minewatch.core.plan import build
from minewatch.core.readings import bottle
from minewatch.core.snapshot import durable_from_json, durable_to_json
from minewatch.core.view import view
from minewatch.mine.rules.acts import load_acts
from minewatch.model.acts import Bottle, CalibrationPeriod
from minewatch.model.alarm import AlarmKind
from minewatch.model.canonical import canonical
from minewatch.model.image import Command
from minewatch.model.kind import Kind
from minewatch.model.mine import Mode

ACTS = load_acts()
BOTTLE = ACTS.bottle(Kind.METHANE)
HEAD, DATE = "Z0_H0", "calibration/Z0_H0"
TEST = "interlock_test/cut_Z0"


def _catalytic(mine):
    return replace(mine, points=tuple(replace(p, catalytic=p.id == HEAD) for p in mine.points))


@pytest.fixture
def dated(rig_of, mine_of):
    """Return a rig whose head Z0_H0 is catalytic, under the shipped rules."""
    return rig_of(_catalytic(mine_of(acts=ACTS))).start()


def _until(rig, key: str) -> int:
    return rig.state.durable.due.dates[key].until.ms


def _pass(rig, ms: int) -> None:
    """Let time pass in one turn, then let the heads answer again."""
    rig.turn(ms=ms)
    rig.run(1)


def _calibrate(rig, values=(0, 102, 200, 0)) -> dict:
    assert rig.command("calibrate", "S6", point=HEAD).kind == "calibration_started"
    for value in values:
        rig.world[HEAD] = value
        rig.run(8)
    return rig.command("end_calibration", "S6", point=HEAD).data


# ------------------------------------------------------------------------------ bottle


@pytest.mark.parametrize(
    ("values", "shown", "span"),
    [
        ([0, 100, 200, 0], bottle.SEEN, 200),
        ([3, 102, 198, 2], bottle.SEEN, 198),
        ([0, 50, 100, 150, 200, 0], bottle.SEEN, 200),
        ([0, 100, 200, 0, 100], bottle.SEEN, 200),
        ([20, 120, 220, 20], bottle.SEEN, 220),
        ([0, 80, 180, 0], bottle.SEEN, 180),
        ([21, 100, 200, 0], bottle.NOT_SEEN, None),
        ([0, 121, 200, 0], bottle.NOT_SEEN, None),
        ([0, 79, 200, 0], bottle.NOT_SEEN, None),
        ([0, 100, 221, 0], bottle.NOT_SEEN, None),
        ([0, 100, 179, 0], bottle.NOT_SEEN, None),
        ([0, 100, 200], bottle.NOT_SEEN, 200),
        ([0, 200, 100, 0], bottle.NOT_SEEN, None),
        ([0], bottle.NOT_SEEN, None),
        ([], bottle.NOT_SEEN, None),
    ],
)
def test_the_steps_of_a_bottle(values, shown, span) -> None:
    """Zero, 1 %, 2 %, zero in this order, each within its tolerance; others may lie between."""
    assert bottle.judged(BOTTLE, values) == (shown, span)


def test_without_a_bottle_nothing_is_judged() -> None:
    """A kind whose bottle nobody knows is neither seen nor not seen."""
    assert bottle.judged(None, [0, 100, 200, 0]) == (bottle.UNKNOWN, None)


@given(st.lists(st.integers(0, 400), max_size=8), st.integers(0, 400))
def test_more_plateaus_take_no_step_away(values, more) -> None:
    """What was seen stays seen, whatever comes after it."""
    bottle_ = Bottle(Kind.METHANE, (0, 100, 200, 0), 20)
    if bottle.judged(bottle_, values)[0] == bottle.SEEN:
        assert bottle.judged(bottle_, [*values, more])[0] == bottle.SEEN


@pytest.mark.parametrize(("at_ms", "found"), [(4_999, []), (5_000, [7])])
def test_a_plateau_takes_five_seconds(at_ms: int, found) -> None:
    """Not a millisecond less, and one sample is none."""
    profile = bottle.extended_by(bottle.extended_by(bottle.Profile(), 7, 0), 7, at_ms)
    assert [each.value for each in bottle.plateaus_of(profile)] == found


@pytest.mark.parametrize(("step", "found"), [(5, [100]), (6, []), (-5, [100]), (-6, [])])
def test_the_band_of_a_plateau(step: int, found) -> None:
    """Five units about its first value; the sixth begins another stretch."""
    profile = bottle.Profile()
    for at_ms, value in ((0, 100), (3_000, 100 + step), (5_000, 100)):
        profile = bottle.extended_by(profile, value, at_ms)
    assert [each.value for each in bottle.plateaus_of(profile)] == found


def test_plateaus_are_bounded() -> None:
    """The newest twelve are kept."""
    profile = bottle.Profile()
    for n in range(20):
        for second in (0, 6):
            profile = bottle.extended_by(profile, n * 10, n * 10_000 + second * 1000)
    assert [each.value for each in bottle.plateaus_of(profile)] == [n * 10 for n in range(8, 20)]


# --------------------------------------------------------------------------- due dates


@pytest.mark.parametrize(
    ("kind", "catalytic", "days"),
    [
        (Kind.METHANE, True, 15),
        (Kind.METHANE, False, 180),
        (Kind.CARBON_MONOXIDE, False, 30),
        (Kind.OXYGEN, True, 30),
        (Kind.CARBON_DIOXIDE, False, 30),
        (Kind.DUST, False, 0),
        (Kind.TEMPERATURE, False, 0),
    ],
)
def test_how_long_a_calibration_is_good(kind: Kind, *, catalytic: bool, days: int) -> None:
    """Catalytic methane 15 d, laser or infrared 180 d, other gas 30 d; the rest has no date."""
    assert ACTS.calibration_days(kind, catalytic=catalytic) == days


def test_the_first_row_that_fits_counts() -> None:
    """A row for either principle behind one for a principle is only for the rest."""
    rows = tuple(CalibrationPeriod((Kind.METHANE,), d, c) for d, c in ((1, True), (2, None)))
    acts = replace(ACTS, periods=rows)
    assert acts.calibration_days(Kind.METHANE, catalytic=True) == 1
    assert acts.calibration_days(Kind.METHANE, catalytic=False) == 2


def test_what_has_a_date(dated) -> None:
    """Heads by their principle, cut-offs that an interlock uses; counted from the first day."""
    first = dated.of("due_dates_set")
    assert len(first) == 1
    assert dict(map(tuple, first[0].data["begun"])) == {
        DATE: 15, "calibration/Z0_H1": 180, "calibration/Z1_H0": 180, "calibration/Z1_H1": 180,
        TEST: 15, "interlock_test/cut_Z1": 15,
    }  # fmt: skip
    assert first[0].data["dropped"] == []
    assert _until(dated, DATE) == first[0].now_ms + 15 * DAY_MS


def test_what_is_not_driven_has_no_test(mine_of) -> None:
    """Where the mode drives no cut, the certified system's cuts are not ours to test."""
    wanted = due.wanted(build(mine_of(acts=ACTS, mode=Mode.ALARM)))
    assert not any(key.startswith("interlock_test/") for key in wanted)
    assert due.wanted(build(mine_of())) == {}


def test_a_configuration_brings_and_takes_dates(dated) -> None:
    """A new head counts from its first day; the date of one that is gone goes with it."""
    mine = dated.mine
    smaller = replace(
        mine,
        points=tuple(p for p in mine.points if p.id != "Z1_H1"),
        interlocks=tuple(i for i in mine.interlocks if not i.id.startswith("gas_Z1")),
    )
    before = dated.state.durable.due.dates
    dated.mine = smaller
    read = dated.world.pop("Z1_H1")
    dated.run(1)
    assert dated.of("due_dates_set")[-1].data == {"begun": [], "dropped": ["calibration/Z1_H1"]}
    dated.run(100)
    dated.mine, dated.world["Z1_H1"] = mine, read
    dated.run(1)
    assert dated.of("due_dates_set")[-1].data["begun"] == [["calibration/Z1_H1", 180]]
    after = dated.state.durable.due.dates
    assert after["calibration/Z1_H1"].until.ms > before["calibration/Z1_H1"].until.ms
    assert after[DATE] == before[DATE]


def test_what_is_gone_is_no_longer_overdue(dated) -> None:
    """The overdue row of a head that left goes with it, the others stay; its alarm is over."""
    _pass(dated, 180 * DAY_MS)
    assert DATE in dated.state.durable.due.overdue
    dated.mine = replace(
        dated.mine, acts=replace(ACTS, periods=()), points=tuple(dated.mine.points)
    )
    dated.run(1)
    assert dated.state.durable.due.overdue == (TEST, "interlock_test/cut_Z1")
    assert not is_active(dated.state.durable, AlarmKind.CALIBRATION_OVERDUE, "calibration_overdue")
    assert is_active(dated.state.durable, AlarmKind.TEST_OVERDUE, "test_overdue")


def test_the_bounds_of_dates() -> None:
    """A day, what is soon, how often is looked, how much is shown, said and kept."""
    assert (DAY_MS, SOON_MS, LOOK_MS) == (86_400_000, 259_200_000, 3_600_000)
    assert (SHOWN_MAX, SAID_MAX, SPANS_MAX, TEST_MS) == (200, 500, 6, 30_000)


def test_what_is_due_in_just_three_days_is_soon(dated) -> None:
    """Looked at three days before, to the millisecond, it is shown."""
    until_ms = _until(dated, DATE)
    dated.turn(ms=until_ms - SOON_MS - 1 - dated.now_ms)
    dated.state = replace(
        dated.state, volatile=replace(dated.state.volatile, due=due.DueVolatile())
    )
    dated.turn(ms=1)
    assert DATE in view(dated.mine, dated.state, dated.now_ms)["due"]


def test_many_dates_are_set_in_bounded_events(rig_of, mine_of) -> None:
    """At most 500 in an event, every date in one."""
    rig = rig_of(mine_of(zones=210, heads=2, acts=ACTS))
    rig.turn(scan=True, ms=0)
    sizes = [len(each.data["begun"]) for each in rig.of("due_dates_set")]
    assert sizes == [SAID_MAX, 630 - SAID_MAX]
    assert len(rig.state.durable.due.dates) == 630


def test_overdue_is_one_row_for_the_mine(rig_of, mine_of) -> None:
    """Everything that becomes overdue in one moment is one alarm; one more raises it anew."""
    mine = _catalytic(mine_of(acts=ACTS))
    rig = rig_of(mine).start()
    set_ms = rig.of("due_dates_set")[0].now_ms
    rig.turn(ms=set_ms + 15 * DAY_MS - 1 - rig.now_ms)
    assert not rig.of("became_overdue")
    assert rig.state.volatile.due.next_ms == set_ms + 15 * DAY_MS
    rig.turn(ms=1)
    assert rig.state.volatile.due.next_ms == rig.now_ms + LOOK_MS
    assert rig.state.volatile.due.plan is rig.state.volatile.plan
    told = [each.data["dates"] for each in rig.of("became_overdue")]
    assert told == [[DATE], [TEST, "interlock_test/cut_Z1"]]
    alarm = find(rig.state.durable, AlarmKind.CALIBRATION_OVERDUE, "calibration_overdue")
    assert (alarm.priority, alarm.value, alarm.occurrences) == (3, 1, 1)
    assert find(rig.state.durable, AlarmKind.TEST_OVERDUE, "test_overdue").value == 2
    rig.turn(ms=165 * DAY_MS)
    assert rig.of("became_overdue")[-1].data["dates"] == [
        "calibration/Z0_H1", "calibration/Z1_H0", "calibration/Z1_H1",
    ]  # fmt: skip
    alarm = find(rig.state.durable, AlarmKind.CALIBRATION_OVERDUE, "calibration_overdue")
    assert (alarm.value, alarm.active) == (4, True)
    rig.turn(ms=LOOK_MS)
    assert len(rig.of("became_overdue")) == 3
    alarm = find(rig.state.durable, AlarmKind.CALIBRATION_OVERDUE, "calibration_overdue")
    assert (alarm.value, alarm.active) == (4, True)


def test_a_calibration_renews_its_date_and_ends_the_alarm(dated) -> None:
    """With the bottle's steps seen: 15 d from now, its span kept, the overdue row gone."""
    _pass(dated, 15 * DAY_MS)
    assert is_active(dated.state.durable, AlarmKind.CALIBRATION_OVERDUE, "calibration_overdue")
    sheet = _calibrate(dated)
    assert (sheet["profile"], sheet["span"], sheet["days"]) == ("seen", 200, 15)
    date = dated.state.durable.due.dates[DATE]
    ended = dated.of("calibration_ended")[-1]
    assert date.until.ms == ended.now_ms + 15 * DAY_MS
    assert (date.done_wall_ms, date.spans) == (ended.wall_ms, (200,))
    assert DATE not in dated.state.durable.due.overdue
    assert not is_active(dated.state.durable, AlarmKind.CALIBRATION_OVERDUE, "calibration_overdue")
    assert dated.state.durable.due.overdue == (TEST, "interlock_test/cut_Z1")


@pytest.mark.parametrize("values", [(0, 100), (0, 0), (0, 100, 150, 0)])
def test_without_the_bottles_gas_nothing_is_renewed(dated, values) -> None:
    """A sheet without its plateaus says not_seen; the date stands."""
    before = _until(dated, DATE)
    assert _calibrate(dated, values)["profile"] == "not_seen"
    assert _until(dated, DATE) == before


def test_a_calibration_that_ran_out_renews_nothing(dated) -> None:
    """Nobody said that it was done."""
    before = _until(dated, DATE)
    dated.command("calibrate", "S6", point=HEAD)
    for value in (0, 102, 200, 0):
        dated.world[HEAD] = value
        dated.run(8)
    dated.run(15 * 60, scan_ms=1000)
    ended = dated.of("calibration_ended")[-1].data
    assert (ended["reason"], ended["profile"]) == ("expired", "seen")
    assert _until(dated, DATE) == before


def test_a_kind_without_a_bottle_is_renewed_by_its_end(rig_of, mine_of) -> None:
    """Where no steps are known the engineer's word is what there is."""
    rig = rig_of(mine_of(acts=replace(ACTS, bottles=()))).start()
    sheet = _calibrate(rig, (0, 0))
    assert (sheet["profile"], sheet["span"], sheet["days"]) == ("unknown", None, 180)
    date = rig.state.durable.due.dates[DATE]
    assert (date.until.ms, date.spans) == (
        rig.of("calibration_ended")[-1].now_ms + 180 * DAY_MS,
        (),
    )


def test_an_older_sheet_and_a_lost_date_fold(dated) -> None:
    """A sheet without days changes no date; one for a head without a date begins it."""
    durable = dated.state.durable
    _calibrate(dated)
    event = dated.of("calibration_ended")[-1]
    old = {k: v for k, v in event.data.items() if k not in {"days", "profile", "span"}}
    assert due.FOLDS["calibration_ended"](durable, replace(event, data=old)) == durable
    none = replace(durable, due=due.DueDurable())
    after = due.FOLDS["calibration_ended"](none, event)
    assert after.due.dates[DATE].spans == (200,)


def test_spans_are_bounded(dated) -> None:
    """The newest six are kept, in order."""
    durable = dated.state.durable
    _calibrate(dated)
    event = dated.of("calibration_ended")[-1]
    for span in range(200, 208):
        durable = due.FOLDS["calibration_ended"](
            durable, replace(event, data={**event.data, "span": span})
        )
    assert durable.due.dates[DATE].spans == tuple(range(208 - SPANS_MAX, 208))


def test_what_is_shown(dated) -> None:
    """What is overdue or due within three days, the most urgent first; nothing else."""
    assert view(dated.mine, dated.state, dated.now_ms)["due"] == {}
    until_ms = _until(dated, DATE)
    _pass(dated, until_ms - SOON_MS - dated.now_ms - 5_000)
    assert view(dated.mine, dated.state, dated.now_ms)["due"] == {}
    dated.turn(ms=until_ms - SOON_MS - dated.now_ms + LOOK_MS)
    shown = view(dated.mine, dated.state, dated.now_ms)["due"]
    assert list(shown) == [DATE, TEST, "interlock_test/cut_Z1"]
    assert shown[DATE] == {
        "test": "calibration", "source": HEAD, "due_ms": until_ms, "overdue": False,
        "done_wall_ms": None, "spans": [],
    }  # fmt: skip
    assert view(dated.mine, dated.state, until_ms - 1)["due"][DATE]["overdue"] is False
    assert view(dated.mine, dated.state, until_ms)["due"][DATE]["overdue"] is True
    assert view(dated.mine, dated.state, until_ms - SOON_MS - 1)["due"] == {}
    assert DATE in view(dated.mine, dated.state, until_ms - SOON_MS)["due"]
    _pass(dated, SOON_MS)
    _calibrate(dated)
    assert DATE not in view(dated.mine, dated.state, dated.now_ms)["due"]


def test_what_is_shown_is_bounded(rig_of, mine_of) -> None:
    """At most 200 rows go into a frame."""
    rig = rig_of(mine_of(zones=101, heads=2, acts=ACTS))
    rig.turn(scan=True, ms=0)
    rig.turn(ms=180 * DAY_MS)
    assert len(view(rig.mine, rig.state, rig.now_ms)["due"]) == SHOWN_MAX


def test_dates_over_a_restart(dated) -> None:
    """They survive; after a reboot time without power has passed where the clock is vouched for."""
    durable = dated.state.durable
    assert durable_from_json(json.loads(canonical(durable_to_json(durable)))) == durable
    assert recover(dated.events) == durable
    left_ms = _until(dated, DATE) - dated.now_ms
    dated.now_ms = 0
    dated.wall_ms += 3 * DAY_MS
    dated.restart(down_ms=0)
    assert abs(_until(dated, DATE) - dated.now_ms - (left_ms - 3 * DAY_MS)) < 1_000
    assert len(dated.of("due_dates_set")) == 1


def test_a_clock_that_nobody_vouches_for_moves_no_date(dated) -> None:
    """Neither a restart under a wrong clock nor a step of it makes forty heads overdue."""
    event = dated.of("controller_started")[0]
    durable = dated.state.durable
    far_ms = durable.now_ms + 400 * DAY_MS
    wrong = replace(event, now_ms=durable.now_ms + 50, wall_ms=far_ms, wall_trusted=False)
    rebased = due.FOLDS["controller_started"]
    assert rebased(durable, wrong).due == durable.due
    reboot = rebased(durable, replace(wrong, now_ms=100)).due.dates[DATE].until
    left_ms = durable.due.dates[DATE].until.ms - durable.now_ms
    assert reboot.ms == 100 + left_ms
    assert reboot.wall_ms == durable.due.dates[DATE].until.wall_ms
    assert "clock_stepped" not in due.FOLDS


def test_what_was_slept_through_is_told_once_the_clock_is_vouched_for(dated) -> None:
    """A box that starts on a clock of its own after 181 days in a drawer says so when it is set."""
    dated.now_ms = 0
    dated.wall_ms += 181 * DAY_MS
    dated.wall_trusted = False
    dated.restart(down_ms=0)
    assert not is_active(dated.state.durable, AlarmKind.TEST_OVERDUE, "test_overdue")
    dated.wall_trusted = True
    dated.run(1)
    assert is_active(dated.state.durable, AlarmKind.TEST_OVERDUE, "test_overdue")


@pytest.mark.parametrize("restarts", [False, True])
def test_dates_given_before_the_clock_was_set_keep_their_days(rig_of, mine_of, restarts) -> None:
    """A first start in 1970 makes no head overdue when the time of day arrives."""
    rig = rig_of(_catalytic(mine_of(acts=ACTS)))
    set_ms, rig.wall_ms = rig.wall_ms, 5_000
    rig.wall_trusted = False
    rig.start()
    left_ms = _until(rig, DATE) - rig.now_ms
    rig.wall_ms, rig.wall_trusted = set_ms, True
    if restarts:
        rig.restart(down_ms=0)
    rig.run(1)
    assert abs(_until(rig, DATE) - rig.now_ms - left_ms) < 5_000
    date = rig.state.durable.due.dates[DATE].until
    assert abs(date.wall_ms - rig.wall_ms - left_ms) < 5_000


# ----------------------------------------------------------------------- interlock test


def _test(rig, output: str = "cut_Z0"):
    return rig.approved("test_interlock", "S6", "S1", output=output)


def test_a_test_cuts_for_real_and_proves_it(dated) -> None:
    """The relay opens, the feed falls, the date is renewed; power comes back by a release alone."""
    _pass(dated, 15 * DAY_MS)
    begun = _test(dated)
    assert (begun.kind, begun.data["by"], begun.data["second"]) == (
        "interlock_test_begun",
        "S6",
        "S1",
    )
    assert dated.last.outputs["cut_Z0"] is False
    assert view(dated.mine, dated.state, dated.now_ms)["interlock_tests"] == {
        "cut_Z0": {"by": "S6", "second": "S1", "started_ms": begun.now_ms}
    }
    dated.run(2)
    (tested,) = dated.of("interlock_tested")
    assert tested.data == {
        "after_ms": tested.now_ms - begun.now_ms, "by": "S6", "days": 15, "how": "cut",
        "output": "cut_Z0", "result": "passed", "second": "S1",
    }  # fmt: skip
    assert _until(dated, TEST) == tested.now_ms + 15 * DAY_MS
    assert dated.state.durable.due.overdue == (DATE, "interlock_test/cut_Z1")
    assert dated.causes == ["cut:cut_Z0"]
    assert not dated.state.durable.tests.running
    assert dated.state.volatile.tests.begun == frozenset()
    assert TEST not in view(dated.mine, dated.state, dated.now_ms)["due"]
    assert dated.state.volatile.due.shown == (DATE, "interlock_test/cut_Z1")
    dated.run(60)
    dated.release("cut_Z0", values={HEAD: 5})
    dated.run(2)
    assert not dated.causes


def test_a_switch_that_does_not_open_fails_its_test(dated) -> None:
    """Welded: the test has failed, with an alarm that stands until one passes; no date moves."""
    before = _until(dated, TEST)
    dated.welded.add("cut_Z0")
    _test(dated)
    dated.run(5)
    (tested,) = dated.of("interlock_tested")
    assert tested.data["result"] == "failed"
    assert find(dated.state.durable, AlarmKind.TEST_FAILED, "cut_Z0").zone == "Z0"
    assert is_active(dated.state.durable, AlarmKind.TEST_FAILED, "cut_Z0")
    assert is_active(dated.state.durable, AlarmKind.FAILED_ACTUATION, "cut_Z0")
    assert _until(dated, TEST) == before
    answer = dated.command("record_test", "S6", output="cut_Z0", passed=True)
    assert answer.data["result"] == "passed"
    assert not is_active(dated.state.durable, AlarmKind.TEST_FAILED, "cut_Z0")


def test_a_proof_that_never_comes_fails_it_too(rig_of, mine_of) -> None:
    """Whatever the proof's own time is, a test is over after 30 s."""
    mine = mine_of(acts=ACTS)
    slow = tuple(replace(o, proof_within_ms=10**6) for o in mine.outputs)
    rig = rig_of(replace(mine, outputs=slow)).start()
    rig.welded.add("cut_Z0")
    begun = _test(rig)
    rig.run(20)
    rig.turn(ms=begun.now_ms + TEST_MS - 1 - rig.now_ms)
    assert not rig.of("interlock_tested")
    rig.turn(ms=1)
    assert rig.of("interlock_tested")[0].data["result"] == "failed"
    assert rig.of("interlock_tested")[0].data["after_ms"] == TEST_MS


def test_a_test_waits_while_nothing_may_be_written(dated) -> None:
    """No level is wanted yet: neither proved nor failed."""
    _test(dated)
    volatile = dated.state.volatile
    state = replace(
        dated.state, volatile=replace(volatile, interlock=replace(volatile.interlock, wants={}))
    )
    draft = Draft(dated.mine, state, dated.image)
    interlock_test.decide(draft)
    assert draft.events == []


def test_a_restart_interrupts_a_test(dated) -> None:
    """Our own absence opened the relay: that proves nothing, raises nothing, renews nothing."""
    before = _until(dated, TEST)
    _test(dated)
    dated.restart()
    (tested,) = dated.of("interlock_tested")
    assert tested.data["result"] == "interrupted"
    assert _until(dated, TEST) == before
    assert not is_active(dated.state.durable, AlarmKind.TEST_FAILED, "cut_Z0")
    assert "cut:cut_Z0" in dated.causes


def test_a_test_of_what_is_no_longer_driven_is_interrupted(dated) -> None:
    """A configuration that takes the output away ends its test without a result."""
    _test(dated)
    dated.mine = replace(dated.mine, mode=Mode.ALARM)
    dated.turn()
    assert [each.data["result"] for each in dated.of("interlock_tested")] == ["interrupted"]


@pytest.mark.parametrize(
    ("output", "reasons"),
    [
        ("cut_Z1", []),
        ("siren_Z0", ["not_a_power_cut:siren_Z0"]),
        ("nothing", ["not_a_power_cut:nothing"]),
        ("cut_Z0", ["already_cut:cut_Z0"]),
        ("cut_main", ["no_proof:cut_main"]),
    ],
)
def test_what_may_be_tested(rig_of, mine_of, output: str, reasons) -> None:
    """A driven power-cut output with a proof that nothing has cut yet."""
    mine = mine_of(acts=ACTS)
    outputs = tuple(replace(o, proof=None) if o.id == "cut_main" else o for o in mine.outputs)
    rig = rig_of(replace(mine, outputs=outputs)).start()
    rig.turn(readings={HEAD: 160})
    answer = rig.command("test_interlock", "S6", output=output)
    assert answer.data.get("reasons", []) == reasons


@pytest.mark.parametrize("passed", [True, False])
def test_a_test_by_hand_is_recorded_by_name(dated, *, passed: bool) -> None:
    """Its result counts as a real one's: passed renews, failed alarms."""
    before = _until(dated, TEST)
    dated.run(10)
    answer = dated.command("record_test", "S6", output="cut_Z0", passed=passed)
    assert answer.data == {
        "after_ms": None, "by": "S6", "command": answer.data["command"], "days": 15,
        "how": "hand", "output": "cut_Z0", "result": "passed" if passed else "failed",
        "second": "",
    }  # fmt: skip
    assert answer.text == "理由"
    assert (_until(dated, TEST) > before) is passed
    assert is_active(dated.state.durable, AlarmKind.TEST_FAILED, "cut_Z0") is not passed
    assert not dated.causes


def test_what_a_record_needs(dated) -> None:
    """A power-cut output of ours, how it was tested, and no test that runs."""
    answer = dated.command("record_test", "S6", output="siren_Z0", passed=True)
    assert answer.data["reasons"] == ["not_a_power_cut:siren_Z0"]
    assert dated.command("record_test", "S6", output="cut_Z0", passed=1).data["reasons"] == [
        "malformed"
    ]
    _test(dated)
    answer = dated.command("record_test", "S6", output="cut_Z0", passed=True)
    assert answer.data["reasons"] == ["test_running"]
    dated.run(3)
    assert not dated.state.durable.tests.running


def test_a_record_says_how(dated) -> None:
    """Without a word about the test there is none."""

    asked = Command("r", "record_test", "S6", "page:d1", {"output": "cut_Z0", "passed": True}, " ")
    (answer,) = dated.turn(commands=(asked,)).events
    assert answer.data["reasons"] == ["reason_missing"]


def test_a_record_leaves_a_running_test_of_another_output(dated) -> None:
    """What is recorded by hand ends no real test."""
    _test(dated)
    dated.command("record_test", "S6", output="cut_Z1", passed=True)
    assert "cut_Z0" in dated.state.durable.tests.running or dated.of("interlock_tested")
    assert "cut_Z1" not in dated.state.durable.tests.running


def test_a_mine_that_dates_no_test_renews_none(rig_of, mine_of) -> None:
    """Under older rules a test is recorded and no date begins with it."""
    rig = rig_of(mine_of()).start()
    assert rig.command("record_test", "S6", output="cut_Z0", passed=True).data["days"] == 0
    assert rig.state.durable.due.dates == {}


@pytest.mark.parametrize("code", [f"S{n}" for n in range(1, 10)])
def test_who_may(dated, code: str) -> None:
    """The field engineer or the monitoring operator tests; dispatcher or duty leader seconds."""
    for kind, words in (("record_test", {"passed": True}), ("test_interlock", {})):
        answer = dated.command(kind, code, output="cut_Z1", **words)
        refused = "not_permitted" in answer.data.get("reasons", ())
        assert refused is (code not in {"S2", "S6"})
    asked = dated.command("test_interlock", "S6", output="cut_Z0")
    answer = dated.command("approve", code, approval=asked.data["approval"])
    assert (answer.kind == "interlock_test_begun") is (code in {"S1", "S3"})
