"""What a schedule may do to mine, box and house, by name; each fault point is one small method."""

import heapq
from collections import Counter
from collections.abc import Callable
from typing import Any

from minewatch.model.mine import OutputRole
from minewatch_sim.campaign.house import House
from minewatch_sim.campaign.mines import mine_of
from minewatch_sim.campaign.people import People
from minewatch_sim.campaign.witness import Witness

Said = dict[str, Any]
OVER_RANGE, UNDER_RANGE = 450, -50
KILL_WITHIN_MS = 15_000
"""A process that waits to be killed at an entry which never comes is killed anyhow."""


class Happenings:
    """Does the acts of a schedule. `later` holds what an act asks for at a later time."""

    def __init__(self, house: House, witness: Witness, people: People, template: int) -> None:
        self._house = house
        self._witness = witness
        self._people = people
        self._template = template
        self._down: Said = {}
        self.later: list[tuple[int, int, str, Said]] = []
        self.met: Counter[str] = Counter()
        self.slept_ms = 0
        self._serial = 0
        self._values: dict[str, int] = {}
        self.dark: Callable[[], None] = lambda: None
        self.table: dict[str, Callable[[Said], None]] = {
            "gas": self._gas,
            "gas_end": self._gas_end,
            "device_fault": self._device_fault,
            "device_fault_end": self._device_fault_end,
            "bus_fault": self._bus_fault,
            "bus_fault_end": self._bus_fault_end,
            "head_state": self._head_state,
            "relay_reset": self._relay_reset,
            "relay_reset_end": self._relay_reset_end,
            "weld": self._weld,
            "circuit": self._circuit,
            "wall_step": self._wall_step,
            "wall_trust": self._wall_trust,
            "disk": self._disk,
            "disk_slow": self._disk_slow,
            "console": self._console,
            "upload": self._upload,
            "suspend": self._suspend,
            "hang": self._hang,
            "sleep": self._sleep,
            "flood": self._flood,
            "cage": self._cage,
            "fan": self._fan,
            "gas_zone": self._gas_zone,
            "crash": self._crash,
            "crash_now": self._crash_now,
            "restart": self._restart,
        }
        house.died.append(self._after_death)

    @property
    def now_ms(self) -> int:
        """Return the time of the schedule, which does not pass while the box lies in a drawer."""
        return self._house.now_ms - self.slept_ms

    def do(self, name: str, said: Said) -> None:
        """Do one act of a schedule."""
        self.met[name] += 1
        if self._people.knows(name):
            self._people.do(name, said, self._witness.frame())
        else:
            self.table[name](said)

    def at(self, at_ms: int, name: str, said: Said) -> None:
        """Let something happen at a time of the schedule."""
        self._serial += 1
        heapq.heappush(self.later, (at_ms, self._serial, name, said))

    def end_all(self) -> None:
        """End every fault at once: the moment from which the mine is healthy again."""
        house, plant = self._house, self._house.plant
        for target in [*(d.id for d in plant.mine.devices), *house.bench.buses]:
            plant.faults.off(target)
            self._witness.disturbed(target)
        plant.head_states.clear()
        for point in list(self._values):
            plant.show(point, None)
        for feeder in plant.power.feeders.values():
            feeder.welded = False
        plant.power.broken.clear()
        house.recorder.kill_on = ""
        house.bench.store.slow_ms = 0
        house.disk(failing=False)
        house.bench.clock.trusted = True
        house.console = house.upload = True

    # ------------------------------------------------------------ targets

    def _heads(self) -> list[str]:
        return sorted(p for each in self._witness.wiring.zones.values() for p in each)

    def _head(self, said: Said) -> str:
        paired = said.get("paired") or said.get("beside")
        return self._people.paired(said["pick"]) if paired else _pick(said, self._heads())

    def _device(self, said: Said) -> str:
        mine = self._house.plant.mine
        if said.get("beside"):
            point = self._people.paired(said["pick"])
            zone = self._witness.wiring.zones[mine.point(point).zone]
            return mine.point(next((p for p in zone if p != point), point)).device
        if said.get("relay"):
            return self._relay(said)
        if said.get("voter"):
            heads = [each for each in self._heads() if each.startswith("R_")]
            return mine.point(heads[-1]).device
        if said.get("head"):
            return mine.point(self._head(said)).device
        return _pick(said, [each.id for each in mine.devices])

    def _bus(self, said: Said) -> str:
        return _pick(said, sorted(self._house.bench.buses))

    def _relay(self, said: Said) -> str:
        return _pick(said, sorted({o.device for o in self._house.plant.mine.outputs}))

    # ------------------------------------------------------------ air and devices

    def _gas(self, said: Said) -> None:
        point = self._head(said)
        limits = self._witness.wiring.points[point].limits
        first = limits.alarm or limits.trip or 100
        value = {
            "pre_alarm": limits.pre_alarm or first,
            "alarm": first,
            "trip": (limits.trip or first) + said["pick"] % 20,
            "withdraw": max(limits.withdraw or 0, limits.trip or first) + said["pick"] % 9,
            "over": OVER_RANGE,
            "under": UNDER_RANGE,
        }[said["level"]]
        self._values[point] = self._values.get(point, 0) + 1
        self._house.plant.show(point, value)
        self.at(said["until_ms"], "gas_end", {"point": point})

    def _gas_end(self, said: Said) -> None:
        self._house.plant.show(said["point"], None)

    def _device_fault(self, said: Said) -> None:
        self._fault(self._device(said), said)

    def _fault(self, target: str, said: Said) -> None:
        share = 1.0 if said["name"] in ("lost", "frozen") else said["share"]
        self.met[f"device:{said['name']}"] += 1
        self._house.plant.faults.on(target, said["name"], share, said["delay_ms"])
        self._witness.disturbed(target)

    def _device_fault_end(self, said: Said) -> None:
        self._fault_end(self._device(said), said)

    def _fault_end(self, target: str, said: Said) -> None:
        self._witness.disturbed(target)
        self._house.plant.faults.off(target, said["name"])

    def _bus_fault(self, said: Said) -> None:
        self._fault(self._bus(said), said)

    def _bus_fault_end(self, said: Said) -> None:
        self._fault_end(self._bus(said), said)

    def _head_state(self, said: Said) -> None:
        device = self._house.plant.mine.point(self._head(said)).device
        self._house.plant.do("head_state", device=device, state=said["state"], on=said["on"])

    def _relay_reset(self, said: Said) -> None:
        self._fault(self._relay(said), {"name": "lost", "delay_ms": 0})

    def _relay_reset_end(self, said: Said) -> None:
        self._fault_end(self._relay(said), {"name": "lost"})

    def _weld(self, said: Said) -> None:
        plant = self._house.plant
        cuts = sorted(plant.power.feeders)
        output = cuts[said["pick"] % len(cuts)]
        if said.get("wired"):
            trips = sorted(self._witness.wiring.trips[self._head(said)])
            output = next((o for o in trips if o in plant.power.feeders), output)
        above = plant.mine.output(output).upstream
        for each in (output, above) if said.get("above") and above else (output,):
            plant.power.feeders[each].welded = said["on"]

    def _circuit(self, said: Said) -> None:
        plant = self._house.plant
        sounders = sorted(o.id for o in plant.mine.outputs if o.role is OutputRole.SIREN)
        plant.do("break_circuit", output=sounders[said["pick"] % len(sounders)], on=said["on"])

    def _cage(self, said: Said) -> None:
        self._house.plant.do("cage", come=said["come"], go=said["go"])

    def _fan(self, said: Said) -> None:
        """Set the fans of the heading: main, standby, wind in the duct."""
        for point, value in said["shows"]:
            if point in self._house.plant.shown:
                self._house.plant.show(point, value)

    def _gas_zone(self, said: Said) -> None:
        """Let gas come over several heads of the return at once."""
        heads = [each for each in self._heads() if each.startswith("R_")][: said["heads"]]
        for each in heads:
            pick = self._heads().index(each)
            self._gas(said | {"pick": pick})

    # ------------------------------------------------------------ the box

    def _wall_step(self, said: Said) -> None:
        self._house.bench.clock.step_wall(said["by_ms"])

    def _wall_trust(self, said: Said) -> None:
        self._house.bench.clock.trusted = said["on"]

    def _disk(self, said: Said) -> None:
        """Fill the disk or make room; the record finds out by its next write, or later."""
        if said.get("quiet_ms"):
            self._house.bench.store.failing = True
            self.at(self.now_ms + said["quiet_ms"], "disk", {"on": True})
            return
        if said["on"] or self._house.bench.store.failing:
            self._house.disk(failing=said["on"])

    def _disk_slow(self, said: Said) -> None:
        self._house.bench.store.slow_ms = said["ms"]

    def _console(self, said: Said) -> None:
        self._house.console = not said["on"]

    def _upload(self, said: Said) -> None:
        self._house.upload = not said["on"]
        if self._house.controller is not None:
            kind = "upload_lost" if said["on"] else "upload_restored"
            self._house.controller.notice(kind, "county", error="refused")

    def _flood(self, said: Said) -> None:
        if self._people.flood(said["what"]):
            self.met["commands_turned_away"] += 1

    def _suspend(self, said: Said) -> None:
        self._stand(said["ms"], self._house.suspend)

    def _hang(self, said: Said) -> None:
        if self._house.controller is not None:
            self._stand(said["ms"], self._house.hang)

    def _stand(self, ms: int, stand: Callable[[int], None]) -> None:
        """Stand still for a time, looked at once a second."""
        while ms > 0:
            stand(min(ms, 1_000))
            ms -= 1_000
            self.dark()
        self._witness.shaken_ms = self._house.now_ms

    def _sleep(self, said: Said) -> None:
        self._house.sleep(said["ms"])
        self.slept_ms += said["ms"]
        self._witness.shaken_ms = self._house.now_ms

    # ------------------------------------------------------------ death and life

    def _crash(self, said: Said) -> None:
        """Kill the process now, or at the next entry of a kind."""
        if self._house.controller is None or self._down:
            return
        self._down = said
        if not said["kill_on"]:
            self._house.crash()
            return
        self._house.recorder.kill_on = said["kill_on"]
        self._house.recorder.before = said["before"]
        self.at(self.now_ms + KILL_WITHIN_MS, "crash_now", {})

    def _crash_now(self, said: Said) -> None:
        del said
        if self._down and self._house.controller is not None:
            self._house.crash()

    def _after_death(self) -> None:
        down = self._down
        if down.get("reboot"):
            self.met["reboot"] += 1
        self.at(self.now_ms + down.get("down_ms", 1_000), "restart", down)

    def _restart(self, said: Said) -> None:
        self._down = {}
        if said.get("reboot"):
            self._house.reboot_clock()
        variant = said.get("config", "")
        if variant in ("lower", "moved") and not self._witness.ledger_holds():
            variant = "stricter"  # nothing stands against it: the plant would have to be rewired
        mine = mine_of(self._template, variant=variant) if variant else None
        self._house.live("crash", mine)


def _pick(said: Said, of: list[str]) -> str:
    at: int = said["pick"]
    return of[at % len(of)]
