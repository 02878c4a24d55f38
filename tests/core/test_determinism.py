"""I28: the same inputs give byte-identical decisions in another process with another hash seed."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
from conftest import Quality, Rig, build_mine
rig = Rig(build_mine(zones=4)).start()
for value in (90, 120, 160):
    rig.turn(readings={"Z0_H0": value, "Z1_H1": value})
rig.world.update(dict.fromkeys(("Z2_H0", "Z2_H1", "Z3_H0"), Quality.COMM_FAULT))
rig.run(40)
rig.restart()
rig.run(20)
print(len(rig.events), hashlib.sha256(b"".join(e.leaf() for e in rig.events)).hexdigest())
"""


def test_the_hash_seed_changes_nothing() -> None:
    """A busy minute with trips, faults and a restart, under three hash seeds."""
    shown = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT, str(Path(__file__).parent)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout
        for seed in ("0", "1", "4711")
    }
    assert len(shown) == 1
    assert int(shown.pop().split()[0]) > 20
