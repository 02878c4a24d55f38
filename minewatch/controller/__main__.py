"""Start and end of process 1: recover, open lines and socket, turn until told to stop.

python -m minewatch.controller --state DIR [--parent PID] [--console-fd N] [--publisher-fd N]
                               [--heartbeat-fd N]
"""

import argparse
import asyncio
import gc
import logging
import os
import secrets
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from minewatch_drivers.device_files import device_file
from minewatch_drivers.lines import open_line
from minewatch_drivers.runners.runners import Runner, open_runner

from minewatch import __version__
from minewatch.controller.adopt import adopt
from minewatch.controller.bus_desk import BusDesk
from minewatch.controller.clock import OFF_MS, SystemClock
from minewatch.controller.cycle import CYCLE_MS, Controller
from minewatch.controller.frames import Frames
from minewatch.controller.heartbeat import Heartbeat
from minewatch.controller.messages import Messages
from minewatch.controller.rhythm import Rhythm
from minewatch.controller.socket import CONSOLE, UPLOAD, Socket
from minewatch.core.fold import recover
from minewatch.core.snapshot import durable_to_json
from minewatch.core.state import State
from minewatch.core.step import Step
from minewatch.folder import Folder
from minewatch.model.image import Image
from minewatch.model.mine import Mine, Mode
from minewatch.process import die_with_parent, log_to_stderr
from minewatch.record import RecordError
from minewatch.record.digest import DecisionDigest
from minewatch.record.journal import Start
from minewatch.record.recover import read_state
from minewatch.record.store import RecordStore

PUBLISH_MS = 1000
"""Watchers get a delta this often, and at once after an event."""

STOP_WITHIN_S = 3.0

KICK_TURNS = 10
"""A line without outputs looks at its orders once a second without being due."""

SETTLED_CYCLE = 20
"""By then the plan and the first value of every point stand; they are no garbage either."""

GC_THRESHOLD = (20_000, 20, 50)
"""Readings come and go by the thousand and are no cycles: looking for some at the usual 700 new
objects took a third of all CPU at 20 000 values a second."""

WITNESSED_AT_ONCE = frozenset({"alarm_raised", "cause_latched", "withdrawal_raised", "released"})
"""Kinds of events after which a checkpoint is signed without waiting for its minute."""

log = logging.getLogger(__name__)


