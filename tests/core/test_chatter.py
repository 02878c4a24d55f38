"""Chatter: raising is never late, one good sample ends nothing, ten minutes have one sound."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minewatch.model.alarm import AlarmKind, AlarmState
from minewatch.model.mine import Limits
from minewatch.model.quality import Quality
from minewatch.model.values import Values

CLEAR_MS, REPEAT_MS = 3_000, 600_000
VALUES = Values(clear_ms=CLEAR_MS, repeat_ms=REPEAT_MS)
RETURN = Limits(pre_alarm=80, alarm=100, clear=80)
GAS = AlarmKind.GAS_OVER_LIMIT


@pytest.fixture
def head(rig_of, mine_of):
    """Return a mine in service with one head of a return airway and the shipped times."""
    return rig_of(mine_of(zones=1, heads=1, limits=RETURN, interlocks=(), values=VALUES)).start()


@pytest.fixture
def face(rig_of, mine_of):
    """Return a mine in service with one head of a face, which cuts and withdraws."""
    return rig_of(mine_of(zones=1, heads=1, values=VALUES)).start()


def _read(rig, value: int | Quality, ms: int = 500):
    return rig.turn(ms=ms, readings={"Z0_H0": value})


def _of(rig, kind: AlarmKind = GAS):
    rows = [e for e in rig.state.durable.alarms.items.values() if e.kind is kind]
    return rows[-1] if rows else None


def _acknowledge(rig) -> None:
    alarms = [e.id for e in rig.state.durable.alarms.items.values() if e.unanswered]
    rig.command("acknowledge", "S1", alarms=alarms)


def _raised(rig, kind: AlarmKind = GAS) -> list[dict]:
    return [e.data for e in rig.of("alarm_raised") if e.data["alarm_kind"] == kind]


def _end(rig) -> None:
    for _ in range(CLEAR_MS // 500 + 1):
        _read(rig, 10)


def test_it_ends_when_it_was_below_for_its_time(head) -> None:
    """One millisecond before the time it stands, at the time it ends."""
    _read(head, 120)
    _read(head, 10)
    for _ in range(5):
        _read(head, 10)
    _read(head, 10, ms=499)
    assert _of(head).active
    _read(head, 10, ms=1)
    assert not _of(head).active


@pytest.mark.parametrize(
    "between", [80, 120, Quality.COMM_FAULT, Quality.WARMUP, Quality.IMPLAUSIBLE]
)
def test_what_is_not_below_begins_the_time_anew(head, between: int | Quality) -> None:
    """A value in the band, over the limit, or one that is not GOOD: three whole seconds again."""
    _read(head, 120)
    for _ in range(4):
        _read(head, 10)
    _read(head, between)
    for _ in range(6):
        _read(head, 10)
        assert _of(head).active
    _read(head, 10)
    assert not _of(head).active


def test_silence_begins_the_time_anew(head) -> None:
    """A head that fell silent while it was below has not been below meanwhile."""
    _read(head, 120)
    _read(head, 10)
    for _ in range(24):
        head.turn(ms=500)
    assert head.state.volatile.points.live["Z0_H0"].raw is Quality.STALE
    _read(head, 10)
    assert _of(head).active


def test_an_older_sample_ends_nothing(rig_of, mine_of) -> None:
    """Without a time of its own an alarm ends at its first value below, as older mines have it."""
    rig = rig_of(mine_of(zones=1, heads=1, limits=RETURN, interlocks=(), values=Values())).start()
    _read(rig, 120)
    _read(rig, 79)
    assert not _of(rig).active


def test_each_alarm_has_its_own_limit(head) -> None:
    """Between the two clear limits the over-limit alarm ends and the pre-alarm stands."""
    _read(head, 120)
    for _ in range(8):
        _read(head, 70)
    assert not _of(head).active
    assert _of(head, AlarmKind.PRE_ALARM).active


def test_an_answered_alarm_comes_back_without_a_sound(head) -> None:
    """Within ten minutes: active in the same step, the same alarm, one more time, answered."""
    _read(head, 120)
    _acknowledge(head)
    _end(head)
    _read(head, 130)
    row = _of(head)
    assert (row.state, row.occurrences, row.acknowledged_by) == (AlarmState.ACKNOWLEDGED, 2, "S1")
    first, again = _raised(head)
    assert (first["answered"], again["answered"]) == (None, "S1")
    assert first["alarm"] == again["alarm"]
    assert row.peak == 130


def test_one_answered_after_it_was_gone_counts_as_answered(head) -> None:
    """Who acknowledges what has just gone need not do it again a minute later."""
    _read(head, 120)
    _end(head)
    _acknowledge(head)
    _read(head, 120)
    assert _of(head).state is AlarmState.ACKNOWLEDGED
    assert _of(head, AlarmKind.PRE_ALARM).state is AlarmState.ACKNOWLEDGED


def test_an_unanswered_alarm_keeps_sounding(head) -> None:
    """What nobody has answered is raised again as unanswered, however soon."""
    _read(head, 120)
    _end(head)
    _read(head, 120)
    assert _of(head).state is AlarmState.UNACKNOWLEDGED
    assert _raised(head)[-1]["answered"] is None


@pytest.mark.parametrize(("ms", "sounds"), [(-1, False), (0, True), (1, True)])
def test_it_sounds_again_after_ten_minutes(head, ms: int, sounds: bool) -> None:
    """Ten minutes after the last sound, at the very millisecond, it is a new alarm."""
    _read(head, 120)
    began_ms = head.now_ms
    _acknowledge(head)
    _end(head)
    while head.now_ms < began_ms + REPEAT_MS - 2_000:
        _read(head, 10, ms=1_000)
    _read(head, 120, ms=began_ms + REPEAT_MS + ms - head.now_ms)
    assert (_of(head).state is AlarmState.UNACKNOWLEDGED) is sounds


def test_the_ten_minutes_run_from_the_sound_not_from_the_last_return(head) -> None:
    """Coming back in silence does not lengthen the silence."""
    _read(head, 120)
    began_ms = head.now_ms
    _acknowledge(head)
    while head.now_ms < began_ms + REPEAT_MS:
        _end(head)
        _read(head, 120)
    assert [each["answered"] for each in _raised(head)[1:-1]] == ["S1"] * (len(_raised(head)) - 2)
    assert _raised(head)[-1]["answered"] is None
    assert _of(head).state is AlarmState.UNACKNOWLEDGED


def test_after_a_new_sound_ten_minutes_begin_anew(head) -> None:
    """The second sound is answered as well, and then the silence is its own."""
    _read(head, 120)
    began_ms = head.now_ms
    _acknowledge(head)
    _end(head)
    while head.now_ms < began_ms + REPEAT_MS:
        _read(head, 10, ms=1_000)
    _read(head, 120)
    _acknowledge(head)
    _end(head)
    _read(head, 120)
    assert _of(head).state is AlarmState.ACKNOWLEDGED


def test_a_higher_level_always_sounds(face) -> None:
    """A trip, a withdrawal and over-range sound each time, answered or not."""
    _read(face, 160)
    _acknowledge(face)
    _end(face)
    _read(face, 160)
    for kind in (AlarmKind.TRIP, AlarmKind.WITHDRAW):
        assert _of(face, kind).state is AlarmState.UNACKNOWLEDGED
        assert [each["answered"] for each in _raised(face, kind)] == [None, None]
    assert _of(face).state is AlarmState.ACKNOWLEDGED


def test_low_values_are_bounded_as_well(rig_of, mine_of) -> None:
    """An alarm below a limit comes back as silently as one above."""
    limits = Limits(low_alarm=1800, low_clear=1900)
    mine = mine_of(zones=1, heads=1, limits=limits, interlocks=(), values=VALUES)
    rig = rig_of(mine)
    rig.world["Z0_H0"] = 2090
    rig.start()
    _read(rig, 1700)
    _acknowledge(rig)
    for _ in range(8):
        _read(rig, 2090)
    _read(rig, 1700)
    assert _of(rig, AlarmKind.LOW).state is AlarmState.ACKNOWLEDGED


def test_a_restart_sounds_again(head) -> None:
    """What a run has learned about sounds is not carried over: sounding once more is safe."""
    _read(head, 120)
    _acknowledge(head)
    _end(head)
    head.restart()
    head.run(2)
    _read(head, 120)
    assert _of(head).state is AlarmState.UNACKNOWLEDGED


def test_what_a_person_measured_ends_it_at_once(face) -> None:
    """Under hand cover of a dead head the checker's value needs no second one."""
    _read(face, 120)
    face.command("hand_cover", "S4", point="Z0_H0", checker="S7")
    face.world["Z0_H0"] = Quality.COMM_FAULT
    face.run(1)
    face.command("hand_value", "S7", point="Z0_H0", value=10)
    assert not _of(face).active


