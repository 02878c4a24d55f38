"""Small random mines for the campaign: written as TOML, loaded and checked as a user's mine is.

A template number is the seed of a mine: which areas it has, which line carries which head, which
relay module moves which output and what proves it. What `check` refuses never gets here.
"""

import random
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from minewatch.mine import Severity, load
from minewatch.model.mine import Mine

TEMPLATES = 24
"""So many mines are drawn; a schedule takes the one of its seed."""

MINER_COUNT = 14
SCHEMES = ("tcp", "rtu+tcp", "rtu")

STAFF = (
    ("D1", "dispatcher"),
    ("D2", "dispatcher"),
    ("M1", "monitoring_operator"),
    ("L1", "duty_leader"),
    ("C1", "chief_engineer"),
    ("C2", "chief_engineer"),
    ("H1", "mine_head"),
    ("F1", "field_engineer"),
    ("G1", "gas_checker"),
    ("G2", "gas_checker"),
    ("K1", "lamp_room_clerk"),
    ("V1", "viewer"),
)

Table = dict[str, object]


@cache
def mine_of(template: int, *, variant: str = "") -> Mine:
    """Return the mine of a template, or a variant of it: `stricter`, `looser`, `moved`, `lower`.

    Raises:
        ValueError: the generator made a mine that `check` refuses.
    """
    text, people = _Writer(random.Random(f"mine/{template}"), variant).text()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "people.csv").write_text(people, encoding="utf-8")
        (place / "mine.toml").write_text(text, encoding="utf-8")
        loaded = load(place)
    if loaded.mine is None:
        wrong = [str(each) for each in loaded.faults if each.severity is Severity.ERROR]
        raise ValueError(f"template {template} {variant}: {wrong}")
    return loaded.mine


