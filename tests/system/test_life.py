"""A whole house lives, loses its processes one by one, and never its decisions."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from minewatch.record.ledger import Ledger

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

SIREN = "siren_face1"


def _trip(house: Any, waiting: Callable[..., Any]) -> None:
    house.start_simulator("normal-shift")
    house.start_broker()
    house.start()
    waiting(lambda: _all_good(house), 30, "every point GOOD")
    house.plant.do("set_value", point="12301_T1", value=1.6)
    waiting(lambda: _outputs(house)["cut_12301"] is False, 5, "the contact of cut_12301 opens")
    waiting(lambda: _outputs(house)[SIREN], 5, "the siren sounds")


def _all_good(house: Any) -> bool:
    points = house.frame().section("points")
    return bool(points) and all(each["quality"] == "GOOD" for each in points.values())


def _outputs(house: Any) -> dict[str, bool]:
    outputs: dict[str, bool] = house.plant.do("status")["outputs"]
    return outputs


class County:
    """A subscriber to the event stream: what came, by number, and whether a number changed."""

    def __init__(self, port: int) -> None:
        self.leaves: dict[int, str] = {}
        self.contradictions: list[int] = []
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        subscribed = threading.Event()
        client.on_subscribe = lambda *_: subscribed.set()
        client.on_message = self._take
        client.connect("127.0.0.1", port)
        client.subscribe("minewatch/v1/+/+/event", qos=1)
        client.loop_start()
        assert subscribed.wait(10)

    def _take(self, _client: Any, _data: Any, message: Any) -> None:
        body = json.loads(message.payload)
        if self.leaves.setdefault(body["seq"], body["leaf"]) != body["leaf"]:
            self.contradictions.append(body["seq"])


def test_nothing_published_is_missing_from_the_ledger(
    house: Any, waiting: Callable[..., Any]
) -> None:
    """Kill the controller three times in a trip: what the county holds is what the ledger holds."""
    house.start_simulator("normal-shift")
    house.start_broker()
    county = waiting(lambda: County(house.mqtt_port), 10, "the broker listens")
    house.start()
    for value in (1.6, 0.2, 1.7):
        house.plant.do("set_value", point="12301_T1", value=value)
        known = len(county.leaves)
        waiting(lambda known=known: len(county.leaves) > known, 20, "something is published")
        os.kill(house.pid("controller"), signal.SIGKILL)
        waiting(lambda: _all_good(house), 10, "polling is back")
    size = house.frame().body["durable_index"]
    waiting(lambda: len(county.leaves) >= size, 20, "everything durable is published")
    ledger = Ledger.open(house.folder.root, origin="", writable=False)
    kept = {entry.index + 1: entry.leaf.decode() for entry in ledger.entries(0, size)}
    ledger.close()

    assert county.contradictions == []
    assert {key: leaf for key, leaf in county.leaves.items() if key <= size} == kept


def test_a_killed_controller_comes_back_with_latches_and_people(
    house: Any, waiting: Callable[..., Any]
) -> None:
    """Kill -9 in a withdrawal: back in 5 s with latch, withdrawal, acknowledgement and roster."""
    _trip(house, waiting)
    waiting(lambda: house.frame().section("withdrawals"), 5, "the withdrawal stands")
    before = house.frame()
    os.kill(house.pid("controller"), signal.SIGKILL)
    killed_s = time.monotonic()
    after = waiting(
        lambda: (f := house.frame()).body["run"] != before.body["run"] and f, 5, "a new run"
    )
    waiting(lambda: _all_good(house), 5 - (time.monotonic() - killed_s), "polling is back")

    assert set(after.section("causes")) >= set(before.section("causes"))
    assert set(after.section("withdrawals")) == set(before.section("withdrawals"))
    assert set(after.section("people")) >= set(before.section("people"))
    assert _outputs(house)["cut_12301"] is False
    assert _outputs(house)[SIREN] is True


def test_without_a_controller_power_opens_and_the_siren_never_stops(
    house: Any, waiting: Callable[..., Any]
) -> None:
    """With the restart held back the relays' own watchdogs open the cuts in 5 s; sirens keep on."""
    _trip(house, waiting)
    power = [key for key in _outputs(house) if key.startswith("cut_")]
    assert any(_outputs(house)[key] for key in power)
    since_us = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000
    os.kill(house.processes["house"].pid, signal.SIGSTOP)
    os.kill(house.pid("controller"), signal.SIGKILL)
    try:
        waiting(lambda: not any(_outputs(house)[key] for key in power), 5, "every cut opens")
        log = house.plant.do("log", after_us=since_us)
        siren = [each for each in log if each.get("subject") == SIREN]

        assert _outputs(house)[SIREN] is True
        assert siren == []
    finally:
        os.kill(house.processes["house"].pid, signal.SIGCONT)


def test_contacts_that_our_absence_opened_are_one_cause(
    house: Any, waiting: Callable[..., Any]
) -> None:
    """After a long absence every opened contact stands under `controller_lost`, one form."""
    house.start_simulator("normal-shift")
    house.start_broker()
    house.start()
    waiting(lambda: _all_good(house), 30, "every point GOOD")
    waiting(lambda: house.frame().body["cycle"] > 60, 15, "relays have been refreshed")
    os.kill(house.processes["house"].pid, signal.SIGSTOP)
    os.kill(house.pid("controller"), signal.SIGKILL)
    power = [key for key in _outputs(house) if key.startswith("cut_")]
    waiting(lambda: not any(_outputs(house)[key] for key in power), 6, "every cut opens")
    os.kill(house.processes["house"].pid, signal.SIGCONT)
    causes = waiting(lambda: house.frame().section("causes"), 10, "a latched cause")

    assert list(causes) == ["controller_lost"]
    assert sorted(causes["controller_lost"]["outputs"]) == sorted(power)


@pytest.mark.parametrize("room", ["publisher", "console"])
def test_a_killed_sibling_never_slows_the_cycle(
    house: Any, waiting: Callable[..., Any], room: str
) -> None:
    """Publisher and console die alone and come back; the cycle stays within 50 ms of nominal."""
    house.start_simulator("normal-shift")
    house.start_broker()
    house.start()
    for _ in range(3):
        pid = waiting(lambda: house.pids(room), 10, room)[0]
        os.kill(pid, signal.SIGKILL)
        waiting(lambda old=pid: [p for p in house.pids(room) if p != old], 10, "a new one")
    health = house.frame().section("health")

    assert health["cycle_p99_ms"] <= 150
    assert house.frame().body["cycle"] > 10


def test_the_publisher_alone_says_what_the_county_has(
    house: Any, waiting: Callable[..., Any]
) -> None:
    """Its word comes again after its own death and the controller's; another peer's is refused."""

    def said() -> Any:
        return house.frame().section("health")["upload"].get("acknowledged", 0)

    house.start_simulator("normal-shift")
    house.start_broker()
    house.start()
    waiting(lambda: said() > 0, 20, "the publisher's first word")
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(house.folder.socket))
        data = {"up": True, "acknowledged": 10**6}
        report = {"do": "report", "subject": "upload", "data": data}
        peer.sendall(json.dumps(report).encode() + b"\n")
        assert json.loads(peer.recv(4096)) == {"type": "error", "code": "not_permitted"}
    assert 0 < said() < 10**6
    for room in ("publisher", "controller"):
        before = said()
        os.kill(house.pid(room), signal.SIGKILL)
        waiting(lambda old=before: _alive(house) and said() > old, 70, f"a word after {room} died")


def _alive(house: Any) -> bool:
    try:
        return bool(house.frame().section("points"))
    except OSError:
        return False