@given(st.lists(st.integers(60, 115), min_size=30, max_size=120), st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_noise_around_the_limit_makes_one_sound(
    core_tools, values: list[int], answers_after: int
) -> None:
    """Any walk about the limit: active in the step of each true excursion, one sound in 10 min."""
    mine = core_tools.build_mine(zones=1, heads=1, limits=RETURN, interlocks=(), values=VALUES)
    rig = core_tools.Rig(mine).start()
    for n, value in enumerate(values):
        _read(rig, value, ms=1_000)
        if value >= RETURN.alarm:
            assert _of(rig).active
        if n % answers_after == 0 and any(
            each.unanswered for each in rig.state.durable.alarms.items.values()
        ):
            _acknowledge(rig)
    answered = [n for n, each in enumerate(_raised(rig)) if each["answered"] is None]
    ids = {each["alarm"] for each in _raised(rig)}
    assert len(ids) <= 1
    assert answered == list(range(len(answered)))


SPIKES = st.lists(st.sampled_from([10, 10, 10, 10, 99, 100, 160]), min_size=70, max_size=90)


@given(SPIKES)
@settings(max_examples=25, deadline=None)
def test_a_spike_begins_the_release_clock_anew_and_nothing_else(
    core_tools, values: list[int]
) -> None:
    """The 60 s before a release run from the last value that was not below restore, by a law of
    one line beside the core; the cut comes at the first sample at trip, whatever ran then.
    """
    rig = core_tools.Rig(core_tools.build_mine(zones=1, heads=1, values=VALUES)).start()
    since_ms, cut = rig.state.volatile.points.live["Z0_H0"].below_ms, False
    for value in values:
        rig.world["Z0_H0"] = value
        decided = rig.turn(ms=1_000, scan=True)
        since_ms = (since_ms or rig.now_ms) if value < 100 else None
        cut = cut or value >= 150
        assert decided.outputs["cut_Z0"] is (not cut)
        assert rig.state.volatile.points.live["Z0_H0"].below_ms == since_ms
