"""The fault-injecting proxy: what each fault does to a frame, by seed; wires, adapter, command."""

import asyncio
import json
import os
import random
import signal
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from minewatch_sim.bending import FLOOD_BYTES, Bender
from minewatch_sim.faults import STANDING, Fault, Faults
from minewatch_sim.modbus_server import Request, RtuFraming, TcpFraming, crc16
from minewatch_sim.proxy import WIRE, Proxy
from minewatch_sim.proxy_cli import WORDS
from minewatch_sim.proxy_plan import OF_DEVICES, Plan, parse_fault
from minewatch_sim.proxy_runner import ProxyServer

ASKED = bytes((4, 0, 0, 0, 2))
ANSWER = bytes((4, 4, 1, 2, 3, 4))
COMMAND = [sys.executable, "-m", "minewatch_sim.cli", "proxy"]


def question(tid: int | None = 7) -> Request:
    """Return a read of two registers of unit 3."""
    return Request(3, ASKED, tid)


def bent(
    kind: str, *, tid: int | None, seed: int = 1, delay_ms: int = 40
) -> list[tuple[int, bytes]]:
    """Return what one fault makes of the answer."""
    faults = Faults(random.Random(seed))
    faults.on(WIRE, kind, delay_ms=40)
    return faults.spoil(question(tid), ANSWER, WIRE)


def right_crc(frame: bytes) -> bool:
    """Return whether an RTU frame carries its own checksum."""
    return crc16(frame[:-2]) == int.from_bytes(frame[-2:], "little")


@pytest.mark.parametrize("tid", [7, None])
@pytest.mark.parametrize("seed", range(20))
def test_each_fault_bends_the_answer_as_it_says(seed: int, tid: int | None) -> None:
    """The right frame is late, twice, cut, or lies in one field; nothing else is touched."""
    right = question(tid).frame(ANSWER)
    head = 7 if tid is not None else 1

    def data(kind: str) -> bytes:
        return b"".join(piece for _, piece in bent(kind, tid=tid, seed=seed))

    assert bent("late", tid=tid) == [(40_000, right)]
    assert bent("duplicated", tid=tid) == [(0, right), (40_000, right)]
    assert bent("mute", tid=tid) == bent("drop", tid=tid) == []
    assert data("split") == data("halves") == right
    assert [at for at, _ in bent("halves", tid=tid)] == [0, 40_000]
    assert right.startswith(data("truncated"))
    assert data("wrong_unit")[head - 1] != 3
    assert data("wrong_function")[head] == 3
    assert data("wrong_count")[head:] != right[head:]
    assert data("noise").endswith(right)
    assert data("noise_after").startswith(right)
    assert data("echo") == question(tid).frame(ASKED) + right
    assert data("flood").startswith(right)
    assert len(data("flood")) == len(right) + FLOOD_BYTES
    assert data("exception")[head : head + 2] == bytes((0x84, 4))
    differing = [a ^ b for a, b in zip(data("corrupt"), right, strict=True) if a != b]
    assert len(differing) == 1
    assert differing[0].bit_count() == 1
    forged = data("forged")
    assert forged[head : head + 2] == ANSWER[:2]
    assert len(forged) == len(right)
    assert forged != right


@pytest.mark.parametrize("seed", range(20))
def test_checksums_and_transactions_are_mended_or_not(seed: int) -> None:
    """A lie inside a serial frame carries a right checksum; a corrupt frame does not."""
    for kind in ("wrong_unit", "wrong_function", "wrong_count", "forged", "exception"):
        assert right_crc(bent(kind, tid=None, seed=seed)[0][1]), kind
    for kind in ("corrupt", "wrong_transaction"):
        assert not right_crc(bent(kind, tid=None, seed=seed)[0][1]), kind
    assert bent("zero_transaction", tid=7, seed=seed)[0][1][:2] == b"\0\0"
    assert bent("wrong_transaction", tid=7, seed=seed)[0][1][:2] not in (b"\0\x07", b"\0\0")


def test_halves_are_cut_at_each_byte_in_turn() -> None:
    """After as many answers as a frame has bytes every place has been the cut."""
    bender = Bender(random.Random(1))
    setting = {"halves": parse_fault("halves")}
    right = question().frame(ANSWER)
    cuts = {len(bender.bend(question(), ANSWER, setting)[0][1]) for _ in range(len(right))}
    assert cuts == set(range(1, len(right)))


def test_one_behind_gives_each_question_the_answer_before() -> None:
    """The first question gets nothing, each later one the frame of the one before."""
    bender = Bender(random.Random(1))
    setting = {"one_behind": parse_fault("one_behind")}
    given = [bender.bend(question(tid), ANSWER, setting) for tid in (1, 2, 3)]
    assert given[0] == []
    assert [each[0][1][:2] for each in given[1:]] == [b"\0\1", b"\0\2"]


