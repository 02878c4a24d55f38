"""The local socket: what a peer may ask, and that nothing it sends can force or break anything."""

import asyncio
import json
import socket as sockets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minewatch.controller.socket import LINE_MAX, Socket
from minewatch.model.event import Event
from minewatch.model.image import Command

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Frames:
    """Stands for the frames of a controller whose clock we hold."""

    def __init__(self) -> None:
        self.reports: dict[str, Any] = {}
        self.watchers = 0
        self.clock_ms = 0

    def now_ms(self) -> int:
        """Return the time that the test set."""
        return self.clock_ms

    def begin(self) -> None:
        """Nothing is remembered here."""

    def full(self) -> dict[str, Any]:
        """Return a small full frame."""
        return {"type": "full", "people": {"b1": {}}, "points": {}}

    def delta(self) -> dict[str, Any]:
        """Return a small delta."""
        return {"type": "delta", "people": {"b1": None}}


class Served:
    """A listening socket with what it handed on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.frames = Frames()
        self.commands: list[Command] = []
        self.notices: list[tuple[str, str]] = []
        self.told: list[tuple[str, str, dict[str, object]]] = []
        self.room = True
        self.writers: list[asyncio.StreamWriter] = []
        self.socket = Socket(
            self.frames,  # type: ignore[arg-type]  # a stand-in with the same three methods
            self._submit,
            self._notice,
            lambda: None,
        )

    def _submit(self, command: Command) -> bool:
        if self.room:
            self.commands.append(command)
        return self.room

    def _notice(self, kind: str, subject: str, **data: object) -> None:
        self.notices.append((kind, subject))
        self.told.append((kind, subject, data))

    def decide(self, kind: str, **data: Any) -> None:
        """Let one event come out of a step, at ledger index 0."""
        event = Event(kind, 1, 0, 0, 0, True, {"command": self.commands[-1].id, **data})
        step = SimpleNamespace(
            events=(event,), state=SimpleNamespace(durable=SimpleNamespace(index=1))
        )
        self.socket.stepped(step, self.frames.clock_ms)  # type: ignore[arg-type]  # a stand-in


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """Return a socket that listens."""
    served = Served(tmp_path / "run" / "control.sock")
    await served.socket.listen(served.path)
    yield served
    await served.socket.close()


async def _connect(served: Served) -> Streams:
    return await asyncio.open_unix_connection(str(served.path))


async def _ask(served: Served, message: Any) -> tuple[Any, asyncio.StreamReader]:
    reader, writer = await _connect(served)
    served.writers.append(writer)
    writer.write(message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n")
    return json.loads(await reader.readline()), reader


def _command(**changes: Any) -> dict[str, Any]:
    return {"do": "command", "id": "1", "kind": "silence", "arguments": {}, "text": "", **changes}


async def test_a_watcher_gets_a_full_frame_first(served: Served) -> None:
    """`watch` answers with everything, but with people only where they were asked for."""
    without, _ = await _ask(served, {"do": "watch"})
    with_people, _ = await _ask(served, {"do": "watch", "people": True})

    assert (without["type"], "people" in without, "people" in with_people) == ("full", False, True)


async def test_a_delta_reaches_every_watcher(served: Served) -> None:
    """After the full frame come deltas."""
    _, reader = await _ask(served, {"do": "watch", "people": True})
    served.socket.publish()

    assert json.loads(await reader.readline()) == {"type": "delta", "people": {"b1": None}}


async def test_the_ninth_watcher_is_refused(served: Served) -> None:
    """Eight watchers, and the next is told so."""
    answers = [(await _ask(served, {"do": "watch"}))[0] for _ in range(9)]

    assert [each["type"] for each in answers] == ["full"] * 8 + ["error"]


async def test_an_ordinary_connection_names_nobody(served: Served) -> None:
    """`by` and `origin` from the command line are replaced by the peer's user id."""
    reader, writer = await _connect(served)
    writer.write(json.dumps(_command(by="S005", origin="page:dispatch-1")).encode() + b"\n")
    await writer.drain()
    while not served.commands:
        await asyncio.sleep(0)
    (command,) = served.commands
    writer.close()

    assert (command.by, command.origin.split(":")[0]) == ("", "local")
    assert reader is not None


