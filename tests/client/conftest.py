"""A fake controller for the client's tests: a script of lines on a unix socket."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

FULL: dict[str, Any] = {
    "type": "full",
    "run": "run-1",
    "cycle": 1,
    "t_ms": 5000,
    "wall_ms": 1_700_000_000_000,
    "wall_trusted": True,
    "since_wall_ms": 1_699_999_000_000,
    "durable_index": 7,
    "mode": "control",
    "version": "0.1.0",
    "points": {
        "T1": {"value": 30, "quality": "GOOD", "sampled_ms": 4000, "last": 30, "level": 0},
        "T2": {"value": None, "quality": "STALE", "sampled_ms": None, "last": 41, "level": 0},
    },
    "alarms": {},
    "headcount": {
        "lo": 3,
        "hi": 4,
        "limit": 130,
        "zones": {"face": {"lo": 3, "hi": 3}, "heading": {"lo": 0, "hi": 1}},
    },
    "people": {"10001": {"zone": "face", "reader": "r1", "seen_ms": 4000, "state": "inside"}},
    "withdrawals": {},
    "health": {"buses": {"b1": {"up": True}, "b2": {"up": False}}, "upload": {"up": True}},
}


class FakeController:
    """Answers as the contract says; `scripted` replaces the answer to `watch` with raw bytes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests: list[dict[str, Any]] = []
        self.scripted: bytes | None = None
        self.reply: dict[str, Any] | None = {"accepted": True, "reasons": [], "index": 12}
        self.frame = dict(FULL)
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_unix_server(self.serve, str(self.path))

    async def stop(self) -> None:
        """Go away."""
        for writer in self.writers:
            writer.close()
        if self._server is not None:
            self._server.close()
        self.path.unlink(missing_ok=True)
        await asyncio.sleep(0.01)

    def send(self, *messages: dict[str, Any] | bytes) -> None:
        """Send to every connection."""
        for message in messages:
            line = message if isinstance(message, bytes) else json.dumps(message).encode()
            for writer in self.writers:
                writer.write(line + b"\n")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        self.writers.append(writer)
        while line := await reader.readline():
            request = json.loads(line)
            self.requests.append(request)
            if request["do"] == "watch" and self.scripted is not None:
                writer.write(self.scripted)
            elif request["do"] == "watch":
                writer.write(json.dumps(self.frame).encode() + b"\n")
            elif request["do"] == "command" and self.reply is not None:
                answer = {"type": "reply", "id": request["id"], **self.reply}
                writer.write(json.dumps(answer).encode() + b"\n")
        self.writers.remove(writer)
        writer.close()


@pytest.fixture
async def controller() -> AsyncIterator[FakeController]:
    """Return a listening controller; its path is short, as unix sockets want it."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "run").mkdir()
        fake = FakeController(Path(folder) / "run" / "control.sock")
        await fake.start()
        yield fake
        await fake.stop()


@pytest.fixture
def full() -> dict[str, Any]:
    """Return the frame that the fake controller sends."""
    return dict(FULL)


@pytest.fixture
def until() -> Callable[..., Any]:
    """Return a waiter for a condition."""

    async def until(condition: Callable[[], Any], within_s: float = 5.0) -> Any:
        async with asyncio.timeout(within_s):
            while not (found := condition()):
                await asyncio.sleep(0.01)
            return found

    return until