@pytest.mark.parametrize("serial", [False, True])
def test_without_faults_every_byte_passes_at_once(serial: bool) -> None:
    """Questions and answers pass unchanged, however they are cut."""
    proxy = Proxy(Faults(random.Random(1)), serial=serial)
    asked = question(None if serial else 7).frame(ASKED)
    told = question(None if serial else 7).frame(ANSWER)
    out: list[bytes] = []
    for place in range(len(asked)):
        proxy.from_master(asked[place : place + 1], 10)
        out += proxy.poll(10).to_device
    for place in range(len(told)):
        proxy.from_device(told[place : place + 1], 20)
        out += proxy.poll(20).to_master
    assert out == [asked, told]
    assert (proxy.counts.questions, proxy.counts.answers, proxy.counts.strays) == (1, 1, 0)


def test_the_same_seed_gives_the_same_bytes_at_the_same_times() -> None:
    """Two runs of one seed are equal, two seeds are not."""

    def run(seed: int) -> list[tuple[int, bytes]]:
        faults = Faults(random.Random(seed))
        for kind in ("late", "noise", "split", "duplicated", "corrupt"):
            faults.on(WIRE, kind, 0.3, 20)
        proxy, out = Proxy(faults, serial=True), []
        for turn in range(200):
            now_us = turn * 50_000
            proxy.from_master(question(None).frame(ASKED), now_us)
            proxy.poll(now_us)
            proxy.from_device(question(None).frame(ANSWER), now_us + 1_000)
            out += [(now_us, data) for data in proxy.poll(now_us + 40_000).to_master]
        return out

    assert run(1) == run(1) != run(2)


def test_faults_of_a_unit_hit_no_other() -> None:
    """`unit 3` is mute; unit 4 is answered."""
    faults = Faults(random.Random(1))
    faults.on("unit 3", "mute")
    assert faults.spoil(question(), ANSWER, WIRE, "unit 3") == []
    assert faults.spoil(question(), ANSWER, WIRE, "unit 4") == [(0, question().frame(ANSWER))]
    assert faults.struck["mute"] == 1


@pytest.mark.parametrize(
    "text",
    ["haunted", "late=0", "late=2", "late=x", "late,delay=5", "late,delay_ms=-1", "frozen",
     "reboot,unit=3", "late=0.1,every_s=-1"],
)  # fmt: skip
def test_what_is_no_fault_is_refused(text: str) -> None:
    """A wrong name, key or number is an error, never a default."""
    with pytest.raises(ValueError, match=r".+"):
        parse_fault(text)


def test_a_plan_switches_faults_on_and_off() -> None:
    """`every_s` and `for_s` give a fault its hours; without them it always stands."""
    faults = Faults(random.Random(1))
    plan = Plan([parse_fault("mute,every_s=10,for_s=3"), parse_fault("late=0.5,unit=3")], faults)
    seen = []
    for at_s in (0.0, 2.9, 3.0, 9.9, 10.0):
        plan.follow(at_s)
        seen.append(faults.has(WIRE, Fault.MUTE))
        assert faults.has("unit 3", Fault.LATE)
    assert seen == [True, True, False, False, True]


def test_every_fault_of_a_wire_is_listed_in_both_languages() -> None:
    """The command's list leaves out what only a device can have."""
    assert set(WORDS) == set(Fault) - OF_DEVICES
    assert OF_DEVICES - {Fault.LOST} <= STANDING


class Device(asyncio.Protocol):
    """Answers every question with the same two registers; `number` says whose they are."""

    def __init__(self, serial: bool, number: int) -> None:
        self._framing = RtuFraming() if serial else TcpFraming()
        self._pdu = ANSWER[:5] + bytes((number,))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer."""
        for request in self._framing.feed(data):
            self._transport.write(request.frame(self._pdu))


@asynccontextmanager
async def device(serial: bool, number: int = 1) -> AsyncIterator[str]:
    """Serve one device; gives its url."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Device(serial, number), "127.0.0.1", 0)
    yield f"{'rtu+tcp' if serial else 'tcp'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


async def ask_port(path: Path, size: int = 9) -> bytes:
    """Ask unit 3 over a serial port; returns what comes within a second."""
    port = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        os.write(port, question(None).frame(ASKED))
        got = b""
        for _ in range(100):
            await asyncio.sleep(0.01)
            try:
                got += os.read(port, 4096)
            except BlockingIOError:
                continue
            if len(got) >= size:
                break
        return got
    finally:
        os.close(port)


async def until(done: object, limit_s: float = 5) -> None:
    """Wait until a path is there."""
    assert isinstance(done, Path)
    async with asyncio.timeout(limit_s):
        while not done.exists():
            await asyncio.sleep(0.01)


