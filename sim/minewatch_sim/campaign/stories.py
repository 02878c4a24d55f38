"""Stories of a dispatch room, each with a twist at its worst moment; drawn, plain data."""

from minewatch_sim.campaign.planned import Draw, Planned, Story


def _release(rng: Draw, until_ms: int, crash: bool) -> list[Planned]:
    """Gas trips, falls, and two names release it a minute later; something comes in between."""
    del until_ms
    pick, at_ms = rng.randrange(10**6), rng.randint(4_000, 9_000)
    ask_ms = rng.randint(88_000, 94_000)
    right = {"pick": pick, "right": True}
    planned = [
        Planned(at_ms, "gas", {"pick": pick, "level": rng.choice(["trip", "over"]),
                               "until_ms": at_ms + 2_600}),
        Planned(ask_ms - 3_000, "hand_values", right),
        Planned(ask_ms, "release", right),
    ]  # fmt: skip
    act_ms = ask_ms + 400
    twist = rng.choice(["none", "gas", "disk", "slow", "kill", "lost", "again", "gas", "slow"])
    planned.append(Planned(act_ms, "approve", right))
    if twist == "gas":
        for shift_ms in (-150, 0, 60):
            planned.append(Planned(act_ms + shift_ms, "gas", {"pick": rng.randrange(10**6),
                           "level": "trip", "until_ms": act_ms + 4_000}))  # fmt: skip
    elif twist == "disk":
        planned += [Planned(act_ms - 50, "disk", {"on": True, "quiet_ms": 3_000}),
                    Planned(act_ms + 9_000, "disk", {"on": False})]  # fmt: skip
    elif twist == "slow":
        planned += [Planned(act_ms - 200, "disk_slow", {"ms": 6_000}),
                    Planned(act_ms + 300, "gas", {"pick": pick, "level": "trip",
                                                    "until_ms": act_ms + 5_000}),
                    Planned(act_ms + 9_000, "disk_slow", {"ms": 0})]  # fmt: skip
    elif twist == "kill" and crash:
        planned.append(Planned(ask_ms - 1_000, "crash", {
            "down_ms": 300, "reboot": False, "config": "",
            "kill_on": rng.choice(["release_granted", "released"]),
            "before": rng.random() < 0.25}))  # fmt: skip
    elif twist == "lost":
        said = {"pick": pick, "name": "lost", "share": 1.0, "delay_ms": 100, "head": True}
        planned += [Planned(act_ms - 5_000, "device_fault", said),
                    Planned(act_ms + 8_000, "device_fault_end", said)]  # fmt: skip
    elif twist == "again":
        planned.append(Planned(act_ms, "approve", right))
    return [*planned, Planned(act_ms + 2_000, "close_switch", right)]


def _withdraw(rng: Draw, until_ms: int, crash: bool) -> list[Planned]:
    """People are ordered out and let back in by two names, at a bad moment."""
    del until_ms
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


def _calibrate(rng: Draw, until_ms: int, crash: bool) -> list[Planned]:
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


def _cover(rng: Draw, until_ms: int, crash: bool) -> list[Planned]:
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


def _bypass(rng: Draw, until_ms: int, crash: bool) -> list[Planned]:
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
        begins = rng.random() < 0.5
        planned.append(Planned(
            at_ms - 200 if begins else min(at_ms + 25_000, until_ms - 5_000), "crash", {
                "down_ms": 1_000, "reboot": False, "config": "", "before": not begins,
                "kill_on": "bypass_started" if begins else ""}))  # fmt: skip
    return planned


def _weld(rng: Draw, until_ms: int, crash: bool) -> list[Planned]:
    """A contact is welded when gas comes; the switch above may be, too."""
    del crash
    at_ms, pick = rng.randint(4_000, 20_000), rng.randrange(10**6)
    said = {"pick": pick, "on": True, "wired": True, "above": rng.random() < 0.5}
    return [
        Planned(at_ms, "weld", said),
        Planned(at_ms + 2_000, "gas", {"pick": pick, "level": "trip", "until_ms": at_ms + 9_000}),
        Planned(until_ms, "weld", said | {"on": False}),
    ]


