"""The demo's story, 夜班 02:47: captions when something happens, and a dispatcher if nobody acts.

Each beat waits for its condition in the controller's frames, never for a clock alone, so that the
story holds at any speed of the plant. The automatic dispatcher goes the way that people go: it
logs in on the page and posts commands with a PIN.
"""

import asyncio
import json
import os
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from minewatch.client import Client, Frame
from minewatch.folder import Folder
from minewatch.supervise import Supervisor
from minewatch.text import Catalogue

Fields = dict[str, Any]

CALIBRATED = "12302_T1"
NOTICE_TRIES = 20
"""Looks at the notice, half a second apart; half-way through the county is telephoned."""

RISING = "12301_T1"
ANSWER_AFTER_S = 5.0
"""The automatic dispatcher waits this long after the horn for a person to be faster."""


@dataclass
class Beat:
    """One caption: said once, when `happens` gives the fields of its sentence."""

    key: str
    happens: Callable[[Frame], Fields | None]
    then: Callable[[], None] | None = None
    told: bool = False


class Story:
    """Follows the controller and tells what happens, in both languages."""

    def __init__(
        self,
        folder: Folder,
        supervisor: Supervisor,
        plant: Path,
        port: int,
        speed: float,
        pin: str,
    ) -> None:
        self._folder = folder
        self._supervisor = supervisor
        self._plant = plant
        self._page = Page(f"http://127.0.0.1:{port}", pin)
        self._speed = speed
        self._text = Catalogue.load("zh-CN"), Catalogue.load("en")
        self._stopping = threading.Event()
        self._people = 0
        self._killed_run = ""
        self._killed_s = 0.0
        self._started_s = time.monotonic()
        self._beats = self._script()

    def stop(self) -> None:
        """Tell no more."""
        self._stopping.set()

    def tell(self) -> None:
        """Follow the frames until stopped; a lost controller is part of the story."""
        asyncio.run(self._follow())

    async def _follow(self) -> None:
        async with Client(self._folder.socket, say=lambda _words: None) as client:
            async for message in client.watch():
                if self._stopping.is_set():
                    return
                if message["type"] == "lost":
                    continue
                for beat in self._beats:
                    if not beat.told:
                        await self._try(beat, client.frame)

    async def _try(self, beat: Beat, frame: Frame) -> None:
        fields = beat.happens(frame)
        if fields is None:
            return
        beat.told = True
        at_s = int(time.monotonic() - self._started_s)
        for text in self._text:
            click.echo(f"[{at_s // 60:02d}:{at_s % 60:02d}] {text.say(beat.key, **fields)}")
        if beat.then is not None:
            await asyncio.to_thread(beat.then)

    def _script(self) -> list[Beat]:
        return [
            Beat("story.normal", self._normal, self._calibrate_later),
            Beat("story.cage", self._cage),
            Beat("story.calibration", lambda f: _entry(f, "calibrations", CALIBRATED)),
            Beat("story.pre_alarm", lambda f: _level(f, 1)),
            Beat("story.alarm", lambda f: _level(f, 2)),
            Beat("story.cut", _cut),
            Beat("story.failed", _failed),
            Beat("story.withdrawal", _withdrawal),
            Beat("story.horn", _horn, self._answer),
            Beat("story.acknowledged", _acknowledged, self._kill_controller),
            Beat("story.back", self._is_back),
            Beat("story.unaccounted", _unaccounted),
        ]

    def _calibrate_later(self) -> None:
        """Have the field engineer calibrate a head, and end it when the bottle is empty."""
        threading.Thread(target=self._calibrate, daemon=True, name="calibrate").start()

    def _calibrate(self) -> None:
        if self._stopping.wait(15.0 / self._speed):
            return
        self._announce()
        self._page.act("S006", "calibrate", {"point": CALIBRATED})
        self._ask_plant({"do": "bottle", "point": CALIBRATED})
        self._stopping.wait(40.0 / self._speed)
        self._page.act("S006", "end_calibration", {"point": CALIBRATED})

    def _announce(self) -> None:
        """Give notice of the calibration; start it when the county has it, or was telephoned."""
        told = {"work": "calibration", "points": [CALIBRATED], "applicant": "S006", "minutes": 30}
        self._page.act("S006", "notice", told)
        for tries in range(NOTICE_TRIES):
            for notice, work in self._page.state().get("notices", {}).items():
                if work["acknowledged"] or work["called"]:
                    self._page.act("S006", "start_work", {"notice": notice})
                    return
                if tries == NOTICE_TRIES // 2:
                    call = {"notice": notice, "caller": "S001"}
                    self._page.act("S001", "record_call", call, "county desk 县值班室")
            if self._stopping.wait(0.5):
                return

    def _answer(self) -> None:
        """Acknowledge everything that still sounds, if nobody did."""
        if self._stopping.wait(ANSWER_AFTER_S):
            return
        for alarm in self._page.unacknowledged():
            self._page.act("S001", "acknowledge", {"alarms": [alarm]})

    def _kill_controller(self) -> None:
        """Kill the controller the hard way: the siren must sound on."""
        process = self._supervisor.children["controller"].process
        if process is not None and not self._stopping.wait(5.0):
            self._killed_run = str(self._page.state().get("run", ""))
            self._killed_s = time.monotonic()
            os.kill(process.pid, signal.SIGKILL)
            self._caption("story.killed")

    def _normal(self, frame: Frame) -> Fields | None:
        fields = _all_good(frame)
        if fields is not None:
            self._people = fields["people"]
        return fields

    def _cage(self, frame: Frame) -> Fields | None:
        """Doubt after the count was once exact and has grown: the cage has brought its people."""
        fields = _doubt(frame)
        return fields if fields and self._people and fields["lo"] > self._people else None

    def _is_back(self, frame: Frame) -> Fields | None:
        run = str(frame.body.get("run", ""))
        if not self._killed_run or run == self._killed_run:
            return None
        return {"seconds": f"{time.monotonic() - self._killed_s:.1f}"}

    def _caption(self, key: str) -> None:
        for text in self._text:
            click.echo(f"        {text.say(key)}")

    def _ask_plant(self, request: Fields) -> None:
        async def ask() -> None:
            reader, writer = await asyncio.open_unix_connection(str(self._plant))
            writer.write(json.dumps(request).encode() + b"\n")
            await reader.readline()
            writer.close()

        asyncio.run(ask())