async def test_tcp_to_tcp_with_noise(tmp_path: Path) -> None:
    """A master on a socket hears noise before its answer, and the answer whole."""
    faults = Faults(random.Random(1))
    faults.on(WIRE, "noise")
    async with device(False) as to, ProxyServer("tcp://127.0.0.1:0", to, faults) as server:
        port = int(server.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(question().frame(ASKED))
        right = question().frame(ANSWER[:5] + b"\x01")
        got = await asyncio.wait_for(reader.readuntil(right), 5)
        assert len(got) > len(right)
        assert faults.struck["noise"] == server.counts.questions == 1
        writer.close()


async def test_pty_to_tcp_and_pty_to_pty(tmp_path: Path) -> None:
    """A pty stands before a socket, and another pty before that one; both pass frames."""
    faults = Faults(random.Random(1))
    near, far = tmp_path / "near", tmp_path / "far"
    async with device(True) as to, ProxyServer(f"rtu://{far}?baud=9600", to, faults):
        await until(far)
        async with ProxyServer(f"rtu://{near}?baud=9600", f"rtu://{far}?baud=9600", faults):
            await until(near)
            assert await ask_port(near) == question(None).frame(ANSWER[:5] + b"\x01")
    assert not near.exists()
    assert not far.exists()


async def test_an_adapter_is_pulled_and_comes_back_as_another(tmp_path: Path) -> None:
    """Unplugged: the path is gone. Renumbered: it leads to the other bus. Then it is itself."""
    faults = Faults(random.Random(1))
    mine, other = tmp_path / "mine", tmp_path / "other"
    async with (
        device(True, 1) as to,
        device(True, 2) as to_other,
        ProxyServer(f"rtu://{other}", to_other, Faults(random.Random(1))),
        ProxyServer(f"rtu://{mine}", to, faults, other=str(other)),
    ):
        await until(mine)
        await until(other)
        faults.on(WIRE, "unplugged")
        async with asyncio.timeout(5):
            while mine.is_symlink():
                await asyncio.sleep(0.01)
        faults.off(WIRE)
        await until(mine)
        assert (await ask_port(mine))[6] == 1
        faults.on(WIRE, "renumbered")
        async with asyncio.timeout(5):
            while faults.struck["renumbered"] == 0:
                await asyncio.sleep(0.01)
        await until(mine)
        assert (await ask_port(mine))[6] == 2
        faults.off(WIRE)
        async with asyncio.timeout(5):
            while not mine.exists() or mine.readlink() == other:
                await asyncio.sleep(0.01)
        assert (await ask_port(mine))[6] == 1


@pytest.mark.parametrize(("kind", "accepted"), [("reboot", False), ("accept_then_close", True)])
async def test_connections_are_refused_or_closed_at_once(kind: str, accepted: bool) -> None:
    """A rebooting gateway takes nobody; the other accepts and closes; both come back."""
    faults = Faults(random.Random(1))
    async with device(False) as to, ProxyServer("tcp://127.0.0.1:0", to, faults) as server:
        port = int(server.url.rpartition(":")[2])
        faults.on(WIRE, kind)
        await asyncio.sleep(0.1)
        if accepted:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await asyncio.wait_for(reader.readexactly(1), 2)
            writer.close()
        else:
            with pytest.raises(ConnectionError):
                await asyncio.open_connection("127.0.0.1", port)
        faults.off(WIRE)
        await asyncio.sleep(0.1)
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()


def test_the_command_passes_counts_and_stops() -> None:
    """`minewatch-sim proxy` prints its address, then what it did; it ends by itself."""
    options = ["--listen", "tcp://127.0.0.1:0", "--to", "tcp://127.0.0.1:1", "--json"]
    done = subprocess.run(
        [*COMMAND, *options, "--fault", "late=0.1,delay_ms=700", "--seed", "7", "--seconds", "0.3"],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    first, last = (json.loads(line) for line in done.stdout.splitlines())
    assert first["url"].startswith("tcp://127.0.0.1:")
    assert last["counts"]["questions"] == 0
    assert done.stderr == ""


def test_the_command_ends_on_a_signal_and_refuses_nonsense() -> None:
    """SIGTERM ends it with 0; two ends that carry different frames are refused with 2."""
    options = ["--listen", "tcp://127.0.0.1:0", "--to", "tcp://127.0.0.1:1", "--json"]
    with subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    wrong = ["--listen", "tcp://127.0.0.1:0", "--to", "rtu:///dev/ttyS9"]
    done = subprocess.run([*COMMAND, *wrong], capture_output=True, timeout=30, check=False)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


def test_a_count_never_reaches_past_its_field() -> None:
    """Answers of the greatest size bend without an error, whatever strikes."""
    pdu = struct.pack(">BB125H", 4, 250, *range(125))
    for kind in WORDS:
        for tid in (0xFFFF, None):
            faults = Faults(random.Random(5))
            faults.on(WIRE, kind, delay_ms=1)
            for _ in range(20):
                faults.spoil(Request(247, bytes((4, 0, 0, 0, 125)), tid), pdu, WIRE)
