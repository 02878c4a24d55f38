"""People of a campaign: what they ask for at any moment, rightly and wrongly, and the good crew.

They see frames, as everybody does, and give commands. A right act bears the names that practice
asks for; a wrong one bears any name, from any place, with arguments that may not fit.
"""

import random
from collections.abc import Callable
from typing import Any

from minewatch.model.image import Command
from minewatch_sim.campaign.house import House
from minewatch_sim.campaign.mines import STAFF
from minewatch_sim.campaign.witness import Witness

Frame = dict[str, Any]

ORIGINS = ("page:dispatch-1", "page:dispatch-1", "page:desk-2", "local:0", "", "button:b1")
DESK, OTHER_DESK = "page:dispatch-1", "page:desk-2"
CALM = 8
SECONDS = {
    "release": "L1",
    "all_clear": "C1",
    "resume_descent": "H1",
    "bypass": "L1",
    "cut": "D2",
    "close_person": "D1",
    "shelve": "L1",
    "test_interlock": "L1",
}
KINDS = (
    "release", "all_clear", "resume_descent", "bypass", "hand_cover", "calibrate", "cut", "approve",
    "acknowledge", "silence", "close_out", "withdraw", "hand_value", "end_bypass", "reload",
    "close_person", "shelve", "extend_calibration", "move_head", "test_interlock", "on_duty",
)  # fmt: skip
LISTED_MAX = 50


