"""Asks a bus through the controller that owns it: the other side of `controller/bus_desk.py`."""

import json
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from minewatch_drivers.commission.ask import AskError
from minewatch_drivers.modbus_line.inquiry import Traffic

ANSWER_LIMIT_S = 25.0
"""The controller answers in 20 s at the latest, with a code if with nothing else."""

LINE_BYTES_MAX = 8 * 1024 * 1024


def answers(path: Path) -> bool:
    """Return whether a controller listens on its socket."""
    with socket.socket(socket.AF_UNIX) as attempt:
        attempt.settimeout(2.0)
        try:
            attempt.connect(str(path))
        except OSError:
            return False
    return True


class DaemonAsker:
    """One bus of a running controller, used in a `with`. `reason` goes on record with writes.

    Raises:
        ConnectionError: there is no controller, or it went away.
    """

    def __init__(self, path: Path, bus: str, reason: str = "") -> None:
        self._path = path
        self._bus = bus
        self._reason = reason
        self._socket = socket.socket(socket.AF_UNIX)
        self._lines: Any = None
        self.dropped = 0

    def __enter__(self) -> "DaemonAsker":
        self._socket.settimeout(ANSWER_LIMIT_S)
        try:
            self._socket.connect(str(self._path))
        except OSError as error:
            raise ConnectionError(str(error)) from error
        self._lines = self._socket.makefile("rb")
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def ask(self, unit: int, pdu: bytes) -> bytes:
        """Return the PDU that answers; see `ask.Asker`."""
        ident = secrets.token_hex(6)
        self._send({"act": "ask", "id": ident, "unit": unit, "pdu": pdu.hex(),
                    "reason": self._reason})  # fmt: skip
        while True:
            message = self._next()
            if message.get("type") == "bus" and message.get("id") == ident:
                break
            _check(message)
        if message.get("error") or not isinstance(message.get("pdu"), str):
            raise AskError(str(message.get("error") or "no_answer"))
        return bytes.fromhex(message["pdu"])

    def tap(self, wait_s: float) -> Iterator[Traffic | None]:
        """Yield what runs on the bus, and None whenever nothing came for `wait_s`.

        Raises:
            AskError: somebody else taps it, or it has no tap.
        """
        ident = secrets.token_hex(6)
        self._send({"act": "tap", "id": ident})
        answer = self._next()
        _check(answer)
        if answer.get("error"):
            raise AskError(str(answer["error"]))
        # A file object forgets half a line when it times out, so the rest is read by hand.
        self._socket.settimeout(wait_s)
        buffer = b""
        while True:
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                yield None
                continue
            if not data:
                raise ConnectionError("the controller closed the connection")
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                yield from self._traffic(json.loads(line))

    def _traffic(self, message: dict[str, Any]) -> Iterator[Traffic]:
        if message.get("type") == "traffic":
            self.dropped = int(message["dropped"])
            for t_us, sent, data in message["pieces"]:
                yield Traffic(int(t_us), bool(sent), bytes.fromhex(data))

    def _send(self, request: dict[str, Any]) -> None:
        line = json.dumps({"do": "bus", "bus": self._bus, **request}, ensure_ascii=False)
        try:
            self._socket.sendall(line.encode() + b"\n")
        except OSError as error:
            raise ConnectionError(str(error)) from error

    def _next(self) -> dict[str, Any]:
        try:
            line = self._lines.readline(LINE_BYTES_MAX)
        except TimeoutError as error:
            raise AskError("no_answer") from error
        except OSError as error:
            raise ConnectionError(str(error)) from error
        if not line:
            raise ConnectionError("the controller closed the connection")
        message = json.loads(line)
        return message if isinstance(message, dict) else {}


def _check(message: dict[str, Any]) -> None:
    """Raise what the controller says to a request that it does not understand."""
    if message.get("type") == "error":
        raise AskError(str(message.get("code")))