async def test_the_inherited_connection_names_people(served: Served) -> None:
    """What comes over the console's own connection keeps its name and terminal."""
    ours, theirs = sockets.socketpair()
    task = asyncio.create_task(served.socket.adopt(theirs.detach(), "console"))
    ours.sendall(json.dumps(_command(by="S001", origin="page:dispatch-1")).encode() + b"\n")
    while not served.commands:
        await asyncio.sleep(0)
    ours.close()
    await task

    assert (served.commands[0].by, served.commands[0].origin) == ("S001", "page:dispatch-1")


async def test_a_command_is_answered_when_its_event_is_durable(served: Served) -> None:
    """The reply waits for the disk, and carries the index of the event."""
    reader, writer = await _connect(served)
    writer.write(json.dumps(_command(id="mine")).encode() + b"\n")
    while not served.commands:
        await asyncio.sleep(0)
    served.decide("silenced")
    served.socket.durable(0)
    assert reader.at_eof() is False
    served.socket.durable(1)

    reply = json.loads(await reader.readline())
    assert reply == {"type": "reply", "id": "mine", "accepted": True, "reasons": [], "index": 0}


async def test_a_refusal_says_every_reason(served: Served) -> None:
    """`command_refused` comes back as not accepted with all of its reasons."""
    reader, writer = await _connect(served)
    writer.write(json.dumps(_command()).encode() + b"\n")
    while not served.commands:
        await asyncio.sleep(0)
    served.decide("command_refused", reasons=["role", "not_below_restore"])
    served.socket.durable(1)

    reply = json.loads(await reader.readline())
    assert (reply["accepted"], reply["reasons"]) == (False, ["role", "not_below_restore"])


async def test_a_dead_disk_is_said_not_waited_for(served: Served) -> None:
    """After five seconds without a durable event the answer is `not_durable`."""
    reader, writer = await _connect(served)
    writer.write(json.dumps(_command()).encode() + b"\n")
    while not served.commands:
        await asyncio.sleep(0)
    served.frames.clock_ms = 5000
    served.decide("silenced")

    reply = json.loads(await reader.readline())
    assert (reply["accepted"], reply["reasons"]) == (False, ["not_durable"])


async def test_a_full_board_answers_busy(served: Served) -> None:
    """A command that finds no room is refused at the door."""
    served.room = False
    reply, _ = await _ask(served, _command())

    assert (reply["accepted"], reply["reasons"]) == (False, ["busy"])


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\xff\xfe\n", "not_json"),
        (b"[" * 50_000 + b"\n", "not_json"),
        (b"null\n", "unknown_request"),
        (b'{"do":"shutdown"}\n', "unknown_request"),
        (b'{"do":"command"}\n', "malformed_command"),
        (b'{"do":"command","id":1,"kind":"silence"}\n', "malformed_command"),
        (
            b'{"do":"command","id":"1","kind":"hand_value","arguments":{"value":0.5}}\n',
            "malformed_command",
        ),
        (b'{"do":"command","id":"1","kind":"silence","text":"\\ud800"}\n', "malformed_command"),
        (
            b'{"do":"command","id":"1","kind":"x","arguments":{"\\udfff":[]}}\n',
            "malformed_command",
        ),
        (
            b'{"do":"command","id":"1","kind":"x","arguments":{"a":'
            + b"[" * 400
            + b"]" * 400
            + b"}}\n",
            "malformed_command",
        ),
        (b'{"do":"report","subject":"upload","data":{"e":"\\udc00"}}\n', "malformed_report"),
        (b'{"do":"report","subject":"gas","data":{}}\n', "malformed_report"),
        (b'{"do":"report","subject":"upload","data":[]}\n', "malformed_report"),
        (b"x" * (LINE_MAX + 10) + b"\n", "line_too_long"),
    ],
)
async def test_bad_input_changes_nothing(served: Served, message: bytes, code: str) -> None:
    """Each malformed line is answered with its code and reaches nobody."""
    answer, _ = await _ask(served, message)

    assert answer == {"type": "error", "code": code}
    assert (served.commands, served.notices) == ([], [])


