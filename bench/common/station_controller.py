"""The real controller, with the bench's device file put beside the shipped ones first.

`python -m common.station_controller TURNS --state DIR`: the time and the CPU time of every turn, in
µs, are written to TURNS at the end, one pair a line.
"""

import sys
import time
from pathlib import Path

from common.stations import register

from minewatch.controller import __main__ as process
from minewatch.controller.cycle import Controller
from minewatch.core.step import Step


def main() -> None:
    """Run the controller and keep the times of every turn."""
    turns: list[tuple[int, int]] = []
    turn = Controller.turn

    def timed(self: Controller) -> Step:
        begun_ns, cpu_ns = time.perf_counter_ns(), time.thread_time_ns()
        try:
            return turn(self)
        finally:
            wall_ns = time.perf_counter_ns() - begun_ns
            turns.append((wall_ns // 1000, (time.thread_time_ns() - cpu_ns) // 1000))

    Controller.turn = timed  # type: ignore[method-assign]
    out = Path(sys.argv.pop(1))
    register()
    try:
        process.main()
    finally:
        out.write_text("\n".join(f"{wall} {cpu}" for wall, cpu in turns))


if __name__ == "__main__":
    main()
