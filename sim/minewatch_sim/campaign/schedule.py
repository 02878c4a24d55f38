"""Schedules: what happens in one run, when; drawn from a seed, plain data, the same every time.

A schedule is a small random mine, a few stories of a dispatch room (each with a twist at its worst
moment), faults drawn from the named fault points, and acts of people at any moment. In mode
`safety` faults come until the end; in mode `liveness` they end at a moment, and from then on good
people put things right.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from minewatch_sim.campaign.mines import TEMPLATES

SAFETY_MS = 126_000
FAULTS_END_MS = 60_000
NORMAL_AGAIN_MS = 110_000
"""Virtual time within which the system must be normal again once faults have ended."""

FAULTS = (5, 9)
PEOPLE_ACTS = (4, 12)
START_MS = 3_000


class Mode(StrEnum):
    """What is demanded of a schedule."""

    SAFETY = "safety"
    LIVENESS = "liveness"


@dataclass(frozen=True, slots=True)
class Planned:
    """One thing that happens: a fault, its end, or an act of people; `arguments` are plain data."""

    at_ms: int
    do: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Schedule:
    """All that happens in one run. `twin` names what its twin leaves out, empty without one."""

    seed: int
    mode: Mode
    template: int
    planned: tuple[Planned, ...]
    faults: int
    crashes: int
    end_ms: int
    faults_end_ms: int
    twin: str = ""

    def without(self, family: str) -> "Schedule":
        """Return the twin: the same without the acts of a family."""
        left = tuple(each for each in self.planned if FAMILY.get(each.do) != family)
        return Schedule(self.seed, self.mode, self.template, left, self.faults, self.crashes,
                        self.end_ms, self.faults_end_ms)  # fmt: skip


FAMILY = {
    "wall_step": "clock",
    "wall_trust": "clock",
    "disk": "store",
    "disk_slow": "store",
    "console": "store",
    "upload": "store",
}
"""Families of fault points that must not matter to what is cut: they may have a twin."""

_Draw = random.Random
Story = Callable[[_Draw, int, bool], list[Planned]]

DEVICE_FAULTS = (
    *("lost", "lost", "frozen", "mute", "late", "drop", "duplicated", "one_behind", "split"),
    *("truncated", "wrong_unit", "wrong_function", "wrong_count", "wrong_transaction"),
    *("zero_transaction", "noise", "noise_after", "exception", "echo_opposite"),
)
BUS_FAULTS = ("reboot", "reboot", "accept_then_close", "mute", "late", "drop", "noise")
HEAD_STATES = ("warmup", "implausible", "calibration", "comm_fault", "under_range")
LEVELS = ("pre_alarm", "alarm", "trip", "trip", "withdraw", "over", "under")
KILL_ON = (
    "cause_latched", "cause_latched", "release_granted", "released", "withdrawal_raised",
    "all_clear_given", "withdrawal_ended", "approval_asked", "hand_value_recorded",
    "alarm_raised", "bypass_started", "calibration_started",
)  # fmt: skip


def draw(seed: int, mode: Mode) -> Schedule:
    """Return the schedule of a seed."""
    rng = random.Random(f"{seed}/{mode}")
    liveness = mode is Mode.LIVENESS
    until_ms = FAULTS_END_MS if liveness else SAFETY_MS - 8_000
    twin = rng.choice(["clock", "store"]) if not liveness and rng.random() < 0.06 else ""
    planned: list[Planned] = []
    crash = rng.random() < 0.5 and not twin
    stories = [] if twin else rng.sample(sorted(STORIES), rng.choice([1, 1, 2]))
    for story in stories:
        planned += STORIES[story](rng, until_ms, crash)
    faults = rng.randint(*FAULTS)
    for _ in range(faults):
        planned += _fault(rng, until_ms)
    crashes = 0
    if crash:
        crashes = rng.choice([1, 1, 2])
        for _ in range(crashes):
            planned.append(_crash(rng, until_ms))
    if twin:
        planned = [each for each in planned if each.do not in _NOT_IN_TWINS]
        planned += _of_family(rng, until_ms, twin)
    else:
        for _ in range(rng.randint(*PEOPLE_ACTS)):
            planned.append(_person(rng, until_ms))
    planned += [_gas(rng, until_ms) for _ in range(rng.randint(1, 3))]
    end_ms = FAULTS_END_MS + NORMAL_AGAIN_MS if liveness else SAFETY_MS
    ordered = tuple(sorted((p for p in planned if p.at_ms < end_ms), key=lambda each: each.at_ms))
    return Schedule(seed, mode, rng.randrange(TEMPLATES), ordered, faults, crashes, end_ms,
                    until_ms if liveness else end_ms, twin)  # fmt: skip


_NOT_IN_TWINS = frozenset({"suspend", "hang", "reconfigure"})


def _fault(rng: _Draw, until_ms: int) -> list[Planned]:
    """Draw one fault from a named fault point."""
    at_ms = rng.randint(START_MS, until_ms - 2_000)
    lasts_ms = rng.choice([400, 1_500, 4_000, 8_000, 13_000, 25_000])
    end_ms = min(at_ms + lasts_ms, until_ms)
    what = rng.choices(
        ("device", "bus", "head", "value", "relay", "weld", "circuit", "clock", "disk", "disk_slow",
         "box", "console", "upload", "flood", "people"),
        (9, 3, 2, 2, 2, 2, 1, 3, 2, 1, 2, 1, 1, 1, 3),
    )[0]  # fmt: skip
    pick = rng.randrange(10**6)
    if what == "device":
        name = rng.choice(DEVICE_FAULTS)
        said = {"pick": pick, "name": name, "share": rng.choice([1.0, 0.5]),
                "delay_ms": rng.choice([100, 250, 400, 900])}  # fmt: skip
        return [Planned(at_ms, "device_fault", said), Planned(end_ms, "device_fault_end", said)]
    if what == "bus":
        said = {"pick": pick, "name": rng.choice(BUS_FAULTS), "share": rng.choice([1.0, 0.5]),
                "delay_ms": rng.choice([100, 400])}  # fmt: skip
        return [Planned(at_ms, "bus_fault", said), Planned(end_ms, "bus_fault_end", said)]
    if what == "head":
        said = {"pick": pick, "state": rng.choice(HEAD_STATES)}
        return [Planned(at_ms, "head_state", said | {"on": True}),
                Planned(end_ms, "head_state", said | {"on": False})]  # fmt: skip
    if what == "relay":
        return [Planned(at_ms, "relay_reset", {"pick": pick}),
                Planned(at_ms + 500, "relay_reset_end", {"pick": pick})]  # fmt: skip
    if what in ("weld", "circuit"):
        return [Planned(at_ms, what, {"pick": pick, "on": True}),
                Planned(until_ms, what, {"pick": pick, "on": False})]  # fmt: skip
    if what in ("clock", "disk", "disk_slow", "console", "upload"):
        return _of_box(rng, what, at_ms, end_ms)
    if what == "box":
        lasts = rng.choice([300, 1_500, 2_500, 6_000, 12_000])
        return [Planned(at_ms, rng.choice(["suspend", "hang"]), {"ms": lasts})]
    if what == "flood":
        return [Planned(at_ms, "flood", {"what": rng.choice(["commands", "notices"])})]
    if what == "people":
        said = {"come": rng.choice([0, 1, 3]), "go": rng.choice([0, 1, 2])}
        return [Planned(at_ms, "cage", said)]
    return [_gas(rng, until_ms)]


def _of_box(rng: _Draw, what: str, at_ms: int, end_ms: int) -> list[Planned]:
    if what == "clock":
        by_ms = rng.choice([3_600_000, -3_600_000, 1_500, -1_500, -1_100_000_000_000])
        return [Planned(at_ms, "wall_step", {"by_ms": by_ms}),
                Planned(at_ms, "wall_trust", {"on": rng.random() < 0.5}),
                Planned(end_ms, "wall_trust", {"on": True})]  # fmt: skip
    if what == "disk_slow":
        return [Planned(at_ms, what, {"ms": rng.choice([300, 3_000])}),
                Planned(end_ms, what, {"ms": 0})]  # fmt: skip
    return [Planned(at_ms, what, {"on": True}), Planned(end_ms, what, {"on": False})]


def _of_family(rng: _Draw, until_ms: int, family: str) -> list[Planned]:
    """Draw three faults of one family, beside those of others."""
    kinds = ["clock"] if family == "clock" else ["disk", "disk_slow", "console", "upload"]
    planned = []
    for _ in range(3):
        at_ms = rng.randint(START_MS, until_ms - 2_000)
        planned += _of_box(rng, rng.choice(kinds), at_ms, min(at_ms + 15_000, until_ms))
    return planned


def _gas(rng: _Draw, until_ms: int) -> Planned:
    at_ms = rng.randint(START_MS, until_ms - 1_000)
    lasts_ms = rng.choice([1_000, 3_000, 6_000, 15_000, 40_000])
    said = {"pick": rng.randrange(10**6), "level": rng.choice(LEVELS),
            "until_ms": min(at_ms + lasts_ms, until_ms)}  # fmt: skip
    return Planned(at_ms, "gas", said)


def _crash(rng: _Draw, until_ms: int) -> Planned:
    at_ms = rng.randint(START_MS, until_ms - 6_000)
    said = {
        "down_ms": rng.choice([300, 1_000, 3_500, 8_000]),
        "reboot": rng.random() < 0.3,
        "config": rng.choice(["", "", "", "stricter", "looser", "lower", "moved"]),
        "kill_on": rng.choice(["", "", "", *KILL_ON]),
        "before": rng.random() < 0.5,
    }
    return Planned(at_ms, "crash", said)


def _person(rng: _Draw, until_ms: int) -> Planned:
    what = rng.choices(
        ("acknowledge", "silence", "close_out", "withdraw", "hand_values", "release", "approve",
         "all_clear", "resume", "calibrate", "end_calibration", "bypass", "end_bypass", "cover",
         "end_cover", "cut", "shelve", "unshelve", "close_switch", "wrong", "close_person", "test"),
        (6, 2, 2, 1, 5, 6, 8, 3, 2, 3, 1, 2, 1, 3, 1, 2, 3, 1, 3, 6, 2, 1),
    )[0]  # fmt: skip
    said = {"pick": rng.randrange(10**6), "right": rng.random() < 0.7}
    return Planned(rng.randint(START_MS, until_ms), what, said)


# ---------------------------------------------------------------- stories


def _release(rng: _Draw, until_ms: int, crash: bool) -> list[Planned]:
    """Gas trips, falls, and two names release it a minute later; something comes in between."""
    del until_ms
    pick, at_ms = rng.randrange(10**6), rng.randint(4_000, 9_000)
    ask_ms = at_ms + 66_000 + rng.randint(2_000, 12_000)
    right = {"pick": pick, "right": True}
    planned = [
        Planned(at_ms, "gas", {"pick": pick, "level": rng.choice(["trip", "over"]),
                               "until_ms": at_ms + 2_600}),
        Planned(ask_ms - 3_000, "hand_values", right),
        Planned(ask_ms, "release", right),
    ]  # fmt: skip
    act_ms = ask_ms + 400
    twist = rng.choice(["none", "gas", "disk", "slow", "kill", "lost", "again", "restart"])
    planned.append(Planned(act_ms, "approve", right))
    if twist == "gas":
        for shift_ms in (-150, 0, 60):
            planned.append(Planned(act_ms + shift_ms, "gas", {"pick": rng.randrange(10**6),
                           "level": "trip", "until_ms": act_ms + 4_000}))  # fmt: skip
    elif twist == "disk":
        planned += [Planned(act_ms - 200, "disk", {"on": True}),
                    Planned(act_ms + 9_000, "disk", {"on": False})]  # fmt: skip
    elif twist == "slow":
        planned += [Planned(act_ms - 200, "disk_slow", {"ms": 3_000}),
                    Planned(act_ms + 1_000, "gas", {"pick": pick, "level": "trip",
                                                    "until_ms": act_ms + 5_000}),
                    Planned(act_ms + 9_000, "disk_slow", {"ms": 0})]  # fmt: skip
    elif twist == "kill" and crash:
        planned.append(Planned(ask_ms - 1_000, "crash", {
            "down_ms": 300, "reboot": False, "config": "",
            "kill_on": rng.choice(["release_granted", "released"]),
            "before": rng.random() < 0.5}))  # fmt: skip
    elif twist == "lost":
        said = {"pick": pick, "name": "lost", "share": 1.0, "delay_ms": 100, "head": True}
        planned += [Planned(act_ms - 5_000, "device_fault", said),
                    Planned(act_ms + 8_000, "device_fault_end", said)]  # fmt: skip
    elif twist == "again":
        planned.append(Planned(act_ms, "approve", right))
    return [*planned, Planned(act_ms + 2_000, "close_switch", right)]


def _withdraw(rng: _Draw, until_ms: int, crash: bool) -> list[Planned]:
    """People are ordered out and let back in by two names, at a bad moment."""
    at_ms = rng.randint(4_000, 12_000)
    right = {"pick": rng.randrange(10**6), "right": True}
    clear_ms = at_ms + rng.randint(6_000, 20_000)
    planned = [
        Planned(at_ms, "withdraw", right),
        Planned(clear_ms, "all_clear", right),
        Planned(clear_ms + 500, "approve", right),
        Planned(clear_ms + 9_000, "resume", right),
        Planned(clear_ms + 9_500, "approve", right),
    ]
    twist = rng.choice(["none", "kill", "gap", "disk", "gas", "relay", "raise_kill"])
    if twist in ("kill", "raise_kill") and crash:
        kind = rng.choice(["all_clear_given", "withdrawal_ended"])
        planned.append(Planned(at_ms - 500 if twist == "raise_kill" else clear_ms - 200, "crash", {
            "down_ms": rng.choice([300, 2_000]), "reboot": rng.random() < 0.3, "config": "",
            "kill_on": "withdrawal_raised" if twist == "raise_kill" else kind,
            "before": rng.random() < 0.5}))  # fmt: skip
    elif twist == "gap":
        planned.append(Planned(clear_ms - 3_000, "suspend", {"ms": 6_000}))
    elif twist == "disk":
        planned += [Planned(clear_ms - 200, "disk", {"on": True}),
                    Planned(clear_ms + 6_000, "disk", {"on": False})]  # fmt: skip
    elif twist == "gas":
        planned.append(Planned(clear_ms + 550, "gas", {"pick": rng.randrange(10**6),
                       "level": "withdraw", "until_ms": clear_ms + 5_000}))  # fmt: skip
    elif twist == "relay":
        planned += [Planned(at_ms + 2_000, "relay_reset", right),
                    Planned(at_ms + 2_500, "relay_reset_end", right)]  # fmt: skip
    return planned


def _calibrate(rng: _Draw, until_ms: int, crash: bool) -> list[Planned]:
    """A head is calibrated with its gas, and what guards its place fails meanwhile."""
    del crash
    at_ms, pick = rng.randint(4_000, 10_000), rng.randrange(10**6)
    right = {"pick": pick, "right": True}
    planned = [
        Planned(at_ms, "calibrate", right),
        Planned(at_ms + 4_000, "gas", {"pick": pick, "level": "trip", "paired": True,
                                       "until_ms": at_ms + 12_000}),
    ]  # fmt: skip
    twist = rng.choice(["none", "lost", "lost", "both", "end", "disk"])
    lost = {"pick": pick, "name": "lost", "share": 1.0, "delay_ms": 100, "beside": True}
    if twist in ("lost", "both"):
        planned += [Planned(at_ms + 6_000, "device_fault", lost),
                    Planned(min(at_ms + 45_000, until_ms), "device_fault_end", lost)]  # fmt: skip
    if twist == "disk":
        planned += [Planned(at_ms - 300, "disk", {"on": True}),
                    Planned(at_ms + 8_000, "disk", {"on": False})]  # fmt: skip
    return [*planned, Planned(min(at_ms + 50_000, until_ms), "end_calibration", right)]


def _cover(rng: _Draw, until_ms: int, crash: bool) -> list[Planned]:
    """A head dies, is covered by hand, and its place is released."""
    del crash
    at_ms, pick = rng.randint(4_000, 8_000), rng.randrange(10**6)
    right = {"pick": pick, "right": True}
    lost = {"pick": pick, "name": "lost", "share": 1.0, "delay_ms": 100, "head": True}
    return [
        Planned(at_ms, "device_fault", lost),
        Planned(at_ms + 18_000, "cover", right),
        Planned(at_ms + 20_000, "hand_values", right),
        Planned(at_ms + 22_000, "release", right),
        Planned(at_ms + 22_500, "approve", right),
        Planned(at_ms + rng.choice([30_000, 70_000]), "end_cover", right),
        Planned(until_ms, "device_fault_end", lost),
    ]


def _bypass(rng: _Draw, until_ms: int, crash: bool) -> list[Planned]:
    """A head is bypassed for a minute by two names; clock and process jump meanwhile."""
    at_ms, pick = rng.randint(4_000, 9_000), rng.randrange(10**6)
    right = {"pick": pick, "right": True}
    planned = [
        Planned(at_ms, "bypass", right),
        Planned(at_ms + 400, "approve", right),
        Planned(at_ms + 5_000, "gas", {"pick": pick, "level": "trip", "paired": True,
                                       "until_ms": at_ms + 15_000}),
    ]  # fmt: skip
    if rng.random() < 0.5:
        planned.append(Planned(at_ms + 20_000, "wall_step", {"by_ms": -3_600_000}))
    if crash:
        planned.append(
            Planned(
                min(at_ms + 25_000, until_ms - 5_000),
                "crash",
                {"down_ms": 1_000, "reboot": False, "config": "", "kill_on": "", "before": True},
            )
        )
    return planned


def _weld(rng: _Draw, until_ms: int, crash: bool) -> list[Planned]:
    """A contact is welded when gas comes; the switch above may be, too."""
    del crash
    at_ms, pick = rng.randint(4_000, 20_000), rng.randrange(10**6)
    said = {"pick": pick, "on": True, "wired": True, "above": rng.random() < 0.5}
    return [
        Planned(at_ms, "weld", said),
        Planned(at_ms + 2_000, "gas", {"pick": pick, "level": "trip", "until_ms": at_ms + 9_000}),
        Planned(until_ms, "weld", said | {"on": False}),
    ]


def _shelve(rng: _Draw, until_ms: int, crash: bool) -> list[Planned]:
    """An alarm is put aside for a minute; somebody tries it with a trip."""
    del crash, until_ms
    at_ms, pick = rng.randint(5_000, 15_000), rng.randrange(10**6)
    right = {"pick": pick, "right": True}
    return [
        Planned(at_ms, "gas", {"pick": pick, "level": "pre_alarm", "until_ms": at_ms + 80_000}),
        Planned(at_ms + 4_000, "shelve", right | {"kind": "pre_alarm"}),
        Planned(at_ms + 9_000, "gas", {"pick": pick, "level": "trip", "until_ms": at_ms + 12_000}),
        Planned(at_ms + 12_000, "shelve", right | {"kind": rng.choice(
            ["trip", "withdraw", "failed_actuation", "sensor_fault"])}),
        Planned(at_ms + 12_500, "approve", right),
    ]  # fmt: skip


def _fortnight(rng: _Draw, until_ms: int, crash: bool) -> list[Planned]:
    """Sixteen days pass without a test of the cut-off."""
    del crash
    at_ms = rng.randint(10_000, until_ms - 20_000)
    return [Planned(at_ms, "sleep", {"ms": 16 * 86_400_000})]


def _reload(rng: _Draw, until_ms: int, crash: bool) -> list[Planned]:
    """A configuration that guards less is activated while a cut is latched."""
    del until_ms, crash
    at_ms = rng.randint(4_000, 20_000)
    pick = rng.randrange(10**6)
    return [
        Planned(at_ms, "gas", {"pick": pick, "level": "trip", "until_ms": at_ms + 9_000}),
        Planned(at_ms + rng.choice([500, 4_000]), "crash", {
            "down_ms": 500, "reboot": rng.random() < 0.3, "kill_on": "", "before": True,
            "config": rng.choice(["looser", "lower", "moved", "stricter"])}),
    ]  # fmt: skip


STORIES: dict[str, Story] = {
    "bypass": _bypass,
    "calibrate": _calibrate,
    "cover": _cover,
    "fortnight": _fortnight,
    "release": _release,
    "release_again": _release,
    "reload": _reload,
    "shelve": _shelve,
    "weld": _weld,
    "withdraw": _withdraw,
}
"""Stories by name; a release appears twice because it has the most moments to go wrong."""
