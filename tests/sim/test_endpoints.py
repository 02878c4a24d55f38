"""The simulator on real sockets and ptys: foreign masters, hostile peers, reboots, control."""

import asyncio
import dataclasses
import json
import os
import shutil
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from minewatch_sim.control import Control
from minewatch_sim.endpoints import Endpoints, boottime_us
from minewatch_sim.people import Habits
from minewatch_sim.plant import Plant
from minewatch_sim.scenario import Scenario

READ_HEAD = struct.pack(">HHHB", 7, 0, 6, 1) + struct.pack(">BHH", 4, 0, 4)
MBPOLL = shutil.which("mbpoll")
needs_mbpoll = pytest.mark.skipif(MBPOLL is None, reason="mbpoll (Debian) is not installed")


@asynccontextmanager
async def _served(make_plant, speed: float = 1.0) -> AsyncIterator[Endpoints]:
    plant = make_plant()
    async with Endpoints(plant.mine, plant, speed=speed) as endpoints:
        yield endpoints


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


async def _exchange(url: str, data: bytes, replies: int = 1) -> bytes:
    reader, writer = await asyncio.open_connection(*_place(url))
    writer.write(data)
    answer = await asyncio.wait_for(reader.readexactly(17 * replies), 2)
    writer.close()
    return answer


async def test_every_bus_has_an_address_of_its_kind(make_plant) -> None:
    """Sockets for tcp and rtu+tcp, a pty for rtu, with the line's own baud and parity."""
    async with _served(make_plant) as endpoints:
        addresses = endpoints.addresses()
        schemes = {key: urlsplit(url).scheme for key, url in addresses.items()}
        wanted = {b.id: urlsplit(b.url).scheme for b in endpoints.plant.mine.buses}
        assert schemes == wanted
        path = urlsplit(addresses["line_headings"]).path
        assert os.path.realpath(path).startswith("/dev/pts/")
        assert addresses["line_headings"].endswith("?baud=9600&parity=E")


async def test_two_requests_in_one_segment_get_two_replies(make_plant) -> None:
    """A stream is split by its headers, not by segments."""
    async with _served(make_plant) as endpoints:
        answer = await _exchange(endpoints.addresses()["gw_east"], READ_HEAD * 2, replies=2)
        assert answer[:2] == answer[17:19] == b"\x00\x07"
        assert struct.unpack(">4H", answer[9:17])[0] == 0x4D48


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", bytes(64), b"\xff" * 300])
async def test_garbage_closes_only_its_own_connection(make_plant, garbage) -> None:
    """What is no Modbus TCP is closed; the next connection is served."""
    async with _served(make_plant) as endpoints:
        url = endpoints.addresses()["gw_east"]
        reader, writer = await asyncio.open_connection(*_place(url))
        writer.write(garbage)
        assert await asyncio.wait_for(reader.read(), 2) == b""
        writer.close()
        assert len(await _exchange(url, READ_HEAD)) == 17


async def test_rebooting_gateway_refuses_and_returns_on_its_port(make_plant) -> None:
    """A reboot closes connections and port; afterwards the same port answers again."""
    async with _served(make_plant) as endpoints:
        url = endpoints.addresses()["gw_east"]
        reader, writer = await asyncio.open_connection(*_place(url))
        endpoints.plant.do("fault", target="gw_east", name="reboot")
        assert await asyncio.wait_for(reader.read(), 2) == b""
        writer.close()
        with pytest.raises(ConnectionError):
            await _exchange(url, READ_HEAD)
        endpoints.plant.do("end_fault", target="gw_east")
        for _ in range(20):
            await asyncio.sleep(0.05)
            try:
                assert len(await _exchange(url, READ_HEAD)) == 17
                break
            except OSError:
                continue
        else:
            pytest.fail("the gateway did not come back")
        assert endpoints.addresses()["gw_east"] == url


