"""Moving and replacing a head: under hand cover, timed, and back in service by itself."""

import json
from dataclasses import replace

import pytest

from minewatch.core.alarms.alarm import find, is_active
from minewatch.core.fold import recover
from minewatch.core.readings.head_move import PER_MINE_MAX
from minewatch.core.snapshot import durable_from_json, durable_to_json
from minewatch.core.view import view
from minewatch.mine.rules.acts import load_acts
from minewatch.model.acts import Acts
from minewatch.model.alarm import AlarmKind
from minewatch.model.canonical import canonical
from minewatch.model.mine import Upload
from minewatch.model.quality import Quality

MINUTE_MS = 60_000
HEAD = "Z0_H0"
UPLOAD = (Upload("county", "mqtt://127.0.0.1:1883"),)


def _catalytic(mine):
    points = tuple(replace(p, catalytic=p.device == "head") for p in mine.points)
    return replace(mine, points=points)


@pytest.fixture
def works(rig_of, mine_of):
    """Return a rig of a mine with catalytic heads, the shipped rules and no upload."""
    return rig_of(_catalytic(mine_of(zones=6, acts=load_acts()))).start()


def _begin(rig, act: str = "move_head", point: str = HEAD, **words):
    return rig.command(act, "S4", point=point, checker="S7", **words)


def _quality(rig, point: str = HEAD) -> str:
    return rig.state.volatile.points.live[point].quality.name


def test_it_counts_as_inhibited_under_hand_cover(works) -> None:
    """Unplugged it cuts nothing, in other air it raises nothing; hand cover guards the place."""
    assert _begin(works).kind == "head_work_started"
    works.run(1)
    assert _quality(works) == "INHIBITED"
    assert HEAD in works.state.durable.interlock.covers
    works.world[HEAD] = 400
    works.run(3)
    works.world[HEAD] = Quality.COMM_FAULT
    works.run(30)
    assert not works.causes
    assert not works.of("alarm_raised")


def test_it_is_in_force_once_on_disk(works) -> None:
    """Until its entry is durable the head trips as ever."""
    works.disk_stands = True
    _begin(works)
    works.turn(readings={HEAD: 160})
    assert works.causes == [f"trip:{HEAD}"]


def test_moved_it_guards_its_new_place_at_once(works) -> None:
    """The end by order: the head is believed at the next sample, its own cover is over."""
    _begin(works)
    works.run(5)
    ended = works.command("end_head_work", "S6", point=HEAD)
    assert (ended.kind, ended.data["act"], ended.data["reason"]) == (
        "head_work_ended",
        "move",
        "ended",
    )
    assert (ended.data["by"], ended.data["started_by"]) == ("S6", "S4")
    assert ended.data["duration_ms"] == ended.now_ms - works.of("head_work_started")[0].now_ms
    works.run(1)
    assert works.of("hand_cover_ended")[-1].data == {"point": HEAD, "reason": "head_back"}
    assert not works.of("warm_up_started")
    assert not works.state.durable.head_works.covered
    works.turn(readings={HEAD: 150})
    assert works.causes == [f"trip:{HEAD}"]


def test_the_cover_stays_until_the_head_reads(works) -> None:
    """A head that is silent after its move is still covered, and cuts nothing meanwhile."""
    _begin(works)
    works.world[HEAD] = Quality.COMM_FAULT
    works.run(5)
    works.command("end_head_work", "S6", point=HEAD)
    works.run(30)
    assert HEAD in works.state.durable.interlock.covers
    assert not works.causes
    works.world[HEAD] = 10
    works.run(2)
    assert HEAD not in works.state.durable.interlock.covers


def test_an_older_cover_is_not_the_works_own(works) -> None:
    """Cover that stood before the work stands after it; a new one of the engineer's stays too."""
    works.command("hand_cover", "S4", point=HEAD, checker="S7")
    _begin(works)
    _begin(works, point="Z1_H0")
    works.command("hand_cover", "S4", point="Z1_H0", checker="S7")
    assert len(works.of("hand_cover_started")) == 3
    for point in (HEAD, "Z1_H0"):
        works.command("end_head_work", "S6", point=point)
    works.run(2)
    assert set(works.state.durable.interlock.covers) == {HEAD, "Z1_H0"}


