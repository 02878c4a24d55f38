"""Keeps controller, publisher and console alive, and ends them in order.

Children run in sessions of their own, so that Ctrl-C reaches only the supervisor, and with a
parent-death signal, so that they end by themselves when it is killed. A controller that stops
giving signs of life is ended and started again. The socket pairs between the controller and its
siblings are kept open here, so that each may be replaced alone; what comes over them is known to
come from console and publisher, whatever runs under the same user.
"""

import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from minewatch.folder import Folder

SILENT_MAX_S = 10.0
"""A controller without a sign of life for this long is hung."""

RESTART_WAIT_S = 0.2
RESTART_WAIT_MAX_S = 5.0
"""Wait before a restart: doubles while a child dies young, never gives up."""

SIBLINGS_WAIT_S = 3.0
YOUNG_S = 10.0
STOP_WAIT_S = 4.0

log = logging.getLogger(__name__)


class AlreadyRunning(Exception):  # noqa: N818 - a state of the house, not a mistake of the caller
    """Another house lives in this state folder."""


@dataclass
class Child:
    """One process of the house. `arguments` is its command line, `descriptors` what it inherits."""

    name: str
    arguments: list[str]
    descriptors: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    wait_s: float = RESTART_WAIT_S
    due_s: float = 0.0
    starts: int = 0


@dataclass
class Supervisor:
    """Runs one house in a state folder until told to stop."""

    folder: Folder
    listen: str | None = None
    children: dict[str, Child] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take the lock and lay the pipes; nothing is started yet."""
        self._lock = _lock(self.folder.lock)
        self._console_pair, self._publisher_pair = socket.socketpair(), socket.socketpair()
        self._heartbeat, beat = os.pipe()
        os.set_blocking(self._heartbeat, False)
        os.set_blocking(beat, False)
        self._beat_s = self._born_s = time.monotonic()
        self._heard = False
        root = ["--state", str(self.folder.root), "--parent", str(os.getpid())]
        console_fd, from_console = (each.fileno() for each in self._console_pair)
        publisher_fd, from_publisher = (each.fileno() for each in self._publisher_pair)
        ends = {"console": from_console, "publisher": from_publisher, "heartbeat": beat}
        options = [word for name, fd in ends.items() for word in (f"--{name}-fd", str(fd))]
        self._add("controller", [*root, *options], tuple(ends.values()))
        self._add("publisher", [*root, "--fd", str(publisher_fd)], (publisher_fd,))
        extra = ["--listen", self.listen] if self.listen else []
        self._add("console", [*root, "--fd", str(console_fd), *extra], (console_fd,))

    def _add(self, name: str, arguments: list[str], descriptors: tuple[int, ...] = ()) -> None:
        command = [sys.executable, "-m", f"minewatch.{name}", *arguments]
        self.children[name] = Child(name, command, descriptors)

    def tend(self) -> None:
        """Start what is due, notice what died or hangs. Call a few times a second."""
        now_s = time.monotonic()
        self._listen_for_heartbeat(now_s)
        for child in self.children.values():
            if child.process is None:
                if now_s >= child.due_s and self._may_start(child, now_s):
                    self._start(child, now_s)
            elif child.process.poll() is not None:
                self._bury(child, now_s)

    def run(self, stop: Callable[[], bool]) -> None:
        """Tend the children until `stop()` says so, then end them in order."""
        while not stop():
            self.tend()
            time.sleep(0.05)
        self.stop()

    def stop(self) -> None:
        """End publisher and console, then the controller, each with a chance to say goodbye."""
        for name in ("publisher", "console", "controller"):
            _end(self.children[name].process)
            self.children[name].process = None
        self._lock.close()

    def _may_start(self, child: Child, now_s: float) -> bool:
        """Let the siblings wait for the controller's first sign of life: it makes the record."""
        first = child.name == "controller" or self._heard
        return first or now_s - self._born_s > SIBLINGS_WAIT_S

    def _start(self, child: Child, now_s: float) -> None:
        child.process = subprocess.Popen(
            child.arguments, pass_fds=child.descriptors, start_new_session=True
        )
        child.started_s = now_s
        child.starts += 1
        if child.name == "controller":
            self._beat_s = now_s
        log.info("%s started as process %d", child.name, child.process.pid)

    def _bury(self, child: Child, now_s: float) -> None:
        assert child.process is not None
        log.error("%s ended with code %s", child.name, child.process.returncode)
        young = now_s - child.started_s < YOUNG_S
        child.wait_s = min(child.wait_s * 2, RESTART_WAIT_MAX_S) if young else RESTART_WAIT_S
        child.due_s = now_s + (child.wait_s if child.starts > 1 and young else RESTART_WAIT_S)
        child.process = None

    def _listen_for_heartbeat(self, now_s: float) -> None:
        try:
            if os.read(self._heartbeat, 4096):
                self._beat_s = now_s
                self._heard = True
        except BlockingIOError:
            pass
        process = self.children["controller"].process
        if process is not None and now_s - self._beat_s > SILENT_MAX_S:
            log.error("controller gave no sign of life for %.0f s: ended", SILENT_MAX_S)
            process.send_signal(signal.SIGKILL)
            self._beat_s = now_s


def _lock(path: Path) -> TextIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise AlreadyRunning(str(path)) from None
    return file


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is None or process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_WAIT_S)
    except subprocess.TimeoutExpired:
        log.error("process %d did not end in %.0f s: killed", process.pid, STOP_WAIT_S)
        process.kill()
        process.wait()