class Process:
    """Everything that one run of the controller owns."""

    def __init__(self, folder: Folder, heartbeat_fd: int | None) -> None:
        self.folder = folder
        self.run = secrets.token_hex(8)
        self.clock = SystemClock()
        self.heartbeat = Heartbeat(heartbeat_fd)
        digest = DecisionDigest()
        recovered = read_state(folder.root)
        durable = recover(recovered.events)
        adopted = adopt(folder, durable)
        self.mine: Mine = adopted.mine
        self.config = adopted.config
        device_file.provide(self.mine.device_files)
        self.store = RecordStore(
            folder.root,
            f"minewatch/v1/{self.mine.county}/{self.mine.code}",
            digest=digest,
            urgent=lambda event: event.kind in WITNESSED_AT_ONCE,
        )
        self.store.start_run(Start(self.run, durable_to_json(durable), __version__, self.config, 0))
        writes = self.mine.mode is not Mode.MONITOR
        lines = {bus.id: open_line(self.mine, bus, writes=writes) for bus in self.mine.buses}
        self.controller = Controller(
            self.mine, State(durable), self.clock, self.store, lines, digest=digest
        )
        prior = "first" if not recovered.size else "clean" if recovered.clean else "crash"
        self.controller.notice(
            "controller_started",
            "controller",
            run=self.run,
            version=__version__,
            config=self.config,
            prior=prior,
        )
        if adopted.refused:
            self.controller.notice(
                "configuration_refused", "", config=adopted.refused, reasons=adopted.reasons
            )
        self.rhythm = Rhythm(self.controller)
        self.frames = Frames(self.controller, self._header())
        self.socket = Socket(
            self.frames, self.controller.command, self.controller.notice, self.rhythm.wake
        )
        self.desk = BusDesk(self.mine, lines, self.controller.notice, self._kick_one)
        self.socket.bus = self.desk.handle
        self._published_ms = 0
        self._runners: list[tuple[Runner, bool]] = []
        self._urged = self.controller.urged
        self._clock_off = False
        messages = Messages(self.mine, lines.values(), self.controller.board.notice)
        self.controller.listeners += [messages.heard, self._turned]

    def _header(self) -> dict[str, object]:
        return {
            "run": self.run,
            "since_wall_ms": self.clock.wall().ms,
            "mode": self.mine.mode.value,
            "config": self.config,
            "version": __version__,
        }

    def _turned(self, decided: Step, image: Image) -> None:
        now_ms = self.clock.now_ms()
        if image.cycle == SETTLED_CYCLE:
            gc.freeze()
        self._take_time(image)
        self.heartbeat.beat(now_ms)
        self.frames.turned(now_ms)
        self.socket.stepped(decided, now_ms)
        self.socket.durable(self.store.durable_index)
        self.desk.turned(decided, self.store.durable_index)
        self._kick()
        for notice in self.store.take_notices():
            self.controller.board.notice(notice)
        if decided.events or now_ms - self._published_ms >= PUBLISH_MS - CYCLE_MS // 2:
            self._published_ms = now_ms
            self.socket.publish()

    def _kick(self) -> None:
        """Let lines look at their new orders: those that drive outputs at once, every turn; all of
        them when scan classes changed; otherwise each at least every `KICK_TURNS` turns."""
        cycle, urged = self.controller.cycle, self.controller.urged
        changed, self._urged = urged is not self._urged, urged
        for number, (runner, drives) in enumerate(self._runners):
            if drives or changed or (cycle + number) % KICK_TURNS == 0:
                runner.kick()

    def _kick_one(self, bus_id: str) -> None:
        """Let one line look at its orders: a person waits for its answer."""
        for (runner, _), each in zip(self._runners, self.controller.lines, strict=False):
            if each == bus_id:
                runner.kick()

    def _take_time(self, image: Image) -> None:
        """Let a receiver vouch for the wall clock, and say once that the two disagree."""
        told = [each.data for each in image.notices if each.kind == "time_received"]
        for data in told:
            self.clock.vouch(data["wall_ms"], data["at_ms"])
        off_ms = self.clock.off_ms() if told else 0
        if told and (abs(off_ms) > OFF_MS) != self._clock_off:
            self._clock_off = not self._clock_off
            kind = "clock_fault" if self._clock_off else "clock_restored"
            self.controller.notice(kind, "", off_ms=off_ms)

    async def live(self, inherited: Mapping[str, int | None]) -> None:
        """Run until stopped; then say so in the record, and close everything in order.

        `inherited` are the siblings' connections, by what is reported on them.
        """
        for bus_id, line in self.controller.lines.items():
            heard = partial(self.rhythm.notify, bus_id)
            runner = open_runner(line, self.mine.bus(bus_id), self.clock, heard)
            self._runners.append((runner, bool(line.outputs)))
        for runner, _ in self._runners:
            await runner.start()
        await self.socket.listen(self.folder.socket)
        adopted = [
            asyncio.create_task(self.socket.adopt(fd, reports))
            for reports, fd in inherited.items()
            if fd is not None
        ]
        self.heartbeat.ready()
        try:
            await self.rhythm.run()
        finally:
            self.heartbeat.stopping()
            for runner, _ in self._runners:
                await runner.stop()
            await self.socket.close()
            for task in adopted:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            self.store.close()

    def stop(self) -> None:
        """Turn once more with the word that this end is meant, then leave."""
        self.controller.notice("controller_stopping", "controller", run=self.run)
        self.rhythm.stop()


async def _main(arguments: argparse.Namespace) -> None:
    process = Process(Folder(arguments.state), arguments.heartbeat_fd)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, process)
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)
    await process.live({CONSOLE: arguments.console_fd, UPLOAD: arguments.publisher_fd})


def _stop(process: Process) -> None:
    log.info("asked to stop")
    process.stop()
    loop = asyncio.get_running_loop()
    # A stop must not hang on a port that hangs: what is not closed by then is left to the kernel.
    loop.call_later(STOP_WITHIN_S, os._exit, 1)


def main() -> None:
    """Read the command line and live."""
    parser = argparse.ArgumentParser(prog="minewatch.controller")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--parent", type=int)
    parser.add_argument("--console-fd", type=int)
    parser.add_argument("--publisher-fd", type=int)
    parser.add_argument("--heartbeat-fd", type=int)
    arguments = parser.parse_args()
    log_to_stderr()
    if arguments.parent is not None:
        die_with_parent(arguments.parent)
    try:
        asyncio.run(_main(arguments))
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"controller cannot start 控制进程无法启动: {error}")
    except RecordError as error:
        # What survives cannot be told, so nothing is guessed: without us the relays open the cuts.
        sys.exit(
            f"the record is damaged, nothing is guessed from it 存证记录损坏，不作猜测: {error}\n"
            "run `minewatch verify`, keep the state folder as evidence, start in a new one"
            " 请运行 minewatch verify，原状态目录留作证据，换新目录启动"
        )


if __name__ == "__main__":
    main()