class _Writer:
    """Draws one mine and writes it down; the draw never depends on the variant."""

    def __init__(self, rng: random.Random, variant: str) -> None:
        self._rng = rng
        self._variant = variant
        self._tables: list[tuple[str, Table]] = []
        self._units: dict[str, int] = {}
        self._proofs = 0
        self._inputs: dict[str, int] = {}
        self._coils: dict[str, int] = {}
        self._port = 15_000
        self._areas = rng.choice([("face",), ("heading",), ("face", "heading")])
        self._upstream = rng.random() < 0.8

    def text(self) -> tuple[str, str]:
        """Return mine.toml and people.csv."""
        self._zones()
        self._lines()
        for area in self._areas:
            self._area(area)
        self._district()
        self._surface()
        for code, role in STAFF:
            self._add("staff", code=code, name=f"N{code}", role=role)
        head = 'people = "people.csv"\n\n[mine]\n' + _lines_of(self._mine())
        head += '\n[console]\nterminals = ["dispatch-1"]\n'
        body = "".join(f"\n[[{name}]]\n{_lines_of(table)}" for name, table in self._tables)
        rows = "".join(f"P{n},W{n},{1000 + n},miner,team\n" for n in range(MINER_COUNT))
        return head + body, "code,name,badge,trade,team\n" + rows

    def _mine(self) -> Table:
        return {
            "code": "220181004688",
            "name": "campaign",
            "county": "220181",
            "language": "zh-CN",
            "gas_class": "high",
            "capacity_10kt": 60,
            "hazard_class": "severe",
            "headcount_limit": self._rng.choice([6, 9, 40]),
            "mode": "alarm" if self._variant == "lower" else "control",
            "certified_system": "KJ",
            "signed_off_by": "C1",
        }

    def _add(self, name: str, /, **table: object) -> None:
        self._tables.append((name, table))

    def _zones(self) -> None:
        add = self._add
        add("zone", id="mine", name="mine", kind="mine")
        add("zone", id="surface", name="surface", kind="surface", parent="mine",
            path=[[0, 0], [9, 0]])  # fmt: skip
        add("zone", id="bottom", name="bottom", kind="intake", parent="mine", walk_out_s=300,
            path=[[0, 0], [0, 9], [99, 9]])  # fmt: skip
        upwind = []
        for n, area in enumerate(self._areas):
            x = 20 + 40 * n
            add("zone", id=f"z_{area}", name=area, kind=area, parent="mine", mechanised=True,
                walk_out_s=900, path=[[x, 9], [x, 40]])  # fmt: skip
            upwind.append(f"z_{area}")
        add("zone", id="z_return", name="return", kind="return", parent="mine", walk_out_s=900,
            downwind_of=upwind, path=[[20, 40], [99, 40]])  # fmt: skip

    def _lines(self) -> None:
        rng = self._rng
        for bus, scan_ms in (("gw", 2000), ("far", 2000), ("relays", 2000), ("people", 2000)):
            scheme = rng.choice(SCHEMES if bus in ("far", "relays") else SCHEMES[:1])
            self._port += 1
            url = f"{scheme}://127.0.0.1:{self._port}"
            if scheme == "rtu":
                url = f"rtu:///dev/serial/{bus}?baud=19200&parity=E"
            self._units[bus] = 0
            self._add("bus", id=bus, url=url, scan_ms=scan_ms, timeout_ms=300)
        self._relays = ["relay_1", "relay_2"][: rng.choice([1, 1, 2])]
        for relay in self._relays:
            self._device(relay, "relays", "relay-module-8-watchdog")
        self._switches = ["switch_1", "switch_2"][: rng.choice([1, 2])]
        for switch in self._switches:
            self._device(switch, rng.choice(["gw", "far"]), "switch-module-8")

    def _device(self, name: str, bus: str, model: str) -> None:
        self._units[bus] += 1
        self._add("device", id=name, bus=bus, unit=self._units[bus], model=model)

    def _head(self, name: str, zone: str, place: str, **limits: str) -> str:
        self._device(f"dev_{name}", self._rng.choice(["gw", "gw", "far"]), "methane-head-generic")
        drawn = self._rng.choice(
            [{}, {"alarm": "0.90"}, {"trip": "0.95", "alarm": "0.90", "restore": "0.90"}]
        )
        chosen = {**drawn, **limits} if place in ("face", "heading", "face_return_corner") else {}
        if self._variant == "stricter":
            chosen = {"alarm": "0.40", "trip": "0.45", "restore": "0.40"}
        elif self._variant == "looser":
            chosen = {}
        self._add("point", id=name, name=name, kind="methane", zone=zone, device=f"dev_{name}",
                  signal="methane", place=place, **chosen)  # fmt: skip
        return name

    def _input(self, name: str, kind: str, zone: str, place: str) -> str:
        device = self._switches[self._proofs % len(self._switches)]
        self._proofs += 1
        self._inputs[device] = self._inputs.get(device, 0) + 1
        self._add("point", id=name, name=name, kind=kind, zone=zone, device=device,
                  signal=f"input_{self._inputs[device]}", place=place)  # fmt: skip
        return name

    def _output(self, name: str, role: str, zone: str, **table: object) -> str:
        relay = self._rng.choice(self._relays)
        self._coils[relay] = coil = self._coils.get(relay, 0) + 1
        coil = 9 - coil if self._variant == "moved" else coil
        self._add("output", id=name, name=name, role=role, zone=zone, device=relay,
                  signal=f"coil_{coil}", **table)  # fmt: skip
        return name

    def _cut(self, area: str, zone: str, *, upstream: bool) -> str:
        proof = self._input(f"FEED_{area}", "feed_state", zone, "feed_state")
        above: Table = {"upstream": "cut_main"} if upstream else {}
        return self._output(f"cut_{area}", "power_cut", zone, proof=proof,
                            cuts=[{"kind": "conveyor", "name": area}], **above)  # fmt: skip

    def _area(self, area: str) -> None:
        zone = f"z_{area}"
        if area == "face":
            heads = [
                self._head("F_T0", zone, "face_return_corner"),
                self._head("F_T1", zone, "face"),
                self._head("F_T2", "z_return", "face_return"),
            ]
            if self._rng.random() < 0.7:
                heads.append(self._head("F_T3", zone, "face_intake_high_gas"))
        else:
            heads = [
                self._head("H_T1", zone, "heading"),
                self._head("H_T2", zone, "heading_return"),
            ]
        cut = self._cut(area, zone, upstream=self._upstream)
        causes = [{"point": each, "condition": "trip"} for each in heads]
        self._add("interlock", id=f"gas_{area}", name=area, causes=causes, outputs=[cut])
        if area == "heading":
            self._input("H_FAN1", "fan_run", zone, "local_fan")
            self._input("H_FAN2", "fan_run", zone, "local_fan_standby")
            wind = self._input("H_WIND", "duct_wind", zone, "duct_wind")
            off = [{"point": wind, "condition": "off"}]
            self._add("interlock", id="fan", name="fan", causes=off, outputs=[cut])
            start: Table = {}
            if self._rng.random() < 0.5:
                start = {"start": self._output("fan_start", "fan_start", zone)}
            self._add("local_fan", id="fans_h", zone=zone, main="H_FAN1", standby="H_FAN2",
                      duct=[wind], near=heads[-1:], **start)  # fmt: skip
        proof = self._input(f"SOUND_{area}", "sounder_state", zone, "sounder_state")
        covers = [zone, "z_return", "bottom"] if area == self._areas[0] else [zone]
        self._output(f"siren_{area}", "siren", zone, covers=covers, proof=proof)
        self._device(f"reader_{area}", "people", "badge-reader-queue")
        self._add("reader", id=f"r_{area}", name=area, zone=zone, device=f"reader_{area}",
                  outer="bottom", directed=False)  # fmt: skip

    def _district(self) -> None:
        """Guard the return with one head, with two (1oo2) or with three that vote (2oo3)."""
        count = self._rng.choice([1, 2, 3])
        heads = [self._head(f"R_T{n + 1}", "z_return", "district_return") for n in range(count)]
        cuts = [self._cut("main", "z_return", upstream=False)]
        if not self._upstream:
            cuts += [f"cut_{each}" for each in self._areas]
        causes = [{"point": each, "condition": "trip"} for each in heads]
        votes: Table = {"votes_needed": count - 1, "votes_spread": "0.50"} if count > 1 else {}
        self._add("interlock", id="district", name="d", causes=causes, outputs=cuts, **votes)
        self._device("env", "far", "environment-head-generic")
        self._add("point", id="R_CO", name="co", kind="carbon_monoxide", zone="z_return",
                  device="env", signal="carbon_monoxide",
                  place="carbon_monoxide_fire_watch")  # fmt: skip

    def _surface(self) -> None:
        self._output("horn", "horn", "surface")
        if self._rng.random() < 0.5:
            self._output("surface_horn", "surface_horn", "surface")
        self._output("gate", "gate", "surface")
        for name, zone, table in (
            ("mouth_out", "surface", {}),
            ("mouth_in", "bottom", {"outer": "surface"}),
        ):
            self._device(f"reader_{name}", "people", "badge-reader-queue")
            self._add("reader", id=f"r_{name}", name=name, zone=zone, mouth=True, directed=True,
                      device=f"reader_{name}", **table)  # fmt: skip
        self._device("gate_counter", "people", "gate-counter-generic")
        for name, kind, signal in (
            ("GATE_IN", "gate_in", "count_in"),
            ("GATE_OUT", "gate_out", "count_out"),
        ):
            self._add("point", id=name, name=name, kind=kind, zone="surface",
                      device="gate_counter", signal=signal, place="record_only")  # fmt: skip
        self._fill()

    def _fill(self) -> None:
        """Bring a mine that came out small to twelve devices."""
        n = sum(name == "device" for name, _ in self._tables)
        for extra in range(max(0, 12 - n)):
            self._device(f"weather_{extra}", "far", "weather-station-generic")


def _lines_of(table: Table) -> str:
    return "".join(f"{key} = {_toml(value)}\n" for key, value in table.items())


_WRITERS: tuple[tuple[type, Callable[..., str]], ...] = (
    (bool, lambda value: str(value).lower()),
    (int, str),
    (str, lambda value: f'"{value}"'),
    (list, lambda value: "[" + ", ".join(map(_toml, value)) + "]"),
    (dict, lambda value: "{" + ", ".join(_pairs(value)) + "}"),
)


def _toml(value: object) -> str:
    for kind, write in _WRITERS:
        if isinstance(value, kind):
            return write(value)
    raise TypeError(f"no TOML for {value!r}")


def _pairs(table: Table) -> Iterator[str]:
    return (f"{key} = {_toml(value)}" for key, value in table.items())