class People:
    """Gives commands to the house; `do` is what a schedule asks for by name."""

    def __init__(self, house: House, witness: Witness, rng: random.Random) -> None:
        self._house = house
        self._witness = witness
        self._rng = rng
        self._given = 0
        self._acts: dict[str, Callable[[Frame, dict[str, Any]], object]] = {
            "acknowledge": self._acknowledge,
            "silence": lambda _, said: self.say("silence", self._desk(said)),
            "close_out": self._close_out,
            "withdraw": self._withdraw,
            "hand_values": self._hand_values,
            "release": self._release,
            "approve": self._approve,
            "all_clear": self._all_clear,
            "resume": lambda _, said: self.say("resume_descent", self._by(said, "C1")),
            "calibrate": self._calibrate,
            "end_calibration": self._end("calibrations", "end_calibration", "F1"),
            "bypass": self._bypass,
            "end_bypass": self._end("bypasses", "end_bypass", "C1"),
            "cover": self._cover,
            "end_cover": self._end("hand_covers", "end_hand_cover", "C1"),
            "cut": self._cut,
            "shelve": self._shelve,
            "unshelve": self._unshelve,
            "close_switch": lambda _, said: self._close_switch(said),
            "close_person": self._close_person,
            "test": self._test,
            "wrong": self._wrong,
        }

    def knows(self, name: str) -> bool:
        """Say whether this is an act of people."""
        return name in self._acts

    def do(self, name: str, said: dict[str, Any], frame: Frame | None) -> None:
        """Do one act; nothing where nobody lives to hear it."""
        if frame is not None:
            self._acts[name](frame, said)

    def say(
        self, kind: str, by: str, origin: str = DESK, text: str = "why", **arguments: Any
    ) -> bool:
        """Give one command."""
        self._given += 1
        return self._house.command(Command(f"c{self._given}", kind, by, origin, arguments, text))

    def flood(self, what: str) -> int:
        """Give more at once than fits; return how many were refused at the door."""
        if what == "notices":
            for n in range(1_200):
                if self._house.controller is not None:
                    self._house.controller.notice("device_fault", f"d{n % 300}", code="x")
            return 0
        return sum(not self.say("silence", "", "local:0") for _ in range(400))

    # ------------------------------------------------------------ who and where

    def _by(self, said: dict[str, Any], right: str) -> str:
        return right if said["right"] else self._rng.choice([code for code, _ in STAFF])

    def _desk(self, said: dict[str, Any]) -> str:
        return self._by(said, self._rng.choice(["D1", "D2", "M1"]))

    def _pick(self, said: dict[str, Any], of: list[str]) -> str:
        return of[said["pick"] % len(of)] if of else ""

    # ------------------------------------------------------------ acts

    def _acknowledge(self, frame: Frame, said: dict[str, Any]) -> None:
        waiting = [k for k, a in frame["alarms"].items() if a["state"] != "acknowledged"]
        if waiting:
            self.say("acknowledge", self._desk(said), alarms=sorted(waiting)[:LISTED_MAX])

    def _close_out(self, frame: Frame, said: dict[str, Any]) -> None:
        alarms = sorted(k for k, a in frame["alarms"].items() if not a["closed"])[:LISTED_MAX]
        if alarms:
            self.say("close_out", self._desk(said), alarms=alarms, cause="other")

    def _withdraw(self, frame: Frame, said: dict[str, Any]) -> None:
        del frame
        zones = [z.id for z in self._house.mine.zones if z.kind not in ("mine", "surface")]
        named = said["right"]
        zone = self._pick(said, zones) if said["pick"] % 4 else "mine"
        self.say("withdraw", "D1" if named else "", DESK, zones=[zone])

    def _hand_values(self, frame: Frame, said: dict[str, Any]) -> None:
        value = CALM if said["right"] or self._rng.random() < 0.5 else self._rng.randint(60, 200)
        for point in self.places(frame):
            self.say("hand_value", self._by(said, "G1"), point=point, value=value)

    def places(self, frame: Frame) -> list[str]:
        """Return the heads that must be measured by hand: for a release, or beyond their range."""
        wiring = self._witness.wiring
        points = {p for each in frame["causes"].values() for p in each["points"]}
        outputs = {o for each in frame["causes"].values() for o in each["outputs"]}
        zones = {wiring.driven[o].zone for o in outputs if o in wiring.driven}
        guards = {p for zone in zones for p in wiring.zones.get(zone, ())}
        guards |= {p for p, trips in wiring.trips.items() if trips & outputs}
        over = {p for p, each in frame["points"].items() if each["quality"] == "OVER_RANGE"}
        known = {p for p in points | guards | over if p in wiring.points}
        return sorted(p for p in known if not wiring.is_switch(p))

    def _release(self, frame: Frame, said: dict[str, Any]) -> None:
        outputs = sorted({o for each in frame["causes"].values() for o in each["outputs"]})
        if outputs:
            if not said["right"] and len(outputs) > 1:
                outputs = outputs[:1]
            self.say("release", self._by(said, "D1"), outputs=outputs)

    def _approve(self, frame: Frame, said: dict[str, Any]) -> None:
        for key, asked in sorted(frame["approvals"].items()):
            right = SECONDS.get(asked["kind"], "L1")
            origin = OTHER_DESK if said["right"] else self._rng.choice(ORIGINS)
            self.say("approve", self._by(said, right), origin, approval=key)

    def _all_clear(self, frame: Frame, said: dict[str, Any]) -> None:
        for key in sorted(frame["withdrawals"]):
            self.say("all_clear", self._by(said, "L1"), withdrawal=key)

    def _calibrate(self, frame: Frame, said: dict[str, Any]) -> None:
        del frame
        point = self.paired(said["pick"])
        self.say("calibrate", self._by(said, "F1"), point=point)

    def paired(self, pick: int) -> str:
        """Return a methane head whose zone has another one, where there is such a head."""
        zones = self._witness.wiring.zones
        heads = sorted(p for each in zones.values() if len(each) > 1 for p in each)
        every = heads or sorted(p for each in zones.values() for p in each)
        return every[pick % len(every)]

    def _bypass(self, frame: Frame, said: dict[str, Any]) -> None:
        del frame
        point = self.paired(said["pick"])
        self.say("bypass", self._by(said, "C1"), point=point, minutes=1)

    def _end(
        self, section: str, kind: str, right: str
    ) -> Callable[[Frame, dict[str, Any]], object]:
        def act(frame: Frame, said: dict[str, Any]) -> None:
            for point in sorted(frame[section]):
                self.say(kind, self._by(said, right), point=point)

        return act

    def _cover(self, frame: Frame, said: dict[str, Any]) -> None:
        dead = [p for p, each in frame["points"].items() if each["quality"] != "GOOD"]
        heads = {p for each in self._witness.wiring.zones.values() for p in each}
        point = self._pick(said, sorted(heads & set(dead)))
        if point:
            checker = "G1" if said["right"] else self._rng.choice(["G2", "D1"])
            self.say("hand_cover", self._by(said, "C1"), point=point, checker=checker)

    def _cut(self, frame: Frame, said: dict[str, Any]) -> None:
        output = self._pick(said, sorted(frame["outputs"]))
        self.say("cut", self._by(said, "D1"), output=output)

    def _test(self, frame: Frame, said: dict[str, Any]) -> None:
        output = self._pick(said, sorted(frame["outputs"]))
        self.say("test_interlock", self._by(said, "F1"), output=output)

    def _shelve(self, frame: Frame, said: dict[str, Any]) -> None:
        alarms = sorted(frame["alarms"].values(), key=lambda each: each["raised_ms"])
        wanted = [a for a in alarms if a["kind"] == said.get("kind", a["kind"])]
        if wanted:
            alarm = wanted[said["pick"] % len(wanted)]
            self.say("shelve", self._desk(said), alarm_kind=alarm["kind"],
                     source=alarm["source"], minutes=1)  # fmt: skip

    def _unshelve(self, frame: Frame, said: dict[str, Any]) -> None:
        for key in sorted(frame.get("shelved", {})):
            kind, _, source = key.partition("/")
            self.say("unshelve", self._desk(said), alarm_kind=kind, source=source)

    def _close_switch(self, said: dict[str, Any]) -> None:
        del said
        for feeder in self._house.plant.power.feeders:
            self._house.plant.power.close_by_hand(feeder)

    def _close_person(self, frame: Frame, said: dict[str, Any]) -> None:
        badge = self._pick(said, sorted(frame["people"]))
        if badge:
            self.say("close_person", self._by(said, "K1"), badge=badge)

    def _wrong(self, frame: Frame, said: dict[str, Any]) -> None:
        """Give any command by anybody from anywhere."""
        rng = self._rng
        names: dict[str, Any] = {
            "outputs": sorted(frame["outputs"])[: rng.randint(1, 3)],
            "output": self._pick(said, sorted(frame["outputs"])),
            "point": self._pick(said, sorted(frame["points"])),
            "withdrawal": next(iter(frame["withdrawals"]), "W1"),
            "approval": next(iter(frame["approvals"]), "P1"),
            "alarms": sorted(frame["alarms"])[:3],
            "zones": ["mine"] if rng.random() < 0.1 else ["nowhere"],
            "minutes": rng.choice([1, 0, -1, 10**6]),
            "value": rng.choice([0, 8, 150, -1, 10**9, None]),
            "checker": rng.choice(["G1", "D1", ""]),
            "cause": "other",
            "config": "abc",
            "badge": self._pick(said, sorted(frame["people"])) or "x",
            "alarm_kind": "trip",
            "source": self._pick(said, sorted(frame["points"])),
        }
        fitting = {
            "release": ("outputs",), "all_clear": ("withdrawal",), "resume_descent": (),
            "bypass": ("point", "minutes"), "hand_cover": ("point", "checker"),
            "calibrate": ("point",), "cut": ("output",), "approve": ("approval",),
            "acknowledge": ("alarms",), "silence": (), "close_out": ("alarms", "cause"),
            "withdraw": ("zones",), "hand_value": ("point", "value", "checker"),
            "end_bypass": ("point",), "reload": ("config",), "close_person": ("badge",),
            "shelve": ("alarm_kind", "source", "minutes"), "test_interlock": ("output",),
        }  # fmt: skip
        kind = rng.choice(KINDS)
        arguments = {name: names[name] for name in fitting.get(kind, ("point",))}
        if rng.random() < 0.1:
            arguments["more"] = 1
        by = rng.choice(["", "nobody", *(code for code, _ in STAFF)])
        self.say(kind, by, rng.choice(ORIGINS), **arguments)


