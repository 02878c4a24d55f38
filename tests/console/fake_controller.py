"""A scripted controller for the console's tests: it speaks the local socket of ARCHITECTURE.md §4.

A scene is a function that changes a normal frame; `FakeController.play` sends it to every watcher.
"""

import asyncio
import copy
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minewatch.model.codec import mine_hash, mine_to_json
from minewatch.model.kind import Kind
from minewatch.model.mine import Mine, OutputRole

Frame = dict[str, Any]
Scene = Callable[[Frame, Mine], None]

NORMAL = {
    Kind.METHANE: 31,
    Kind.CARBON_MONOXIDE: 4,
    Kind.CARBON_DIOXIDE: 30,
    Kind.OXYGEN: 2060,
    Kind.TEMPERATURE: 238,
    Kind.AIR_SPEED: 164,
    Kind.NEGATIVE_PRESSURE: 2140,
    Kind.RAIN: 12,
    Kind.WATER_LEVEL: 182,
    Kind.SMOKE: 0,
    Kind.DOOR: 0,
    Kind.FAN_RUN: 1,
    Kind.DUCT_WIND: 1,
    Kind.WIND_DIRECTION: 1,
    Kind.FEED_STATE: 1,
    Kind.SOUNDER_STATE: 0,
    Kind.GATE_IN: 4213,
    Kind.GATE_OUT: 4093,
    Kind.COAL_CUTTING: 1,
    Kind.DUST: 14,
    Kind.HEADCOUNT: 187,
}
WALL_MS = 1_773_254_830_000  # 2026-03-12 02:47:10 in Beijing