class Page:
    """The dispatch page as a person uses it: log in, look, act."""

    def __init__(self, address: str, pin: str) -> None:
        self._address = address
        self._pin = pin

    def act(self, code: str, kind: str, arguments: Fields, text: str = "") -> bool:
        """Post a command as a staff member; return whether it was accepted."""
        body = {"kind": kind, "arguments": arguments, "text": text}
        body |= {"code": code, "pin": self._pin, "terminal": "dispatch-1"}
        return bool(self._post("/api/v1/command", body).get("accepted"))

    def state(self) -> Fields:
        """Return the whole view, empty while there is none."""
        return self._read(urllib.request.Request(self._address + "/api/v1/state"))

    def unacknowledged(self) -> list[str]:
        """Return the alarms that nobody has answered."""
        alarms: dict[str, Any] = self.state().get("alarms", {})
        waiting = ("unacknowledged", "returned")
        return [key for key, each in alarms.items() if each["state"] in waiting]

    def _post(self, path: str, body: Fields) -> Fields:
        headers = {"Content-Type": "application/json", "Origin": self._address}
        data = json.dumps(body).encode()
        return self._read(urllib.request.Request(self._address + path, data, headers))

    def _read(self, request: urllib.request.Request) -> Fields:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                found: Fields = json.load(answer)
        except urllib.error.HTTPError as refused:
            found = json.load(refused)
        except OSError:
            found = {}
        return found


def _all_good(frame: Frame) -> Fields | None:
    points = frame.section("points")
    headcount = frame.section("headcount")
    if not points or any(each["quality"] != "GOOD" for each in points.values()):
        return None
    if headcount.get("lo") != headcount.get("hi"):
        return None
    return {"people": headcount.get("lo"), "limit": headcount.get("limit"), "points": len(points)}


def _doubt(frame: Frame) -> Fields | None:
    headcount = frame.section("headcount")
    lo, hi = headcount.get("lo"), headcount.get("hi")
    if hi is None or lo == hi or not headcount.get("reasons"):
        return None
    return {"lo": lo, "hi": hi}


def _entry(frame: Frame, section: str, key: str) -> Fields | None:
    return {"point": key} if key in frame.section(section) else None


def _level(frame: Frame, level: int) -> Fields | None:
    point = frame.section("points").get(RISING, {})
    if point.get("level", 0) < level or point.get("value") is None:
        return None
    return {"point": RISING, "value": f"{point['value'] / 100:.2f}"}


def _cut(frame: Frame) -> Fields | None:
    output = frame.section("outputs").get("cut_12301", {})
    return {"output": "cut_12301"} if output.get("causes") else None


def _failed(frame: Frame) -> Fields | None:
    outputs = frame.section("outputs")
    failed = [key for key, each in outputs.items() if each.get("failed")]
    if not failed or not outputs.get("cut_west", {}).get("causes"):
        return None
    return {"output": failed[0], "upstream": "cut_west"}


def _withdrawal(frame: Frame) -> Fields | None:
    standing = frame.section("withdrawals")
    if not standing:
        return None
    zones = sorted({zone for each in standing.values() for zone in each["zones"]})
    return {"zones": ", ".join(zones)}


def _horn(frame: Frame) -> Fields | None:
    return {} if frame.body.get("horn") else None


def _acknowledged(frame: Frame) -> Fields | None:
    alarms = frame.section("alarms").values()
    if not any(each["kind"] == "trip" for each in alarms):
        return None
    waiting = [
        each for each in alarms if each["state"] == "unacknowledged" and each["priority"] == 1
    ]
    return None if waiting else {}


def _unaccounted(frame: Frame) -> Fields | None:
    alarms = [a for a in frame.section("alarms").values() if a["kind"] == "unaccounted"]
    return {"count": len(alarms), "zone": alarms[0]["zone"]} if alarms else None
