"""The house under test: the real controller on the bench, with all that can happen to a process.

It can die (between two turns, between acting and recording, with entries that no disk took), come
back (on a clock that began anew, under another configuration), stand still (stopped with its lines,
or hung while they live), lose its disk, its page, its upload. Nothing here judges.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from minewatch.controller.adopt import Adopted, adopt
from minewatch.controller.cycle import Controller
from minewatch.core.fold import recover
from minewatch.core.state import State
from minewatch.core.step import Step
from minewatch.folder import Folder
from minewatch.model.codec import mine_hash
from minewatch.model.event import Event
from minewatch.model.image import Command, Image, Sample
from minewatch.model.mine import Mine
from minewatch.record.digest import DecisionDigest
from minewatch_sim.campaign.plant import TICK_US, CampaignBench
from minewatch_sim.virtual import START_US

CONSOLE_EVERY_MS = 10_000
UPLOAD_EVERY_MS = 10_000
Listener = Callable[[Step, Image], None]


class Killed(Exception):  # noqa: N818 - not an error of ours: what is simulated is a kill -9
    """The process dies here and now."""


class VirtualFolder(Folder):
    """The configurations of a state folder, in memory; each keeps the hash of its bytes."""

    def __init__(self, mine: Mine) -> None:
        self._kept: dict[str, Mine] = {}
        self._active = ""
        self.activate(mine)

    def activate(self, mine: Mine) -> str:
        """Keep and activate a configuration."""
        self._active = hash_of(mine)
        self._kept[self._active] = mine
        return self._active

    def active_hash(self) -> str:
        """Return the hash of the active configuration."""
        return self._active

    def active_mine(self) -> Mine:
        """Return the active configuration."""
        return self._kept[self._active]

    def kept_mine(self, digest: str) -> Mine | None:
        """Return a configuration that was active once."""
        return self._kept.get(digest)


_HASHES: dict[int, tuple[Mine, str]] = {}


def hash_of(mine: Mine) -> str:
    """Return the hash of a configuration; mines of the campaign live as long as the process."""
    known = _HASHES.get(id(mine))
    if known is None or known[0] is not mine:
        known = _HASHES[id(mine)] = (mine, mine_hash(mine))
    return known[1]


@dataclass
class Recorder:
    """Stands between controller and disk: the moment at which a crash can be timed.

    `kill_on` is a kind of event: when it is recorded the process dies, `before` the disk was asked
    or right after, while the entry is not on disk yet.
    """

    house: "House"
    kill_on: str = ""
    before: bool = True

    @property
    def durable_index(self) -> int:
        """Return the number of ledger entries on disk."""
        return self.house.bench.store.durable_index

    def submit(
        self, image: bytes, events: tuple[Event, ...], samples: tuple[Sample, ...] = (), /
    ) -> None:
        """Take one cycle, or die of it."""
        dies = self.kill_on != "" and any(each.kind == self.kill_on for each in events)
        if dies:
            self.house.doomed = events
        if dies and self.before:
            self.house.killed_before_record = True
            raise Killed
        self.house.bench.store.submit(image, events, samples)
        if dies:
            raise Killed

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong with the disk."""
        return self.house.bench.store.faults()