def test_its_time_ends_it_with_an_alarm(works) -> None:
    """In service again at the minute that was asked for, with 移设、更换超时; never a fault."""
    started = _begin(works, minutes=2)
    works.turn(ms=started.now_ms + 2 * MINUTE_MS - 1 - works.now_ms)
    assert HEAD in works.state.durable.head_works.open
    works.turn(ms=1)
    assert works.of("head_work_ended")[-1].data["reason"] == "expired"
    assert find(works.state.durable, AlarmKind.HEAD_WORK_OVERRUN, HEAD).zone == "Z0"
    assert works.of("head_work_ended")[-1].data["by"] == ""
    assert works.state.volatile.points.live[HEAD].guarded_ms == works.now_ms
    works.run(2)
    assert not works.causes
    _begin(works)
    assert not is_active(works.state.durable, AlarmKind.HEAD_WORK_OVERRUN, HEAD)


def test_under_an_older_cover_it_ends_and_acts_all_the_same(works) -> None:
    """A work whose cover is not its own comes into force and runs out like any other."""
    works.command("hand_cover", "S4", point=HEAD, checker="S7")
    _begin(works, minutes=1)
    works.run(1)
    assert _quality(works) == "INHIBITED"
    started_ms = works.state.durable.head_works.open[HEAD].started_ms
    works.restart(down_ms=5_000)
    assert works.state.durable.head_works.open[HEAD].started_ms == started_ms
    works.run(61)
    assert works.of("head_work_ended")[-1].data["reason"] == "expired"


def test_by_default_it_lasts_an_hour(works) -> None:
    """The rule's own time where nobody names one."""
    started = _begin(works)
    until = works.state.durable.head_works.open[HEAD].until
    assert until.ms - started.now_ms == 60 * MINUTE_MS
    assert until.wall_ms - started.wall_ms == 60 * MINUTE_MS


def test_without_cover_the_place_locks(works) -> None:
    """The engineer ends the cover while the head is off, and no other head guards: it cuts."""
    works.world["Z0_H1"] = Quality.COMM_FAULT
    works.run(1)
    _begin(works)
    works.run(3)
    works.command("end_hand_cover", "S4", point=HEAD)
    works.run(15)
    assert f"fault:{HEAD}" in works.causes


@pytest.mark.parametrize(
    ("prepare", "words", "reasons"),
    [
        (lambda r: r.world.update(Z0_H0=100), {}, ["in_alarm"]),
        (lambda r: r.command("calibrate", "S6", point=HEAD), {}, ["in_calibration"]),
        (lambda r: r.command("calibrate", "S6", point="Z0_H1"), {}, ["zone_busy"]),
        (lambda r: _begin(r, point="Z0_H1"), {}, ["zone_busy"]),
        (_begin, {}, ["in_head_work"]),
        (lambda r: r.approved("bypass", "S4", "S3", point=HEAD), {}, ["bypassed"]),
        (lambda r: None, {"minutes": 121}, ["window_too_long:120"]),
        (lambda r: None, {"minutes": 120}, []),
        (lambda r: None, {"minutes": 0}, ["malformed"]),
        (lambda r: None, {"minutes": 481}, ["malformed"]),
        (lambda r: None, {"checker": "S1"}, ["not_a_gas_checker"]),
        (lambda r: None, {"point": "FEED_Z0"}, ["not_a_gas_head:FEED_Z0"]),
        (lambda r: None, {"point": "Z9_H9"}, ["not_a_gas_head:Z9_H9"]),
    ],
)
def test_when_it_may_not_begin(works, prepare, words, reasons) -> None:
    """Not in alarm, out of service or beside another such head; each bound at its edge."""
    prepare(works)
    works.run(1)
    words = {"point": HEAD, "checker": "S7", **words}
    answer = works.command("move_head", "S4", **words)
    assert answer.data.get("reasons", []) == reasons


def test_a_few_at_a_time(works) -> None:
    """Four heads of the mine at most are moved or replaced at once."""
    assert PER_MINE_MAX == 4
    for n in range(PER_MINE_MAX):
        assert _begin(works, point=f"Z{n}_H0").kind == "head_work_started"
    assert _begin(works, point="Z5_H0").data["reasons"] == ["mine_busy"]


