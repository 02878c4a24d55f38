"""A broker for the demo: mosquitto on a port of its own, or an honest word that there is none.

The guard process outlives a killed demo by a moment, so that the publisher can still say
`offline`, and then takes the broker with it.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from minewatch.process import die_with_parent

LINGER_S = 3.0
"""How long the broker outlives its parent: enough for a publisher to say goodbye."""

SETTINGS = """listener {port} 127.0.0.1
allow_anonymous true
persistence false
set_tcp_nodelay true
max_queued_messages 100000
max_inflight_messages 100
log_type error
"""


def find() -> str | None:
    """Return the mosquitto of this machine, or None."""
    return shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    """Return a TCP port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(folder: Path, port: int) -> subprocess.Popen[bytes] | None:
    """Start the guarded broker; None where this machine has no mosquitto."""
    program = find()
    if program is None:
        return None
    settings = folder / "mosquitto.conf"
    settings.write_text(SETTINGS.format(port=port))
    command = [sys.executable, "-m", "minewatch.cli.broker", program, str(settings)]
    return subprocess.Popen([*command, str(os.getpid())], start_new_session=True)


def guard(program: str, settings: str, parent: int) -> None:
    """Run the broker until the parent asks or dies; then linger, then end it."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
    die_with_parent(parent)
    own_pid = os.getpid()
    broker = subprocess.Popen(
        [program, "-c", settings],
        preexec_fn=lambda: die_with_parent(own_pid, signal.SIGKILL),
    )
    while not asked and broker.poll() is None:
        time.sleep(0.1)
    if os.getppid() != parent:
        time.sleep(LINGER_S)
    broker.terminate()
    broker.wait()


if __name__ == "__main__":
    guard(sys.argv[1], sys.argv[2], int(sys.argv[3]))