class House:
    """One mine and its controller through all its lives.

    `now_ms` is the time of the campaign: it runs on while the clock of the box begins anew.
    """

    def __init__(self, mine: Mine, seed: int) -> None:
        self.mine = mine
        self.bench = CampaignBench(mine, seed)
        self.plant = self.bench.plant
        self.folder = VirtualFolder(mine)
        self.recorder = Recorder(self)
        self.digest = DecisionDigest()
        self.listeners: list[Listener] = []
        self.begun: list[Callable[[str], None]] = []
        self.died: list[Callable[[], None]] = []
        self.commands: dict[str, Command] = {}
        self.lives = 0
        self.killed_before_record = False
        self.doomed: tuple[Event, ...] = ()
        self.console = self.upload = True
        self.rebooted_ms: int | None = None
        self._epoch_us = 0
        self._said_ms = {"console": 0, "upload": 0}
        self._rng = random.Random(f"{seed}/house")
        self.plant.time_ms = lambda: self.now_ms
        self.controller: Controller | None = None
        self.live("first")

    @property
    def now_ms(self) -> int:
        """Return the time of the campaign in ms."""
        return (self.bench.clock.now_us() + self._epoch_us) // 1000

    def run_to(self, until_ms: int) -> None:
        """Let time pass with whatever lives."""
        bench = self.bench
        while self.now_ms < until_ms:
            step_ms = min(until_ms - self.now_ms, 1000)
            self._say()
            try:
                bench.run_for(self.controller, step_ms)
            except Killed:
                self._after_a_kill()

    def live(self, prior: str, mine: Mine | None = None) -> Adopted:
        """Start a process on what the disk holds; `mine` is a configuration activated meanwhile."""
        bench = self.bench
        if mine is not None:
            self.folder.activate(mine)
        self.lives += 1
        durable = recover(bench.store.events)
        adopted = adopt(self.folder, durable)
        self.mine = bench.mine = adopted.mine
        bench.restart()
        controller = Controller(
            adopted.mine,
            State(durable),
            bench.clock,
            self.recorder,
            bench.lines,
            digest=self.digest,
        )
        said = {"run": f"run{self.lives}", "version": "campaign", "prior": prior}
        controller.notice("controller_started", "controller", config=adopted.config, **said)
        if adopted.refused:
            controller.notice(
                "configuration_refused", "", config=adopted.refused, reasons=adopted.reasons
            )
        if bench.store.failing:
            controller.notice("ledger_fault", "", error="full")
        controller.listeners += self.listeners
        self.controller = controller
        bench.hear = controller.hear
        for each in self.begun:
            each(prior)
        return adopted

    def crash(self) -> int:
        """Kill the process; return how many entries no disk had taken."""
        self.bench.stop_lines()
        self.controller = None
        lost = self.bench.store.crash()
        self.recorder.kill_on = ""
        for each in self.died:
            each()
        return lost

    def reboot_clock(self) -> None:
        """Let the monotonic clock begin anew, as at a reboot of the box; the process is dead."""
        bench = self.bench
        gone_us = bench.clock.now_us() - START_US
        self._epoch_us += gone_us
        bench.rebase(gone_us)
        self.rebooted_ms = self.now_ms

    def suspend(self, ms: int) -> None:
        """Stop the process and its lines alike; the mine lives on, bytes that come wait."""
        bench = self.bench
        until_ms = bench.clock.now_ms() + ms
        bench.land(until_ms * 1000)
        while (left_ms := until_ms - bench.clock.now_ms()) > 0:
            step_ms = min(left_ms, TICK_US // 1000)
            bench.clock.move_to(bench.clock.now_us() + step_ms * 1000)
            bench.let_pass(step_ms)

    def sleep(self, ms: int) -> None:
        """Let the box lie in a drawer: clocks go on, nothing is simulated meanwhile."""
        self.bench.clock.move_to(self.bench.clock.now_us() + ms * 1000)

    def hang(self, ms: int) -> None:
        """Let the loop stand still while the threads of the lines go on."""
        self.bench.run_for(None, ms)

    def disk(self, *, failing: bool) -> None:
        """Fill the disk, or make room on it; the record says so, as it does."""
        self.bench.store.failing = failing
        if self.controller is not None:
            kind = "ledger_fault" if failing else "ledger_restored"
            self.controller.notice(kind, "", error="full")

    def command(self, command: Command) -> bool:
        """Hand a command to the controller, if one lives and takes it."""
        if self.controller is None:
            return False
        self.commands[command.id] = replace_id(command)
        return self.controller.command(command)

    def _after_a_kill(self) -> None:
        """Let out on the wire what was decided, then lose the process."""
        bench = self.bench
        for wire in bench.wires.values():
            wire.poll()
        bench.run_for(None, 60)
        self.crash()

    def _say(self) -> None:
        """Tell the controller what page and publisher tell it."""
        controller = self.controller
        if controller is None:
            return
        now_ms = self.now_ms
        if self.console and now_ms - self._said_ms["console"] >= CONSOLE_EVERY_MS:
            self._said_ms["console"] = now_ms
            pages = {"pages": 1, "audible": 1, "terminals": ["dispatch-1"]}
            controller.notice("console_seen", "console", **pages)
        if self.upload and now_ms - self._said_ms["upload"] >= UPLOAD_EVERY_MS:
            self._said_ms["upload"] = now_ms
            index = self.bench.store.durable_index
            controller.notice("upload_acknowledged", "upload", index=index)


def replace_id(command: Command) -> Command:
    """Return a copy that nobody else can change."""
    return command._replace(arguments=dict(command.arguments))
