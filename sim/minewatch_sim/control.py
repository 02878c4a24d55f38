"""The simulator's control socket: newline JSON, one request a line, one reply a line.

`{"do": <act of minewatch_sim.actions>, …arguments}` or one of the questions below. A fault of the
request is told in the reply and changes nothing.
"""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minewatch.model.kind import UNITS
from minewatch_sim.endpoints import Endpoints
from minewatch_sim.scenario import ScenarioError

LINE_MAX = 64 * 1024
Answer = Callable[[dict[str, Any]], Any]


class Control:
    """Serves the control socket of running endpoints; `stopped` is set by `{"do": "stop"}`."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._plant = endpoints.plant
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}
        self.stopped = asyncio.Event()
        self._questions: dict[str, Answer] = {
            "addresses": lambda _: endpoints.addresses(),
            "truth": lambda _: self._plant.truth()._asdict(),
            "status": lambda _: self._status(),
            "values": lambda _: self._values(),
            "log": self._log,
            "messages": lambda _: endpoints.messages(),
            "speed": self._set_speed,
            "set_register": self._set_register,
            "stop": lambda _: self.stopped.set(),
        }

    async def listen(self, place: str) -> str:
        """Listen on `host:port` or on the path of a unix socket; return where that really is."""
        host, colon, port = place.rpartition(":")
        if colon and port.isdigit():
            self._server = await asyncio.start_server(self._serve, host, int(port), limit=LINE_MAX)
            return "{}:{}".format(*self._server.sockets[0].getsockname()[:2])
        Path(place).unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, place, limit=LINE_MAX)
        return place

    async def close(self) -> None:
        """Stop listening and let every client go."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._clients):
            writer.transport.abort()
        await asyncio.gather(*(task for task in self._clients.values() if task is not None))

    def answer(self, line: bytes) -> dict[str, Any]:
        """Do what one line asks and return the reply."""
        try:
            request = json.loads(line)
            name = request.pop("do")
            question = self._questions.get(name)
            if question is not None:
                return {"ok": True, "result": question(request)}
            return {"ok": True, "result": self._plant.do(name, **request)}
        except ScenarioError as error:
            return {"ok": False, "error": str(error)}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return {"ok": False, "error": f"not understood: {error!r}"}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients[writer] = asyncio.current_task()
        try:
            while line := await reader.readline():
                writer.write(json.dumps(self.answer(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            # Gone, or a line without an end: this client has nothing more to ask.
            pass
        finally:
            del self._clients[writer]
            writer.close()

    def _status(self) -> dict[str, Any]:
        plant = self._plant
        return {
            "scenario": plant.scenario.name,
            "plant_ms": plant.now_ms,
            "speed": self._endpoints.speed,
            "notes": [each._asdict() for each in plant.notes],
            "requests": {key: bus.requests for key, bus in self._endpoints.buses.items()},
            "short_gaps": self._endpoints.short_gaps(),
            "feeders": {key: each.live for key, each in plant.power.feeders.items()},
            "outputs": {each.id: plant.power.energised(each) for each in plant.mine.outputs},
        }

    def _values(self) -> dict[str, Any]:
        return {
            each.id: {"value": self._plant.value(each), "unit": UNITS[each.kind].text}
            for each in self._plant.mine.points
        }

    def _log(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        after_us = int(request.get("after_us", -1))
        return [each._asdict() for each in self._plant.log if each.at_us > after_us]

    def _set_speed(self, request: dict[str, Any]) -> float:
        self._endpoints.speed = float(request["value"])
        return self._endpoints.speed

    def _set_register(self, request: dict[str, Any]) -> None:
        value = request["value"]
        self._plant.force(str(request["point"]), None if value is None else float(value))
