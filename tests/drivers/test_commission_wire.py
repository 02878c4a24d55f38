"""A tool's own port: exclusive, silent when it must be, and never fooled by a late answer."""

import os
import threading
import time
import tty
from collections.abc import Iterator
from typing import Any

import pytest
from minewatch_drivers.address import parse_address
from minewatch_drivers.commission.ask import AskError
from minewatch_drivers.commission.wire import Wire, units_in
from minewatch_drivers.wire import modbus

READ = modbus.read_pdu(3, 0, 1)


def told(unit: int, number: int) -> bytes:
    """Return the frame that answers `READ`."""
    return modbus.rtu_frame(unit, bytes((3, 2)) + number.to_bytes(2, "big"))


class Far:
    """The far end of a pty: for each question that arrives, what `script` says, after its wait."""

    def __init__(self) -> None:
        self.master, self._end = os.openpty()
        tty.setraw(self.master)
        tty.setraw(self._end)
        self.url = f"rtu://{os.ttyname(self._end)}?baud=19200&parity=N"
        self.asked_s: list[float] = []
        self.done_s: list[float] = []
        self._thread: threading.Thread | None = None

    def follow(self, script: list[tuple[float, bytes]]) -> None:
        """Answer one question after the other, then no more."""

        def run() -> None:
            for wait_s, data in script:
                os.read(self.master, 256)
                self.asked_s.append(time.monotonic())
                time.sleep(wait_s)
                os.write(self.master, data)
                self.done_s.append(time.monotonic())

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait for the script's end and close."""
        if self._thread is not None:
            self._thread.join(5)
        os.close(self.master)
        os.close(self._end)


@pytest.fixture
def far() -> Iterator[Far]:
    """Return the far end of a line."""
    end = Far()
    yield end
    end.close()


def asks(wire: Wire, unit: int) -> Any:
    """Return the register, or the code of what came instead."""
    try:
        return int.from_bytes(wire.ask(unit, READ)[2:], "big")
    except AskError as error:
        return error.code


@pytest.mark.parametrize(
    ("reply", "result"),
    [
        (told(3, 7), 7),
        (b"\xff\x00" + told(3, 7), 7),
        (told(4, 7), "bad_reply"),
        (told(3, 7)[:-1] + b"\x00", "bad_reply"),
        (modbus.rtu_frame(3, b"\x83\x02"), "exception_2"),
        (b"", "timeout"),
        (bytes(4096), "flood"),
    ],
)
def test_only_a_proper_answer_is_one(far: Far, reply: bytes, result: object) -> None:
    """Noise before it, another unit, a wrong checksum, a refusal, nothing, a flood."""
    far.follow([(0.0, reply)])
    with Wire(parse_address(far.url), 100) as wire:
        assert asks(wire, 3) == result


def test_a_late_answer_is_not_the_next_one(far: Far) -> None:
    """The same unit is asked again only when a late answer would be past."""
    far.follow([(0.15, told(3, 1)), (0.0, told(3, 2))])
    with Wire(parse_address(far.url), 100) as wire:
        assert [asks(wire, 3), asks(wire, 3)] == ["timeout", 2]
    assert far.asked_s[1] > far.done_s[0]


def test_a_unit_that_answers_late_is_known_afterwards(far: Far) -> None:
    """Another unit is asked at once; what came too late names who it was."""
    far.follow([(0.13, told(3, 1)), (0.0, told(5, 2))])
    with Wire(parse_address(far.url), 100) as wire:
        assert asks(wire, 3) == "timeout"
        time.sleep(0.1)
        assert asks(wire, 5) == 2
        assert units_in(wire.late) == {3}


def test_a_port_has_one_owner(far: Far) -> None:
    """While it is open here nobody else gets it, and afterwards somebody does."""
    address = parse_address(far.url)
    with Wire(address), pytest.raises(OSError, match="lock"), Wire(address):
        pass
    with Wire(address):
        pass


def test_listening_sends_nothing(far: Far) -> None:
    """What the far end says is told; it hears nothing."""
    os.set_blocking(far.master, False)
    heard: list[bytes] = []
    with Wire(parse_address(far.url)) as wire:
        os.write(far.master, told(3, 1))
        assert wire.listen(0.2, lambda piece: heard.append(piece.data)) == len(told(3, 1))
        assert b"".join(heard) == told(3, 1)
        with pytest.raises(BlockingIOError):
            os.read(far.master, 1)
