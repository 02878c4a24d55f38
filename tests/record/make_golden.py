"""Makes the golden record of a release: `python tests/record/make_golden.py VERSION`.

The demo mine on virtual time, with acts of people, through the real core and the real store.
Run it once for a release and commit the folder; `test_golden.py` reads it for ever.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path

from minewatch_sim.scenario import Scenario
from minewatch_sim.virtual_bench import VirtualBench

from minewatch.controller.cycle import Controller
from minewatch.core.fold import recover
from minewatch.core.snapshot import durable_to_json
from minewatch.core.state import State
from minewatch.core.step import Step
from minewatch.folder import Folder
from minewatch.mine import load
from minewatch.model.canonical import encode
from minewatch.model.image import Command, Image
from minewatch.record.digest import DecisionDigest
from minewatch.record.journal import JournalLimits, Start
from minewatch.record.recover import read_state
from minewatch.record.store import RecordStore, StoreLimits

HERE = Path(__file__).parent
LEADER, CHIEF, FIELD, CHECKER, DISPATCHER = "S003", "S004", "S006", "S007", "S001"
SECONDS = 75
BEHIND_MAX = 100
"""Cycles that the store's thread may be behind: virtual time outruns any disk."""

ACTS: list[tuple[int, str, str, str, dict[str, object]]] = [
    (8, "calibrate", FIELD, "", {"point": "12301_T1"}),
    (20, "end_calibration", FIELD, "", {"point": "12301_T1"}),
    (22, "cut", DISPATCHER, "检修 repair", {"output": "cut_12301"}),
    (24, "bypass", CHIEF, "线路检修", {"point": "12301_T2", "minutes": 30}),
    (26, "hand_value", CHECKER, "", {"point": "12301_T1", "value": 20}),
    (28, "release", DISPATCHER, "", {"outputs": ["cut_12301"]}),
    (45, "silence", DISPATCHER, "", {}),
    (50, "acknowledge", DISPATCHER, "", {"alarms": "all"}),
    (55, "withdraw", DISPATCHER, "瓦斯超限", {"zones": ["heading_12303"]}),
]
"""Second, kind, who, text, arguments; what asks for a second name is approved a second later."""


def _arguments(controller: Controller, given: dict[str, object]) -> dict[str, object]:
    if given.get("alarms") == "all":
        return {"alarms": sorted(controller.state.durable.alarms.items)}
    return given


def _live(controller: Controller, bench: VirtualBench) -> None:
    began_ms = bench.clock.now_ms()
    for number, (at_s, kind, by, text, given) in enumerate(ACTS):
        bench.run(controller, began_ms + at_s * 1000)
        arguments = _arguments(controller, given)
        controller.command(Command(f"c{number}", kind, by, "page:dispatch-1", arguments, text))
        bench.run_for(controller, 1000)
        for approval in sorted(controller.state.durable.approvals.open):
            arguments = {"approval": approval}
            second = Command(f"a{number}", "approve", LEADER, "page:dispatch-2", arguments, "")
            controller.command(second)
    bench.run(controller, began_ms + SECONDS * 1000)


def _record(folder: Path, version: str) -> None:
    mine = load(HERE.parents[1] / "config" / "demo-mine").mine
    assert mine is not None
    bench, digest = VirtualBench(mine, Scenario.load("gas-rise"), 5), DecisionDigest()
    store = RecordStore(
        folder,
        f"minewatch/v1/{mine.county}/{mine.code}",
        digest=digest,
        urgent=lambda event: event.kind == "cause_latched",
        limits=StoreLimits(images=20_000, journal=JournalLimits(free_bytes=0, chunk_ms=30_000)),
    )
    state = State()
    config = Folder(folder).activate(mine)
    store.start_run(Start("golden", durable_to_json(state.durable), version, config, 0))
    controller = Controller(mine, state, bench.clock, store, bench.lines, digest=digest)

    def turned(_decided: Step, _image: Image) -> None:
        for notice in store.take_notices():
            controller.board.notice(notice)
        while store.pending > BEHIND_MAX:
            time.sleep(0.001)

    controller.listeners.append(turned)
    controller.notice(
        "controller_started",
        "controller",
        run="golden",
        version=version,
        config=config,
        prior="first",
    )
    _live(controller, bench)
    store.close()


def main(version: str) -> None:
    """Record, and keep what a verifier and a start need."""
    golden = HERE / "golden" / version
    golden.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _record(folder, version)
        state = durable_to_json(recover(read_state(folder).events))
        for name in ("ledger/ledger.db", "ledger/checkpoints.txt", "ledger/key.pub"):
            (golden / name).parent.mkdir(exist_ok=True)
            shutil.copy(folder / name, golden / name)
        shutil.copytree(folder / "journal", golden / "journal")
    (golden / "state.json").write_bytes(encode(state))


if __name__ == "__main__":
    main(sys.argv[1])