async def _mbpoll(*arguments: str) -> str:
    assert MBPOLL is not None
    process = await asyncio.create_subprocess_exec(
        MBPOLL, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await asyncio.wait_for(process.communicate(), 10)
    return out.decode(errors="replace")


@needs_mbpoll
async def test_mbpoll_reads_a_head_over_tcp(make_plant) -> None:
    """A foreign master reads identity and methane of a head."""
    async with _served(make_plant) as endpoints:
        endpoints.plant.force("12301_T0", 1.23)
        host, port = _place(endpoints.addresses()["gw_east"])
        out = await _mbpoll(
            "-m", "tcp", "-p", str(port), "-a", "1", "-t", "3", "-r", "1", "-c", "4", "-1", host
        )
        assert "[1]: \t19784" in out
        assert "[4]: \t123" in out


@needs_mbpoll
async def test_mbpoll_reads_and_writes_over_a_pty(make_plant) -> None:
    """A foreign master on the RS-485 line reads a head and drives a relay of module 3."""
    async with _served(make_plant) as endpoints:
        plant = endpoints.plant
        plant.force("12303_T1", 0.77)
        path = urlsplit(endpoints.addresses()["line_headings"]).path
        line = ("-m", "rtu", "-b", "9600", "-P", "even", "-0")
        out = await _mbpoll(*line, "-a", "1", "-t", "3", "-r", "3", "-c", "1", "-1", path)
        assert "[3]: \t77" in out
        out = await _mbpoll(*line, "-a", "20", "-t", "0", "-r", "1", path, "1")
        assert "Written 1 references." in out
        assert plant.coils.get("relay_3", "coil_2")
        stamped = [each for each in plant.log if each.subject == "horn_corridor"]
        assert len(stamped) == 1
        assert 0 <= boottime_us() - stamped[0].at_us < 5_000_000


async def test_a_pty_takes_the_time_of_its_bytes(make_plant) -> None:
    """At 9600 8E1 a request of 8 and a reply of 13 bytes take at least 24 ms."""
    async with _served(make_plant) as endpoints:
        path = urlsplit(endpoints.addresses()["line_headings"]).path
        loop = asyncio.get_running_loop()
        with open(path, "r+b", buffering=0) as port:
            got: asyncio.Queue[bytes] = asyncio.Queue()
            loop.add_reader(port, lambda: got.put_nowait(port.read(64)))
            started = loop.time()
            port.write(bytes.fromhex("010400000004f1c9"))
            reply = b""
            while len(reply) < 13:
                reply += await asyncio.wait_for(got.get(), 2)
            took = loop.time() - started
            port.write(bytes.fromhex("010400000004f1c9"))
            await asyncio.wait_for(got.get(), 2)
            loop.remove_reader(port)
        assert took >= 21 * 11 / 9600
        assert endpoints.short_gaps() == {"line_headings": 1}


async def test_control_socket_answers_and_survives_nonsense(make_plant, tmp_path) -> None:
    """Acts and questions work over the socket; wrong lines are told and change nothing."""
    async with _served(make_plant, speed=0) as endpoints:
        desk = Control(endpoints)
        place = await desk.listen(str(tmp_path / "control.sock"))
        reader, writer = await asyncio.open_unix_connection(place)

        async def ask(line: bytes) -> dict[str, object]:
            writer.write(line + b"\n")
            reply: dict[str, object] = json.loads(await asyncio.wait_for(reader.readline(), 2))
            return reply

        before = endpoints.plant.digest()
        for wrong in (b"{", b"[]", b'{"do": 5}', b'{"to": 1}', b'{"do":"weld"}', b'"do"', b"\xff"):
            reply = await ask(wrong)
            assert reply["ok"] is False
            assert reply["error"]
        assert endpoints.plant.digest() == before
        assert await ask(b'{"do":"fault","target":"gw_east","name":"mute"}') == {
            "ok": True,
            "result": None,
        }
        assert (await ask(b'{"do":"set_register","point":"12301_T1","value":1.5}'))["ok"]
        log = (await ask(b'{"do":"log"}'))["result"]
        assert [(e["what"], e["subject"], e["value"]) for e in log] == [  # type: ignore[attr-defined]
            ("reached", "12301_T1", 150)
        ]
        assert (await ask(b'{"do":"truth"}'))["result"]["total"] == 112  # type: ignore[index]
        assert await ask(b'{"do":"stop"}') == {"ok": True, "result": None}
        assert desk.stopped.is_set()
        writer.close()
        await desk.close()


async def test_speed_scales_the_plant_only(make_plant) -> None:
    """At speed 20 a second of real time is about twenty of the plant's, and stays so."""
    async with _served(make_plant, speed=20) as endpoints:
        await asyncio.sleep(0.6)
        first_ms, first_us = endpoints.plant.now_ms, boottime_us()
        await asyncio.sleep(1.0)
        passed_ms = endpoints.plant.now_ms - first_ms
        real_ms = (boottime_us() - first_us) / 1000
        assert abs(passed_ms / 20 - real_ms) < 400


async def test_stop_closes_every_port(make_plant) -> None:
    """After `stop` nothing listens any more and no task is left."""
    async with _served(make_plant) as endpoints:
        places = [_place(url) for url in endpoints.addresses().values() if "tcp" in url[:7]]
    for place in places:
        with pytest.raises(ConnectionError):
            await asyncio.open_connection(*place)
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not others


async def _until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not done():
            await asyncio.sleep(0.02)


async def test_adapters_are_pulled_and_change_places(demo_mine) -> None:
    """Pulled: its path is gone. Renumbered: two paths change buses, then back."""
    buses = tuple(
        dataclasses.replace(bus, url="rtu:///dev/ttyS9?baud=9600") if bus.id == "gw_west" else bus
        for bus in demo_mine.buses
    )
    mine = dataclasses.replace(demo_mine, buses=buses)
    plant = Plant(mine, 1, Scenario("quiet", Habits(underground=0)))
    async with Endpoints(mine, plant, speed=0) as endpoints:
        one, other = (
            Path(urlsplit(endpoints.addresses()[key]).path) for key in ("line_headings", "gw_west")
        )
        plant.do("fault", target="gw_west", name="unplugged")
        await _until(lambda: not other.is_symlink())
        assert one.exists()
        plant.do("end_fault", target="gw_west")
        await _until(other.exists)

        asked = {key: bus.requests for key, bus in endpoints.buses.items()}
        homes = (one.readlink(), other.readlink())
        plant.do("fault", target="line_headings", name="renumbered")
        await _until(lambda: one.exists() and other.exists() and one.readlink() != homes[0])
        await asyncio.sleep(0.25)
        with open(one, "r+b", buffering=0) as port:
            port.write(bytes.fromhex("010400000004f1c9"))
            await _until(lambda: endpoints.buses["gw_west"].requests > asked["gw_west"])
        plant.do("end_fault", target="line_headings")
        await asyncio.sleep(0.3)
        await _until(lambda: one.exists() and other.exists())
        with open(one, "r+b", buffering=0) as port:
            port.write(bytes.fromhex("010400000004f1c9"))
            await _until(lambda: endpoints.buses["line_headings"].requests > asked["line_headings"])
    assert not one.parent.exists()
