"""Schedules: what happens in one run, when; drawn from a seed, plain data, the same every time.

A schedule is a small random mine, a few stories of a dispatch room (each with a twist at its worst
moment), faults drawn from the named fault points, and acts of people at any moment. In mode
`safety` faults come until the end; in mode `liveness` they end at a moment, and from then on good
people put things right.
"""

import random
from dataclasses import dataclass
from enum import StrEnum

from minewatch_sim.campaign.mines import TEMPLATES
from minewatch_sim.campaign.planned import Draw, Planned
from minewatch_sim.campaign.stories import STORIES

SAFETY_MS = 122_000
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
    crash = rng.random() < 0.57 and not twin
    stories = [] if twin else rng.sample(sorted(STORIES), rng.choice([1, 1, 2]))
    focus = _focus(rng, stories) if not liveness else None
    planned = [p for story in stories for p in STORIES[story](rng, until_ms, crash)]
    faults = rng.randint(*FAULTS)
    for _ in range(faults):
        planned += _fault(rng, _before(until_ms, focus))
    crashes = rng.choice([1, 1, 2]) if crash else 0
    planned += [_crash(rng, until_ms, focus) for _ in range(crashes)]
    if twin:
        planned = [each for each in planned if each.do not in _NOT_IN_TWINS]
        planned += _of_family(rng, until_ms, twin)
    else:
        acts = rng.randint(*PEOPLE_ACTS)
        planned += [_person(rng, _before(until_ms, focus)) for _ in range(acts)]
    if focus is None:
        planned += [_gas(rng, until_ms) for _ in range(rng.randint(1, 3))]
    end_ms = FAULTS_END_MS + NORMAL_AGAIN_MS if liveness else SAFETY_MS
    ordered = tuple(sorted((p for p in planned if p.at_ms < end_ms), key=lambda each: each.at_ms))
    return Schedule(seed, mode, rng.randrange(TEMPLATES), ordered, faults, crashes, end_ms,
                    until_ms if liveness else end_ms, twin)  # fmt: skip


CALM_FROM_MS, CALM_TO_MS = 14_000, 97_000
"""A release needs a calm minute: most schedules that tell of one keep their faults outside."""

_NOT_IN_TWINS = frozenset({"suspend", "hang"})


def _focus(rng: Draw, stories: list[str]) -> int | None:
    """Return the end of the calm minute, None where a schedule has none."""
    return CALM_TO_MS if "release" in "".join(stories) and rng.random() < 0.8 else None


def _before(until_ms: int, focus: int | None) -> int:
    """Return until when a fault may come: before the calm minute where there is one."""
    return until_ms if focus is None else CALM_FROM_MS


def _fault(rng: Draw, until_ms: int) -> list[Planned]:
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


def _of_box(rng: Draw, what: str, at_ms: int, end_ms: int) -> list[Planned]:
    if what == "clock":
        by_ms = rng.choice([3_600_000, -3_600_000, 1_500, -1_500, -1_100_000_000_000])
        return [Planned(at_ms, "wall_step", {"by_ms": by_ms}),
                Planned(at_ms, "wall_trust", {"on": rng.random() < 0.5}),
                Planned(end_ms, "wall_trust", {"on": True})]  # fmt: skip
    if what == "disk_slow":
        return [Planned(at_ms, what, {"ms": rng.choice([300, 3_000])}),
                Planned(end_ms, what, {"ms": 0})]  # fmt: skip
    return [Planned(at_ms, what, {"on": True}), Planned(end_ms, what, {"on": False})]


def _of_family(rng: Draw, until_ms: int, family: str) -> list[Planned]:
    """Draw three faults of one family, beside those of others."""
    kinds = ["clock"] if family == "clock" else ["disk", "disk_slow", "console", "upload"]
    planned = []
    for _ in range(3):
        at_ms = rng.randint(START_MS, until_ms - 2_000)
        planned += _of_box(rng, rng.choice(kinds), at_ms, min(at_ms + 15_000, until_ms))
    return planned


def _gas(rng: Draw, until_ms: int) -> Planned:
    at_ms = rng.randint(START_MS, until_ms - 1_000)
    lasts_ms = rng.choice([1_000, 3_000, 6_000, 15_000, 40_000])
    said = {"pick": rng.randrange(10**6), "level": rng.choice(LEVELS),
            "until_ms": min(at_ms + lasts_ms, until_ms)}  # fmt: skip
    return Planned(at_ms, "gas", said)


def _crash(rng: Draw, until_ms: int, focus: int | None) -> Planned:
    at_ms = rng.randint(focus or START_MS, until_ms - 6_000)
    said = {
        "down_ms": rng.choice([300, 1_000, 3_500, 8_000]),
        "reboot": rng.random() < 0.3,
        "config": rng.choice(["", "", "", "stricter", "looser", "lower", "moved"]),
        "kill_on": rng.choice(["", "", "", *KILL_ON]),
        "before": rng.random() < 0.5,
    }
    return Planned(at_ms, "crash", said)


def _person(rng: Draw, until_ms: int) -> Planned:
    what = rng.choices(
        ("acknowledge", "silence", "close_out", "withdraw", "hand_values", "release", "approve",
         "all_clear", "resume", "calibrate", "end_calibration", "bypass", "end_bypass", "cover",
         "end_cover", "cut", "shelve", "unshelve", "close_switch", "wrong", "close_person", "test"),
        (6, 2, 2, 1, 5, 6, 8, 3, 2, 3, 1, 2, 1, 3, 1, 2, 3, 1, 3, 6, 2, 1),
    )[0]  # fmt: skip
    said = {"pick": rng.randrange(10**6), "right": rng.random() < 0.7}
    return Planned(rng.randint(START_MS, until_ms), what, said)
