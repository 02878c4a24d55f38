"""Every history of a small place: two heads, one switch, one siren, two names, crashes at will.

Checked on every edge of the search: I3 a cut ends by a release alone; I4 an order to leave ends by
two names alone, and no restart is one; I12 what is raised stays until it is closed, and answering
moves no output; I13 what may not be put aside never is; I22 a start holds what it does not know;
I25 a trip in the cycle of a release wins. The limits are shortened to a few ticks, so that the
search meets all of them; the code that it walks is the code of the mine.
"""

import importlib.util
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from minewatch.model.alarm import SHELVABLE
from minewatch.model.mine import Output, OutputRole
from minewatch.model.quality import Quality
from minewatch.model.values import Values


def _search_room() -> ModuleType:
    path = Path(__file__).with_name("exhaustive.py")
    spec = importlib.util.spec_from_file_location("core_exhaustive", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


room = _search_room()
Move, Edge, Node = room.Move, room.Edge, room.Node
H0, H1 = "Z0_H0", "Z0_H1"
CUT, SIREN, GATE = "cut_Z0", "siren_Z0", "gate"
BELOW_TICKS, HAND_TICKS, STALE_TICKS = 2, 6, 3
QUIET = {H0: 10, H1: 10}
SAID = {
    "low": QUIET,
    "trip": {H0: 200, H1: 10},
    "over": {H0: Quality.OVER_RANGE, H1: 10},
    "bad": {H0: Quality.COMM_FAULT, H1: 10},
    "silent": {},
}
SHORT = {
    "power.release.BELOW_MS": BELOW_TICKS * 1000,
    "power.release.HAND_VALUE_MS": HAND_TICKS * 1000,
    "power.release.PENDING_MS": 3000,
    "desk.approval.APPROVAL_MS": 3000,
    "readings.calibration.CALIBRATION_MS": 3000,
    "readings.fault.ALARM_MS": 2000,
}


@pytest.fixture
def place(core_tools: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the mine of the search, its limits shortened to ticks."""
    for name, value in SHORT.items():
        monkeypatch.setattr(f"minewatch.core.{name}", value)
    plain = core_tools.build_mine(zones=1, heads=2, fault_after_ms=3000)
    kept = tuple(point for point in plain.points if point.id in QUIET)
    gas = tuple(each for each in plain.interlocks if each.id.startswith("gas"))
    outputs = (
        Output(CUT, "", OutputRole.POWER_CUT, "Z0", "relay", "c", None),
        Output(SIREN, "", OutputRole.SIREN, "Z0", "relay", "s", None),
        Output(GATE, "", OutputRole.GATE, "surface", "relay", "g", None),
    )
    return core_tools.build_mine(
        zones=1,
        heads=2,
        points=kept,
        interlocks=gas,
        outputs=outputs,
        values=Values(hand_check_ms=HAND_TICKS * 1000),
    )


def _moves(node: Any) -> Iterator[Any]:
    """Yield everything that may happen in the next tick."""
    for name, said in SAID.items():
        yield Move(name, said)
        yield Move(f"{name}, disk stands", said, synced=False)
    for name, commands in _acts(node):
        yield Move(name, QUIET, commands)
        yield Move(f"{name}, disk stands", QUIET, commands, synced=False)
        if name.startswith("approve"):
            yield Move(f"{name} and trip", SAID["trip"], commands)
    for at in range(len(node.prefixes)):
        yield Move("crash", QUIET, crash=at)
    yield Move("crash, relays silent", QUIET, crash=0, silent_relays=True)


def _acts(node: Any) -> Iterator[tuple[str, tuple[Any, ...]]]:
    durable, command = node.state.durable, room.command
    yield "measure", tuple(command("hand_value", "S7", point=p, value=10) for p in QUIET)
    yield "measure high", (command("hand_value", "S7", point=H1, value=200),)
    yield "order out", (command("withdraw", "S1", zones=["Z0"]),)
    if durable.interlock.causes:
        yield "ask release", (command("release", "S1", outputs=[CUT]),)
    standing = durable.withdrawal.standing
    if standing is not None:
        yield "ask all-clear", (command("all_clear", "S3", withdrawal=standing.id),)
    kinds = {approval.kind: approval.id for approval in durable.approvals.open.values()}
    for kind, second in (("release", "S3"), ("release", "S1"), ("all_clear", "S4")):
        if kind in kinds:
            yield f"approve {kind} by {second}", (command("approve", second, approval=kinds[kind]),)
    opened = durable.calibrations.open
    kind = "end_calibration" if H0 in opened else "calibrate"
    yield kind, (command(kind, "S6", point=H0),)
    alarms = sorted(durable.alarms.items)
    if alarms:
        yield "answer all", (command("acknowledge", "S1", alarms=alarms), command("silence", "S1"))
        first = durable.alarms.items[alarms[0]]
        asked = {"kind": str(first.kind), "source": first.source, "minutes": 30}
        yield "put aside", (command("shelve", "S1", **asked),)


def _check(edge: Any) -> None:
    """Pin what one edge alone can show."""
    before, after = edge.before.state.durable, edge.after.state.durable
    move, outputs = edge.move, edge.decided.outputs
    kinds = [event.kind for event in edge.decided.events]
    if move.crash is None:
        for alarm_id, alarm in before.alarms.items.items():
            if alarm_id not in after.alarms.items:
                assert alarm.closed or alarm.priority > 2, alarm
            elif alarm.priority <= 2 and not alarm.acknowledged_by:
                assert "alarms_acknowledged" in kinds or not (
                    after.alarms.items[alarm_id].acknowledged_by
                )
    for key in after.alarms.shelves:
        assert key.partition("/")[0] in {str(kind) for kind in SHELVABLE}
    if outputs is None:
        assert move.crash is not None or edge.before.state.volatile.house.proving_since_ms
        return
    if move.said.get(H0) in (200, Quality.OVER_RANGE) and H0 not in _in_calibration(edge):
        assert outputs[CUT] is False, "a trip cuts in its own cycle, whatever else happens"
        assert outputs[SIREN] is True
    if move.crash is not None:
        assert outputs[CUT] is False, "a contact that opened without us stays open"
        sounds_on = outputs[SIREN] or not dict(edge.before.written)[SIREN]
        assert sounds_on or "withdrawal_ended" in kinds, "a siren sounds on"
    if move.name.startswith("answer all"):
        assert "released" not in kinds or before.interlock.pending
    assert outputs[GATE] is (after.withdrawal.standing is None and not after.withdrawal.no_descent)


def _in_calibration(edge: Any) -> set[str]:
    durable = edge.before.state.durable
    on_disk = edge.before.prefixes[-1 if edge.move.synced else 0].index
    return {
        point for point, each in durable.calibrations.open.items() if each.index < on_disk
    } - set(durable.points.over)


class Power:
    """I3 and I25 on histories of moves and levels alone: power comes back by the rules or never.

    The memory is (ticks since both heads are low, unheard since, since measured, two names given).
    """

    BEGIN = (BELOW_TICKS, 0, HAND_TICKS, False)

    @staticmethod
    def after(memory: Any, name: str, before: Any, now: Any) -> Any:
        """Take one move; both heads must have been heard within three ticks."""
        low, unheard, measured, names = memory
        broken = name.startswith(("trip", "over", "bad")) or " and trip" in name
        unheard = unheard + 1 if name.startswith("silent") else 0
        low = 0 if broken or unheard > STALE_TICKS else min(low + 1, BELOW_TICKS + 1)
        if name.startswith("crash"):
            low = 1
        measured = 0 if name.startswith("measure") else min(measured + 1, HAND_TICKS)
        if name.startswith("approve release by S3"):
            names = True
        if now[0] and not before[0]:
            assert names, f"power came back without two names: {name}"
            assert measured < HAND_TICKS, f"power came back unmeasured: {name}"
            assert low > BELOW_TICKS, f"power came back too soon: {name}"
        if now[0] or name.startswith("crash"):
            names = False
        return low, min(unheard, STALE_TICKS + 1), measured, names


class Since:
    """I22 and I25 on histories: no power in the ticks after a trip or a start, whatever was asked.

    The memory is (ticks since a head was at trip, ticks since a start).
    """

    BEGIN = (HAND_TICKS, HAND_TICKS)

    @staticmethod
    def after(memory: Any, name: str, before: Any, now: Any) -> Any:
        """Take one move."""
        tripped, started = (min(each + 1, HAND_TICKS) for each in memory)
        if name.startswith(("trip", "over")) or " and trip" in name:
            tripped = 0
        if name.startswith("crash"):
            started = 0
        if now[0] and not before[0]:
            assert tripped > BELOW_TICKS, f"power came back after a trip: {name}"
            assert started >= BELOW_TICKS, f"power came back after a start: {name}"
        return tripped, started


class Leaving:
    """I4: a siren that sounds goes on until two names have said that people may return."""

    BEGIN = False

    @staticmethod
    def after(memory: Any, name: str, before: Any, now: Any) -> Any:
        """Take one move; the memory is whether two names were given since it sounds."""
        names = memory or name.startswith("approve all_clear by S4")
        if before[1] and not now[1]:
            assert names, f"a siren fell silent: {name}"
        return names and bool(now[1])


STARTS = {
    "in service": (),
    "cut and measured": ("trip", "measure", "low", "low"),
    "release asked": ("trip", "measure", "low", "low", "ask release"),
    "release waits for the disk": (
        "trip",
        "measure",
        "low",
        "low",
        "ask release",
        "approve release by S3, disk stands",
    ),
    "people may return": ("trip", "low", "measure", "ask all-clear"),
    "in calibration": ("calibrate", "low"),
    "beyond range": ("over", "measure", "low", "low"),
    "a head is lost": ("bad", "bad", "bad"),
}
"""Places from where the search begins, so that few edges reach what takes many moves."""


class Rare:
    """Counts what a search must have met, edge by edge, beside the check."""

    def __init__(self) -> None:
        self.met: Counter[str] = Counter()

    def check(self, edge: Any) -> None:
        """Check one edge and note what it shows."""
        _check(edge)
        before, after = dict(edge.before.written), dict(edge.after.written)
        self.met["power came back"] += after[CUT] and not before[CUT]
        self.met["a siren fell silent"] += before[SIREN] and not after[SIREN]
        self.met["crashed with entries not on disk"] += (
            edge.move.crash is not None and len(edge.before.prefixes) > 1
        )
        for event in edge.decided.events:
            self.met[event.kind] += 1


MUST_BE_MET = (
    "power came back",
    "a siren fell silent",
    "crashed with entries not on disk",
    "released",
    "release_voided",
    "release_granted",
    "withdrawal_ended",
    "over_range_latched",
    "calibration_ended",
    "approval_expired",
    "hand_value_expired",
    "cause_latched",
)


def _searched(
    place: Any, edges: int, starts: Mapping[str, tuple[str, ...]] = STARTS
) -> tuple[int, int, Counter[str]]:
    """Search from every start; return edges, steps of histories, and what was met."""
    rare, total, walked = Rare(), 0, 0
    for path in starts.values():
        search = room.Search(place, _moves, rare.check)
        search.run(edges, path)
        total += search.edges
        for monitor in (Power, Leaving, Since):
            begin = monitor.BEGIN
            for name in path:
                begin = monitor.after(begin, name, (True, False), (False, True))
            walked += room.walk_histories(search, room.Monitor(begin, monitor.after))
    return total, walked, rare.met


def test_every_history_of_a_small_place(place: Any) -> None:
    """The nearest edges around each start, and every history on them; the rare ones are met."""
    edges, walked, met = _searched(place, 1_200)
    assert edges >= 1_200 * len(STARTS)
    assert walked > edges
    assert [each for each in MUST_BE_MET if not met[each]] == []


@pytest.mark.nightly
@pytest.mark.timeout(7200)
def test_every_history_of_a_small_place_far_out(place: Any) -> None:
    """More than a million edges through `step`, ten million steps of histories on their tables."""
    edges, walked, met = _searched(place, 300_000)
    assert [each for each in MUST_BE_MET if not met[each]] == []
    assert edges >= 2_000_000
    assert edges + walked >= 10_000_000


WAITS = STARTS["release waits for the disk"]
PLANTED: dict[str, tuple[tuple[str, ...], Any]] = {
    "power.release.BELOW_MS": (WAITS, 0),
    "power.release.reasons_against": (WAITS, lambda draft, outputs: ()),
    "power.release._hand_reasons": (
        ("trip", "low", "low", "low", "ask release"),
        lambda draft, plan: [],
    ),
    "power.start._is_lost": ((), lambda draft, output, since_ms: False),
    "power.start._keep_sounding": ((), lambda draft, since_ms: None),
    "draft.Draft.is_on_disk": ((), lambda draft, index: True),
    "withdrawals.withdrawal.standing_zones": ((), lambda durable: ()),
}


@pytest.mark.parametrize("where", PLANTED)
def test_the_search_finds_a_planted_fault(
    place: Any, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """The search can fail: each planted fault is met within a few thousand edges."""
    start, what = PLANTED[where]
    monkeypatch.setattr(f"minewatch.core.{where}", what)
    with pytest.raises(AssertionError):
        _searched(place, 3_000, {where: start})