class GoodCrew:
    """Puts everything right once faults have ended, as practice says; acts once a second."""

    def __init__(self, people: People, house: House, witness: Witness) -> None:
        self._people = people
        self._house = house
        self._witness = witness
        self._asked_ms: dict[str, int] = {}

    def act(self, frame: Frame) -> None:
        """Do what is to be done now."""
        said = {"pick": 0, "right": True}
        for name, section in (
            ("end_calibration", "calibrations"),
            ("end_bypass", "bypasses"),
            ("end_cover", "hand_covers"),
        ):
            if frame[section] and self._may(name, 3_000):
                self._people.do(name, said, frame)
        self._people.do("close_switch", said, frame)
        if frame["approvals"] and self._may("approve", 1_000):
            self._people.do("approve", said, frame)
        over = any(each["quality"] == "OVER_RANGE" for each in frame["points"].values())
        if frame["causes"]:
            self._release(frame, said)
        elif over and self._may("measured", 10_000):
            self._people.do("hand_values", said, frame)
        if frame["withdrawals"] and self._may("all_clear", 5_000):
            self._people.do("all_clear", said, frame)
        elif frame["no_descent"] and not frame["withdrawals"] and self._may("resume", 5_000):
            self._people.do("resume", said, frame)
        if frame["alarms"] and self._may("alarms", 10_000):
            self._people.do("acknowledge", said, frame)
            self._people.do("close_out", said, frame)
        if frame.get("duty", {}) and self._may("duty", 10_000):
            for key in sorted(frame["duty"]):
                self._people.say("on_duty", "D1", check=key)

    def _release(self, frame: Frame, said: dict[str, Any]) -> None:
        missing = any(
            reason.startswith("hand_value")
            for c in frame["causes"].values()
            for reason in c["reasons"]
        )
        if self._may("measured", 4_000 if missing else 20_000):
            self._people.do("hand_values", said, frame)
        elif self._may("release", 3_000):
            self._people.do("release", said, frame)

    def _may(self, what: str, every_ms: int) -> bool:
        now_ms = self._house.now_ms
        if now_ms - self._asked_ms.get(what, -(10**9)) < every_ms:
            return False
        self._asked_ms[what] = now_ms
        return True