def now_ms() -> int:
    """Return the clock that counts suspend, as the controller does."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


UNDERGROUND = {
    "pit_bottom": 14,
    "west_intake": 21,
    "face_12301": 22,
    "face_12302": 19,
    "heading_12303": 13,
    "heading_12304": 12,
    "return_12301": 4,
    "return_12302": 3,
    "district_return": 8,
    "total_return": 4,
}
"""How many people are in each zone: 120 altogether."""


def normal_frame(mine: Mine, started_ms: int) -> Frame:
    """Return a frame in which nothing is wrong and 120 people are underground."""
    t_ms = now_ms()
    return {
        "run": "f" * 16,
        "cycle": t_ms // 100,
        "t_ms": t_ms,
        "wall_ms": WALL_MS + t_ms - started_ms,
        "wall_trusted": True,
        "since_wall_ms": WALL_MS - 3_600_000,
        "durable_index": 4711,
        "mode": mine.mode.value,
        "config": mine_hash(mine),
        "version": "0.1.0",
        "points": {p.id: _reading(p, t_ms) for p in mine.points},
        "outputs": {o.id: _output(o.role, started_ms) for o in mine.outputs},
        "causes": {},
        "alarms": {},
        "headcount": _headcount(mine),
        "people": _people(mine, t_ms),
        "withdrawals": {},
        "no_descent": False,
        "calibrations": {},
        "hand_covers": {},
        "bypasses": {},
        "approvals": {},
        "horn": False,
        "silenced_until_ms": 0,
        "health": _health(mine, started_ms),
    }


def _headcount(mine: Mine) -> dict[str, Any]:
    limits = {zone.id: zone.headcount_limit for zone in mine.zones}
    total = sum(UNDERGROUND.values())
    return {
        "lo": total,
        "hi": total,
        "limit": mine.headcount_limit,
        "state": "normal",
        "reasons": [],
        "zones": {
            zone: {"lo": count, "hi": count, "limit": limits[zone], "state": "normal"}
            for zone, count in UNDERGROUND.items()
            if zone in limits
        },
        "handover_until_ms": None,
    }


def _people(mine: Mine, t_ms: int) -> dict[str, Any]:
    """Return who is underground: the first badges of the mine, zone by zone."""
    badges = iter(mine.people)
    seen = {"reader": "reader_west", "seen_ms": t_ms - 4000, "state": "underground"}
    return {
        next(badges).badge: {"zone": zone, **seen}
        for zone, count in UNDERGROUND.items()
        for _ in range(count)
    }


def _health(mine: Mine, started_ms: int) -> dict[str, Any]:
    return {
        "buses": {b.id: {"up": True, "error": "", "since_ms": started_ms} for b in mine.buses},
        "overruns": 0,
        "cycle_p99_ms": 101,
        "faults": [],
        "watchers": 2,
        "upload": {"up": True, "backlog": 0},
        "console": {"pages": 1},
    }


def _reading(point: Any, t_ms: int) -> dict[str, Any]:
    value = NORMAL[point.kind]
    if point.kind is Kind.METHANE:
        value += sum(map(ord, point.id)) % 23
    if point.kind is Kind.FAN_RUN and "standby" in point.place:
        value = 0
    sampled_ms = t_ms - 200 - sum(map(ord, point.id)) % 700
    known = {"value": value, "last": value, "sampled_ms": sampled_ms}
    return {**known, "quality": "GOOD", "level": 0}


def _output(role: OutputRole, started_ms: int) -> dict[str, Any]:
    on = role in (OutputRole.POWER_CUT, OutputRole.GATE)
    rest = {"causes": [], "since_ms": started_ms, "failed": False}
    return {"wanted": on, "energised": on, "proved": True, **rest}


def alarm(frame: Frame, kind: str, priority: int, source: str, zone: str, **more: Any) -> Frame:
    """Return an alarm entry raised half a minute ago."""
    entry = {
        "kind": kind,
        "priority": priority,
        "source": source,
        "zone": zone,
        "value": None,
        "limit": None,
        "peak": None,
        "raised_ms": frame["t_ms"] - 30_000,
        "raised_wall_ms": frame["wall_ms"] - 30_000,
        "state": "unacknowledged",
        "active": True,
        "acknowledged_by": "",
        "closed": False,
        "first_out": False,
        "occurrences": 1,
        "planned": False,
    }
    return {**entry, **more}


def normal(frame: Frame, mine: Mine) -> None:
    """Change nothing."""


def pre_alarm(frame: Frame, mine: Mine) -> None:
    """12301 T1 stands above its pre-alarm."""
    frame["points"]["12301_T1"] |= {"value": 84, "last": 84, "level": 1}
    frame["alarms"]["a1"] = alarm(
        frame, "pre_alarm", 4, "12301_T1", "face_12301", value=84, limit=80, peak=84
    )


def tripped(frame: Frame, mine: Mine) -> None:
    """12301 T1 has tripped; the feed is proved dead; an older alarm stands acknowledged."""
    t_ms = frame["t_ms"]
    frame["points"]["12301_T1"] |= {"value": 162, "last": 162, "level": 3}
    frame["points"]["12301_T0"] |= {"value": 104, "last": 104, "level": 2}
    frame["points"]["FEED_12301"] |= {"value": 0, "last": 0}
    frame["points"]["SOUND_FACE1"] |= {"value": 1, "last": 1}
    frame["causes"]["trip:12301_T1"] = {
        "kind": "trip",
        "points": ["12301_T1"],
        "outputs": ["cut_12301"],
        "since_ms": t_ms - 24_000,
        "active": True,
        "first_out": True,
        "ready": False,
        "reasons": ["not_below_restore:12301_T1", "hand_value_missing:12301_T1"],
    }
    frame["outputs"]["cut_12301"] |= {
        "wanted": False,
        "energised": False,
        "causes": ["trip:12301_T1"],
        "since_ms": t_ms - 24_000,
    }
    frame["outputs"]["siren_face1"] |= {"wanted": True, "energised": True}
    values = {"value": 162, "limit": 150, "peak": 171}
    frame["alarms"] |= {
        "a1": alarm(frame, "trip", 1, "12301_T1", "face_12301", first_out=True, **values),
        "a2": alarm(frame, "gas_over_limit", 2, "12301_T0", "face_12301", value=104, limit=100),
        "a3": alarm(
            frame,
            "gas_over_limit",
            2,
            "12302_T2",
            "return_12302",
            value=61,
            limit=100,
            peak=107,
            state="acknowledged",
            active=False,
            acknowledged_by="S001",
            raised_wall_ms=frame["wall_ms"] - 1_900_000,
        ),
    }


def failed(frame: Frame, mine: Mine) -> None:
    """The switch of 12301 is welded: it refused, the switch upstream cut."""
    tripped(frame, mine)
    frame["points"]["FEED_12301"] |= {"value": 1, "last": 1}
    frame["points"]["FEED_WEST"] |= {"value": 0, "last": 0}
    frame["outputs"]["cut_12301"] |= {"proved": False, "failed": True}
    frame["outputs"]["cut_west"] |= {
        "wanted": False,
        "energised": False,
        "causes": ["upstream:cut_12301"],
    }
    frame["causes"]["upstream:cut_12301"] = {
        **frame["causes"]["trip:12301_T1"],
        "kind": "upstream",
        "points": [],
        "outputs": ["cut_west"],
        "first_out": False,
        "reasons": ["feed_not_off:cut_12301"],
    }
    frame["alarms"]["a0"] = alarm(frame, "failed_actuation", 1, "cut_12301", "face_12301")
    frame["horn"] = True


def stale(frame: Frame, mine: Mine) -> None:
    """The gateway of the western points is silent; one head is being calibrated."""
    for device in (d.id for d in mine.devices if d.bus == "gw_west"):
        for point in (p for p in mine.points if p.device == device):
            frame["points"][point.id] |= {
                "value": None,
                "quality": "COMM_FAULT",
                "sampled_ms": frame["t_ms"] - 41_000,
            }
    frame["points"]["12301_T3"] |= {"value": 102, "quality": "CALIBRATION"}
    frame["calibrations"]["12301_T3"] = {"until_ms": frame["t_ms"] + 520_000, "by": "S006"}
    frame["alarms"]["a1"] = alarm(frame, "sensor_fault", 2, "12302_T1", "face_12302")
    frame["health"]["buses"]["gw_west"] |= {"up": False, "error": "timeout"}
    frame["health"]["upload"] = {"up": False, "backlog": 1204}
    frame["wall_trusted"] = False


def over_limit(frame: Frame, mine: Mine) -> None:
    """More people than permitted, and not quite certain how many."""
    frame["headcount"] |= {
        "lo": 129,
        "hi": 133,
        "state": "maybe_over_limit",
        "reasons": [
            {"code": "gate_in_more", "source": "gate", "count": 2, "gate": 9, "reads": 7},
            {"code": "undirected", "source": "", "count": 2},
        ],
    }
    frame["headcount"]["zones"]["face_12301"] |= {"lo": 27, "hi": 27, "state": "over_limit"}
    frame["alarms"] |= {
        "a1": alarm(frame, "maybe_over_limit", 3, "mine", "mine", value=133, limit=130),
        "a2": alarm(frame, "over_limit", 2, "face_12301", "face_12301", value=27, limit=25),
    }


def withdrawal(frame: Frame, mine: Mine) -> None:
    """The whole mine is being withdrawn; one badge is silent."""
    failed(frame, mine)
    for each in frame["alarms"].values():
        each |= {"state": "acknowledged", "acknowledged_by": "S001"}
    frame["withdrawals"]["w1"] = {
        "zones": ["face_12301", "return_12301", "district_return", "total_return"],
        "cause": "gas:12301_T1",
        "raised_ms": frame["t_ms"] - 95_000,
        "by": "S001",
        "notified_ms": frame["t_ms"] - 94_000,
        "underground": 17,
        "unaccounted": ["10019"],
    }
    frame["people"]["10019"] = {
        "zone": "face_12301",
        "reader": "reader_12301",
        "seen_ms": frame["t_ms"] - 412_000,
        "state": "underground",
    }
    frame["alarms"]["a9"] = alarm(frame, "unaccounted", 1, "10019", "face_12301")
    frame["headcount"] |= {"lo": 61, "hi": 62, "reasons": []}
    frame["headcount"]["zones"]["face_12301"] |= {"lo": 9, "hi": 10}
    frame["no_descent"] = True
    frame["approvals"]["p1"] = {
        "kind": "release",
        "by": "S001",
        "arguments": {"outputs": ["cut_west"]},
        "origin": "page:dispatch-1",
        "until_ms": frame["t_ms"] + 580_000,
    }


SCENES: dict[str, Scene] = {
    each.__name__: each
    for each in (normal, pre_alarm, tripped, failed, stale, over_limit, withdrawal)
}


class FakeController:
    """The other end of the socket: plays a scene, remembers commands and reports."""

    def __init__(self, mine: Mine, path: Path) -> None:
        self.mine = mine
        self.path = path
        self.commands: list[dict[str, Any]] = []
        self.reports: list[dict[str, Any]] = []
        self.reply: dict[str, Any] = {"accepted": True, "reasons": [], "index": 1}
        self.muted = False
        self._scene: Scene = normal
        self._started_ms = now_ms()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._beating: asyncio.Task[None] | None = None
        self._adopted: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen and beat once a second."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(self.path))
        self._beating = asyncio.create_task(self._beat())

    async def adopt(self, end: socket.socket) -> None:
        """Serve a copy of the connection that a supervisor would hand down."""
        reader, writer = await asyncio.open_unix_connection(sock=end.dup())
        self._adopted = asyncio.create_task(self._serve(reader, writer))

    async def stop(self) -> None:
        """Go away, as a dying controller does."""
        if self._beating is not None:
            self._beating.cancel()
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._writers):
            writer.close()

    def play(self, scene: Scene) -> None:
        """Show another scene to every watcher at once."""
        self._scene = scene
        self._send(self.frame("full"))

    def frame(self, kind: str) -> Frame:
        """Return the scene's frame of this moment."""
        frame = normal_frame(self.mine, self._started_ms)
        self._scene(frame, self.mine)
        return {"type": kind, **copy.deepcopy(frame)}

    def _send(self, message: Frame) -> None:
        line = json.dumps(message, ensure_ascii=False).encode() + b"\n"
        for writer in self._writers:
            if not self.muted:
                writer.write(line)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._send(self.frame("delta"))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                request = json.loads(line)
                if request["do"] == "watch":
                    self._writers.add(writer)
                    if not self.muted:
                        writer.write(json.dumps(self.frame("full")).encode() + b"\n")
                elif request["do"] == "command":
                    self.commands.append(request)
                    reply = {"type": "reply", "id": request["id"], **self.reply}
                    writer.write(json.dumps(reply).encode() + b"\n")
                else:
                    self.reports.append(request)
        finally:
            self._writers.discard(writer)
            writer.close()


def activate(state: Path, mine: Mine) -> None:
    """Make `mine` the active configuration of a state folder."""
    folder = state / "config"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{mine_hash(mine)}.json").write_bytes(mine_to_json(mine))
    (folder / "active").write_text(mine_hash(mine))
