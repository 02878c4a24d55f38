"""The supervisor: one house per folder, siblings after the controller, restarts that never stop."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from minewatch.folder import Folder
from minewatch.supervise import AlreadyRunning, Supervisor

STAY = "import sys, time; time.sleep(60)"
DIE = "import sys; sys.exit(3)"


def _beat(descriptor: int) -> str:
    return f"import os, time; os.write({descriptor}, b'.'); time.sleep(60)"


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    """Return a supervisor whose children only sleep."""
    supervisor = Supervisor(Folder(tmp_path))
    for child in supervisor.children.values():
        child.arguments = [sys.executable, "-c", STAY]
    yield supervisor
    supervisor.stop()


def _tend_until(supervisor: Supervisor, done: Callable[[], bool], within_s: float = 5.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < deadline_s
        supervisor.tend()


def test_one_house_per_folder(supervisor: Supervisor) -> None:
    """A second supervisor on the same folder is refused by the lock."""
    with pytest.raises(AlreadyRunning):
        Supervisor(supervisor.folder)


def test_siblings_start_after_the_first_sign_of_life(supervisor: Supervisor) -> None:
    """Publisher and console wait until the controller has turned once."""
    controller = supervisor.children["controller"]
    beat = controller.descriptors[1]
    controller.arguments = [sys.executable, "-c", _beat(beat)]
    supervisor.tend()
    assert [c.name for c in supervisor.children.values() if c.process] == ["controller"]
    _tend_until(supervisor, lambda: all(c.process for c in supervisor.children.values()))


def test_a_dying_child_is_started_again_and_again(supervisor: Supervisor) -> None:
    """A child that ends at once is restarted with a growing wait, and never given up."""
    controller = supervisor.children["controller"]
    controller.arguments = [sys.executable, "-c", DIE]
    _tend_until(supervisor, lambda: controller.starts >= 4)

    assert controller.wait_s > 0.5


def test_stopping_leaves_no_child(supervisor: Supervisor) -> None:
    """After `stop` every process that was started has ended."""
    _tend_until(supervisor, lambda: all(c.process for c in supervisor.children.values()))
    processes = [c.process for c in supervisor.children.values()]
    supervisor.stop()

    assert all(each is not None and each.poll() is not None for each in processes)