def _shelve(rng: Draw, until_ms: int, crash: bool) -> list[Planned]:
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


def _fortnight(rng: Draw, until_ms: int, crash: bool) -> list[Planned]:
    """Sixteen days pass without a test of the cut-off."""
    del crash
    at_ms = rng.randint(10_000, until_ms - 20_000)
    return [Planned(at_ms, "sleep", {"ms": 16 * 86_400_000})]


def _reload(rng: Draw, until_ms: int, crash: bool) -> list[Planned]:
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


def _fan(rng: Draw, until_ms: int, crash: bool) -> list[Planned]:
    """The main fan of a heading stops; the standby one comes in time, late or never."""
    del crash
    at_ms, after_ms = rng.randint(5_000, 40_000), rng.choice([2_000, 6_000, 14_000, 60_000])
    wind_ms = rng.choice([1_000, 20_000])
    stop = [["H_FAN1", 0]]
    planned = [Planned(at_ms, "fan", {"shows": stop})]
    if after_ms < 60_000:
        planned.append(Planned(at_ms + after_ms, "fan", {"shows": [["H_FAN2", 1]]}))
    if wind_ms < after_ms:
        planned.append(Planned(at_ms + wind_ms, "fan", {"shows": [["H_WIND", 0]]}))
    right = [["H_FAN1", 1], ["H_FAN2", 0], ["H_WIND", 1]]
    return [*planned, Planned(min(at_ms + 25_000, until_ms), "fan", {"shows": right})]


def _vote(rng: Draw, until_ms: int, crash: bool) -> list[Planned]:
    """Heads of one place disagree, are lost, and then enough of them read a trip."""
    del crash
    at_ms = rng.randint(5_000, 20_000)
    planned = [
        Planned(at_ms, "gas_zone", {"heads": 1, "level": "trip", "until_ms": at_ms + 34_000}),
    ]
    if rng.random() < 0.5:
        lost = {"pick": rng.randrange(10**6), "name": "lost", "share": 1.0, "delay_ms": 100,
                "voter": True}  # fmt: skip
        planned += [Planned(at_ms + 3_000, "device_fault", lost),
                    Planned(min(at_ms + 40_000, until_ms), "device_fault_end", lost)]  # fmt: skip
    later_ms = at_ms + rng.choice([4_000, 36_000])
    return [*planned, Planned(later_ms, "gas_zone", {"heads": rng.choice([2, 3]), "level": "trip",
                                                     "until_ms": later_ms + 5_000})]  # fmt: skip


def _bad_relay(rng: Draw, until_ms: int, crash: bool) -> list[Planned]:
    """Every second answer of a relay module is lost or cut short, and gas comes."""
    del crash
    at_ms, pick = rng.randint(4_000, 20_000), rng.randrange(10**6)
    name = rng.choice(["truncated", "drop", "noise_after", "wrong_transaction"])
    bad = {"pick": pick, "name": name, "share": 0.5, "delay_ms": 100, "relay": True}
    return [
        Planned(at_ms, "device_fault", bad),
        Planned(at_ms + 6_000, "gas", {"pick": pick, "level": "trip", "until_ms": at_ms + 9_000}),
        Planned(min(at_ms + 30_000, until_ms), "device_fault_end", bad),
    ]


STORIES: dict[str, Story] = {
    "bad_relay": _bad_relay,
    "bypass": _bypass,
    "calibrate": _calibrate,
    "cover": _cover,
    "fan": _fan,
    "fortnight": _fortnight,
    "release": _release,
    "release_again": _release,
    "reload": _reload,
    "shelve": _shelve,
    "vote": _vote,
    "weld": _weld,
    "withdraw": _withdraw,
}
"""Stories by name; a release appears twice because it has the most moments to go wrong."""