def test_what_a_moved_head_keeps_off(works) -> None:
    """Neither calibrated nor bypassed meanwhile, nor the other head of its zone touched."""
    _begin(works)
    assert works.command("calibrate", "S6", point=HEAD).data["reasons"] == ["in_head_work"]
    assert works.command("calibrate", "S6", point="Z0_H1").data["reasons"] == [
        "zone_busy",
        "last_head",
    ]
    assert works.command("bypass", "S4", point=HEAD).data["reasons"] == ["in_head_work"]
    for point in ("Z0_H1", "Z9_H9"):
        answer = works.command("end_head_work", "S6", point=point)
        assert answer.data["reasons"] == ["no_head_work"]


def test_it_is_announced_first(rig_of, mine_of) -> None:
    """With an upload a move needs a running notice of its own kind."""
    rig = rig_of(mine_of(uploads=UPLOAD, acts=load_acts())).start()
    assert _begin(rig).data["reasons"] == ["notice_missing"]
    for work, reasons in (("calibration", ["notice_missing"]), ("head_move", [])):
        words = {"work": work, "applicant": "S6", "minutes": 30, "points": [HEAD]}
        notice = rig.command("notice", "S6", **words).data["notice"]
        rig.command("record_call", "S1", notice=notice, caller="S1")
        rig.command("start_work", "S6", notice=notice)
        rig.turn()
        assert _begin(rig).data.get("reasons", []) == reasons


def test_rules_that_know_no_time_permit_none(rig_of, mine_of) -> None:
    """A configuration of older rules has no such act."""
    rig = rig_of(mine_of(acts=Acts())).start()
    assert _begin(rig).data["reasons"] == ["window_too_long:0"]


@pytest.mark.parametrize("code", [f"S{n}" for n in range(1, 10)])
def test_who_may(works, code: str) -> None:
    """The chief engineer begins; the field engineer and the monitoring operator may end it."""
    for kind in ("move_head", "replace_head"):
        answer = works.command(kind, code, point=HEAD, checker="S7")
        assert ("not_permitted" in answer.data.get("reasons", ())) is (code != "S4")
    answer = works.command("end_head_work", code, point=HEAD)
    assert ("not_permitted" in answer.data.get("reasons", ())) is (code not in {"S2", "S4", "S6"})


def _replaced(rig, end: str = "ended") -> None:
    _begin(rig, "replace_head", minutes=1)
    rig.run(2)
    if end == "ended":
        rig.command("end_head_work", "S6", point=HEAD)
    else:
        rig.run(60)


@pytest.mark.parametrize("end", ["ended", "expired"])
def test_a_new_catalytic_head_warms_up(works, end: str) -> None:
    """For twenty minutes it reads WARMUP: no alarm, no cut while covered; then it trips again."""
    _replaced(works, end)
    (begun,) = works.of("warm_up_started")
    assert begun.data == {"minutes": 20, "point": HEAD}
    works.run(2)
    assert _quality(works) == "WARMUP"
    works.world[HEAD] = 160
    works.run(60)
    assert not works.causes
    assert not is_active(works.state.durable, AlarmKind.TRIP, HEAD)
    works.world[HEAD] = 30
    works.turn(ms=begun.now_ms + 20 * MINUTE_MS - 1 - works.now_ms)
    assert HEAD in works.state.durable.warm_ups.open
    works.turn(ms=1)
    assert works.of("warm_up_ended")[-1].data == {"point": HEAD}
    assert HEAD in works.state.durable.interlock.covers
    works.run(3)
    assert _quality(works) == "GOOD"
    assert HEAD not in works.state.durable.interlock.covers
    works.turn(readings={HEAD: 160})
    assert works.causes == [f"trip:{HEAD}"]


def test_the_warm_up_is_in_force_once_on_disk(works) -> None:
    """Until then what the new head reads counts."""
    _begin(works, "replace_head")
    works.run(2)
    works.disk_stands = True
    works.command("end_head_work", "S6", point=HEAD)
    works.turn(readings={HEAD: 20})
    works.turn(readings={HEAD: 160})
    assert works.causes == [f"trip:{HEAD}"]