async def test_bad_input_is_logged_once(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """A peer that keeps sending rubbish fills no log."""
    reader, writer = await _connect(served)
    writer.write(b"rubbish\n" * 20)
    for _ in range(20):
        await reader.readline()

    assert len([each for each in caplog.records if "bad input" in each.message]) == 1


@asynccontextmanager
async def _inherited(served: Served, reports: str) -> AsyncIterator[Streams]:
    """Hold the end of a sibling that the supervisor has started."""
    ours, theirs = sockets.socketpair()
    task = asyncio.create_task(served.socket.adopt(theirs.detach(), reports))
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    yield reader, writer
    writer.close()
    await task


async def test_what_the_broker_has_is_noticed_when_it_grows(served: Served) -> None:
    """The count of acknowledged entries is a fact of the house at each change."""
    async with _inherited(served, "upload") as (reader, writer):
        for reached in (0, 3, 3, 5):
            data = {"up": True, "acknowledged": reached}
            report = {"do": "report", "subject": "upload", "data": data}
            writer.write(json.dumps(report).encode() + b"\n")
        writer.write(b'{"do":"nothing"}\n')
        await reader.readline()

    told = [each for each in served.told if each[0] == "upload_acknowledged"]
    assert told == [
        ("upload_acknowledged", "upload", {"index": 3}),
        ("upload_acknowledged", "upload", {"index": 5}),
    ]


async def test_upload_lost_and_restored_are_noticed_once_each(served: Served) -> None:
    """Reports repeat every few seconds; only a change becomes a notice."""
    async with _inherited(served, "upload") as (reader, writer):
        for up in (True, True, False, False, True):
            report = {"do": "report", "subject": "upload", "data": {"up": up}}
            writer.write(json.dumps(report).encode() + b"\n")
        writer.write(b'{"do":"nothing"}\n')
        await reader.readline()

    assert served.notices == [
        ("upload_restored", "upload"),
        ("upload_lost", "upload"),
        ("upload_restored", "upload"),
    ]


REPORTED = {
    "console": {"pages": 1},
    "upload": {"up": True, "acknowledged": 10**6, "duty_check": "n1"},
}


@pytest.mark.parametrize("subject", REPORTED)
async def test_no_local_peer_speaks_for_a_sibling(served: Served, subject: str) -> None:
    """Nobody keeps the surface horn silent by claiming a live page, and nobody lets announced work
    start by claiming that the county has the notice: not even under the house's own user.
    """
    report = {"do": "report", "subject": subject, "data": REPORTED[subject]}
    answer, _ = await _ask(served, report)

    assert answer == {"type": "error", "code": "not_permitted"}
    assert served.frames.reports == {}
    assert served.told == []


@pytest.mark.parametrize(("of", "about"), [("console", "upload"), ("upload", "console")])
async def test_a_sibling_reports_on_itself_alone(served: Served, of: str, about: str) -> None:
    """The console knows nothing of the broker, the publisher nothing of pages."""
    report = {"do": "report", "subject": about, "data": REPORTED[about]}
    async with _inherited(served, of) as (reader, writer):
        writer.write(json.dumps(report).encode() + b"\n")
        answer = json.loads(await reader.readline())

    assert answer == {"type": "error", "code": "not_permitted"}
    assert served.told == []


async def test_the_publisher_names_nobody(served: Served) -> None:
    """Its connection is trusted with the upload, not with people."""
    async with _inherited(served, "upload") as (_, writer):
        writer.write(json.dumps(_command(by="S005", origin="page:dispatch-1")).encode() + b"\n")
        while not served.commands:
            await asyncio.sleep(0)

    assert (served.commands[0].by, served.commands[0].origin.split(":")[0]) == ("", "local")


async def test_one_peer_cannot_flood_the_record(served: Served) -> None:
    """Eight commands of a peer may wait for the disk; the ninth is refused at the door."""
    reader, writer = await _connect(served)
    for number in range(9):
        writer.write(json.dumps(_command(id=str(number))).encode() + b"\n")
    reply = json.loads(await reader.readline())

    assert (reply["id"], reply["reasons"]) == ("8", ["busy"])
    assert len(served.commands) == 8


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rubbish=st.binary(max_size=200).map(lambda data: data.replace(b"\n", b" ")))
async def test_no_line_of_bytes_breaks_the_socket(served: Served, rubbish: bytes) -> None:
    """Whatever a line holds, the peer is answered or ignored and the socket lives."""
    _, writer = await _connect(served)
    writer.write(rubbish + b"\n")
    writer.close()
    answer, _ = await _ask(served, {"do": "nothing"})
    served.writers.pop().close()

    assert answer == {"type": "error", "code": "unknown_request"}
