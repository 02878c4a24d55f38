"""A tenth of the volume on real wires: sockets and ptys through the running proxy, 0 wrong values.

Every kind of fault stands on a proxy of its own and all run side by side on one loop. The honest
server behind them stamps its values with unit, block and time.
"""

import asyncio
import random
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from minewatch_drivers.address import parse_address
from minewatch_drivers.device_files import device_file
from minewatch_drivers.lines import open_line
from minewatch_drivers.runners.serial_runner import SerialRunner
from minewatch_drivers.runners.tcp_runner import TcpRunner
from minewatch_sim.faults import Faults
from minewatch_sim.modbus_server import RtuFraming, TcpFraming
from minewatch_sim.proxy_runner import ProxyServer

READS, READS_NIGHTLY = 100, 10_000
LIMIT_S, LIMIT_NIGHTLY_S = 6.0, 600.0
UNITS = 8
TRANSPORTS = ("tcp", "rtu", "rtu+tcp")
NEED_IDENTITY = {"duplicated", "one_behind"}
SCAN_MS, TIMEOUT_MS = 500, 250
"""A busy machine must not itself be later than three timeouts: no line could tell (README)."""

QUICK_S = 0.02
"""Between two connections here: the pace of a second has tests of its own."""

QUERY = "?baud=115200&parity=N"


@pytest.fixture
def war(kit: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The campaign's makers, with their device files known."""
    campaign: ModuleType = kit.campaign
    made = {name: device_file.parse(name, "test", text) for name, text in campaign.MODELS.items()}
    real = device_file.load
    monkeypatch.setattr(device_file, "load", lambda name: made.get(name) or real(name))
    return campaign


class Honest(asyncio.Protocol):
    """Answers every question for stamped registers after 1 ms."""

    def __init__(self, war: ModuleType, clock: Any, *, serial: bool) -> None:
        self._war = war
        self._clock = clock
        self._framing = RtuFraming() if serial else TcpFraming()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer whole questions; what is none closes the connection."""
        try:
            requests = self._framing.feed(data)
        except ValueError:
            self._transport.abort()
            return
        for request in requests:
            pdu = self._war.respond(request, self._clock.now_us())
            asyncio.get_running_loop().call_later(0.001, self._tell, request.frame(pdu))

    def _tell(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)


class Front:
    """One line behind one proxy with one kind of fault."""

    def __init__(self, war: ModuleType, kit: SimpleNamespace, transport: str, kind: str) -> None:
        self.kind = kind
        self.transport = transport
        self.faults = Faults(random.Random(f"{transport}/{kind}"))
        self.judge = war.Judge()
        self.server: ProxyServer | None = None
        self._war = war
        self._clock = kit.peers.CLOCK
        self._rng = random.Random(kind)

    async def fight(self, port: int, folder: Path, reads: int, limit_s: float) -> None:
        """Ask that many times under the fault, then until every point is good again.

        A unit that never answers is asked every 5 s: such a front ends by `limit_s`.
        """
        end_us = self._clock.now_us() + int(limit_s * 1e6)
        serial = self.transport != "tcp"
        listen = f"{self.transport}://127.0.0.1:0" + (QUERY if serial else "")
        if self.transport == "rtu":
            listen = f"rtu://{folder / self.kind}{QUERY}"
        to = f"{'rtu+tcp' if serial else 'tcp'}://127.0.0.1:{port}"
        named = serial and self.kind in NEED_IDENTITY
        async with ProxyServer(listen, to, self.faults) as server:
            self.server = server
            mine = self._war.one_bus(
                server.url,
                scan_ms=SCAN_MS,
                timeout_ms=TIMEOUT_MS,
                units=UNITS,
                model="named" if named else "stamped",
            )
            self.line = open_line(mine, mine.buses[0], writes=False)
            made = SerialRunner if self.transport == "rtu" else TcpRunner
            address = parse_address(server.url)
            runner = made(self.line, address, self._clock, self._take, lambda _: QUICK_S)
            await runner.start()
            while server.counts.questions < reads and self._clock.now_us() < end_us:
                self._begin()
                await asyncio.sleep(0.2)
            self.faults.off("wire")
            self.judge.last_good_ms.clear()
            async with asyncio.timeout(20):
                while len(self.judge.last_good_ms) < 2 * UNITS:
                    await asyncio.sleep(0.02)
            await runner.stop()
            self._take()

    def _begin(self) -> None:
        most = self._war.DELAY_MAX.get(self.kind, 2.9)
        delay_ms = round(
            TIMEOUT_MS * self._rng.uniform(0, min(most, 0.5 if self.kind == "duplicated" else 9))
        )
        share = 1.0 if self.kind == "one_behind" else 0.4
        self.faults.on("wire", self.kind, share, delay_ms, self._rng.choice((1, 2, 4, 6)))

    def _take(self) -> None:
        for sample in self.line.take().samples:
            self.judge.hear(sample, self._clock.now_us())


async def battle(
    war: ModuleType,
    kit: SimpleNamespace,
    transport: str,
    folder: Path,
    reads: int,
    limit_s: float,
) -> list[Front]:
    """Run all kinds side by side."""
    serial = transport != "tcp"
    loop = asyncio.get_running_loop()
    honest = await loop.create_server(
        lambda: Honest(war, kit.peers.CLOCK, serial=serial), "127.0.0.1", 0
    )
    port = honest.sockets[0].getsockname()[1]
    fronts = [Front(war, kit, transport, kind) for kind in war.FRAMES]
    try:
        await asyncio.gather(*(front.fight(port, folder, reads, limit_s) for front in fronts))
    finally:
        honest.close()
    return fronts


def judge(fronts: list[Front]) -> None:
    """Hold what every front counted against what is promised."""
    for front in fronts:
        assert front.server is not None
        met = front.faults.struck[front.kind]
        status = front.line.status()
        sys.stdout.write(
            f"\ncampaign real {front.transport} {front.kind} "
            f"reads={front.server.counts.questions} met={met} wrong={len(front.judge.wrong)} "
            f"violations={status.violations} failures={status.failures}\n"
        )
        assert front.judge.wrong == [], front.kind
        assert met >= 3, front.kind
        assert met >= front.server.counts.questions / 10, front.kind


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_no_wrong_value_on_real_wires(
    war: ModuleType, kit: SimpleNamespace, transport: str, tmp_path: Path
) -> None:
    """All kinds through a running proxy, on sockets and ptys; every line comes back by itself."""
    judge(await battle(war, kit, transport, tmp_path, READS, LIMIT_S))


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_ten_thousand_reads_of_each_kind_on_real_wires(
    war: ModuleType, kit: SimpleNamespace, transport: str, tmp_path: Path
) -> None:
    """The tenth of the volume that runs on real sockets and ptys: 10 000 reads of each kind."""
    judge(await battle(war, kit, transport, tmp_path, READS_NIGHTLY, LIMIT_NIGHTLY_S))
