"""The real controller, with the bench's device file put beside the shipped ones first.

`python -m common.station_controller TURNS --state DIR`: how long each turn took, in µs, is written
to TURNS at the end, one number a line.
"""

import sys
import time
from array import array
from pathlib import Path

from minewatch.controller import __main__ as process
from minewatch.controller.cycle import Controller
from minewatch.core.step import Step

from common.stations import register


def main() -> None:
    """Run the controller and keep the time of every turn."""
    turns_us = array("q")
    turn = Controller.turn

    def timed(self: Controller) -> Step:
        begun_ns = time.perf_counter_ns()
        try:
            return turn(self)
        finally:
            turns_us.append((time.perf_counter_ns() - begun_ns) // 1000)

    Controller.turn = timed  # type: ignore[method-assign]
    out = Path(sys.argv.pop(1))
    register()
    try:
        process.main()
    finally:
        out.write_text("\n".join(map(str, turns_us)))


if __name__ == "__main__":
    main()