def test_a_quiet_head_is_looked_at_when_its_warm_up_comes_into_force(works) -> None:
    """A reading that concerned nobody before the entry was durable makes no quiet head of it."""
    _begin(works, "replace_head")
    works.run(2)
    works.disk_stands = True
    works.command("end_head_work", "S6", point=HEAD)
    works.turn(readings={HEAD: 20})
    assert not works.state.volatile.points.live[HEAD].busy
    works.disk_stands = False
    works.turn()
    works.turn(readings={HEAD: 20})
    assert _quality(works) == "WARMUP"


def test_a_warming_head_without_cover_locks(works) -> None:
    """The cover of a head that warms up is ended: the place cuts, as for any lost head."""
    _replaced(works)
    works.run(20)
    assert not works.causes
    works.command("end_hand_cover", "S4", point=HEAD)
    assert works.causes == [f"fault:{HEAD}"]


def test_a_warming_head_is_left_alone(works) -> None:
    """Neither calibrated nor moved before it is warm."""
    _replaced(works)
    works.run(1)
    assert works.command("calibrate", "S6", point=HEAD).data["reasons"] == ["warming_up"]
    assert _begin(works).data["reasons"] == ["warming_up"]


def test_what_the_wire_says_of_a_warming_head_stays(works) -> None:
    """Only GOOD is doubted: a fault is a fault, and beyond the range is above every limit."""
    _replaced(works)
    works.run(2)
    works.world[HEAD] = Quality.COMM_FAULT
    works.run(2)
    assert _quality(works) == "COMM_FAULT"
    works.turn(readings={HEAD: Quality.OVER_RANGE})
    assert works.causes == [f"trip:{HEAD}"]


@pytest.mark.parametrize("minutes", [0, 20])
@pytest.mark.parametrize("catalytic", [False, True])
def test_who_warms_up(rig_of, mine_of, *, minutes: int, catalytic: bool) -> None:
    """A laser head is believed at once; so is any head where the rules know no time."""
    mine = mine_of(acts=replace(load_acts(), warm_up_minutes=minutes))
    rig = rig_of(_catalytic(mine) if catalytic else mine).start()
    _replaced(rig)
    rig.run(2)
    assert bool(rig.of("warm_up_started")) is (catalytic and minutes > 0)
    assert _quality(rig) == ("WARMUP" if catalytic and minutes else "GOOD")


def test_they_survive_a_restart(works) -> None:
    """A move, a warm-up and their cover stand after a crash, and end by the wall clock too."""
    _replaced(works)
    _begin(works, point="Z1_H0", minutes=30)
    works.run(2)
    durable = works.state.durable
    assert durable_from_json(json.loads(canonical(durable_to_json(durable)))) == durable
    assert recover(works.events) == durable
    works.restart(down_ms=1_000)
    works.run(2)
    assert (_quality(works), _quality(works, "Z1_H0")) == ("WARMUP", "INHIBITED")
    works.now_ms = 5_000
    works.wall_ms += 15 * MINUTE_MS
    works.restart(down_ms=0)
    head = works.state.durable.head_works.open["Z1_H0"]
    assert head.started_ms < 5_000
    assert 0 < head.until.ms - works.now_ms < 15 * MINUTE_MS
    assert 0 < works.state.durable.warm_ups.open[HEAD].until.ms - works.now_ms < 5 * MINUTE_MS
    works.wall_ms += 16 * MINUTE_MS
    works.turn()
    works.turn()
    assert not works.state.durable.head_works.open
    assert not works.state.durable.warm_ups.open


def test_what_a_watcher_sees(works) -> None:
    """Heads that are moved and heads that warm up, with names and ends."""
    _replaced(works)
    started = _begin(works, "replace_head", point="Z1_H0", minutes=7)
    shown = view(works.mine, works.state, works.now_ms)
    assert shown["head_works"] == {
        "Z1_H0": {
            "act": "replace", "by": "S4", "checker": "S7", "started_ms": started.now_ms,
            "until_ms": started.now_ms + 7 * MINUTE_MS,
        }
    }  # fmt: skip
    until_ms = works.state.durable.warm_ups.open[HEAD].until.ms
    assert shown["warm_ups"] == {HEAD: {"until_ms": until_ms}}
