"""The hub: one slot a page, nothing old repeated, nobody named to strangers."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from minewatch.client import Frame
from minewatch.console.stream import CLIENTS_MAX, EventStream, Hub, Slot, sse, without_people


class Line:
    """A client of the controller that says what the test says."""

    def __init__(self) -> None:
        self.frame = Frame()
        self.reports: list[Any] = []
        self.messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    async def __aenter__(self) -> "Line":
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""

    async def watch(self, people: bool, quiet_s: float) -> AsyncIterator[dict[str, Any]]:
        """Yield what was put, until None."""
        while (message := await self.messages.get()) is not None:
            self.frame = self.frame.apply(message)
            yield message

    async def report(self, subject: str, data: dict[str, Any]) -> bool:
        """Remember a report."""
        self.reports.append((subject, data))
        return True


def full(**parts: Any) -> dict[str, Any]:
    """Return a full frame."""
    return {"type": "full", "t_ms": 1000, "wall_ms": 5000, "points": {"p": {"value": 1}}, **parts}


@pytest.fixture
def line() -> Line:
    """Return a line to a scripted controller."""
    return Line()


@pytest.fixture
def hub(line: Line) -> Hub:
    """Return a hub on that line, its clock standing still."""
    return Hub(lambda: line, lambda: 0.0)  # type: ignore[arg-type, return-value]


def take(hub: Hub, message: dict[str, Any]) -> None:
    """Let the hub take one message as if it had come from the controller."""
    hub.client.frame = hub.client.frame.apply(message)
    hub._take(message)


async def events_of(hub: Hub, slot: Slot, count: int, staff: bool = True) -> list[tuple[str, Any]]:
    """Return the next events of a page, heartbeats left out."""
    found: list[tuple[str, Any]] = []
    async for chunk in hub.events(slot, lambda: staff):
        kind, data = chunk.decode().strip().split("\n")
        if kind != "event: heartbeat":
            found.append((kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
        if len(found) == count:
            break
    return found


async def test_a_new_page_gets_the_whole_view_then_changes(hub: Hub) -> None:
    """The first event is the merged frame, later ones are deltas."""
    take(hub, full())
    slot = hub.join()
    assert slot is not None
    stream = hub.events(slot, lambda: True)
    first = (await anext(stream)).decode()
    assert first.startswith("event: full\n")
    assert (await anext(stream)).decode().startswith("event: heartbeat\n")
    take(hub, {"type": "delta", "t_ms": 2000, "points": {"p": {"value": 2}}})
    assert '"value":2' in (await anext(stream)).decode()
    await stream.aclose()  # type: ignore[attr-defined]


async def test_a_slow_page_gets_a_fresh_full_frame(hub: Hub) -> None:
    """Two changes while a page takes nothing become one full frame with both in it."""
    take(hub, full())
    slot = hub.join()
    assert slot is not None
    await events_of(hub, slot, 1)
    take(hub, {"type": "delta", "t_ms": 2000, "points": {"p": {"value": 2}}})
    take(hub, {"type": "delta", "t_ms": 3000, "points": {"q": {"value": 3}}})
    ((kind, body),) = await events_of(hub, slot, 1)
    assert kind == "full"
    assert body["points"] == {"p": {"value": 2}, "q": {"value": 3}}


async def test_login_and_logout_begin_the_view_anew(hub: Hub) -> None:
    """When somebody logs in or out in the middle of a stream, the next event is a full frame."""
    take(hub, full(people={"10001": {"zone": "face"}}))
    slot = hub.join()
    assert slot is not None
    staff = [True]
    stream = hub.events(slot, lambda: staff[0])
    assert "10001" in (await anext(stream)).decode()
    staff[0] = False
    found = [(await anext(stream)).decode() for _ in range(2)]
    last = next(each for each in found if each.startswith("event: full"))
    assert "10001" not in last
    await stream.aclose()  # type: ignore[attr-defined]


def test_pages_are_bounded(hub: Hub) -> None:
    """The 65th page is refused, and a page that left makes room."""
    slots = [hub.join() for _ in range(CLIENTS_MAX)]
    assert None not in slots
    assert hub.join() is None
    assert slots[0] is not None
    hub.leave(slots[0])
    assert hub.join() is not None


def test_strangers_see_no_badge_but_the_missing() -> None:
    """Without login people go out, except who a standing withdrawal misses."""
    body = full(
        people={"10001": {"zone": "a"}, "10002": {"zone": "b"}, "10003": None},
        withdrawals={"w": {"unaccounted": ["10002"]}},
    )
    shown = without_people(body, Frame().apply(body))
    assert shown["people"] == {"10002": {"zone": "b"}}
    assert body["people"].keys() == {"10001", "10002", "10003"}, "the frame itself is untouched"


def test_an_event_is_one_line_of_data() -> None:
    """Line breaks in a name cannot forge another event."""
    event = sse("full", {"name": "a\n\nevent: forged\ndata: {}"}).decode()
    assert event.count("\n") == 3
    assert event.count("event:") == 2  # the second one stands inside the JSON text


async def test_a_lost_controller_shows_as_growing_silence(line: Line) -> None:
    """`quiet_ms` counts on from the last frame; a lost controller never resets it."""
    now_s = [0.0]
    hub = Hub(lambda: line, lambda: now_s[0])  # type: ignore[arg-type, return-value]
    assert hub.quiet_ms is None
    assert not hub.alive
    take(hub, full())
    now_s[0] = 2.5
    assert hub.quiet_ms == 2500
    assert hub.alive
    hub._take({"type": "lost", "error": "gone"})
    now_s[0] = 3.5
    assert hub.quiet_ms == 3500
    assert not hub.alive


async def test_the_line_is_opened_again_after_it_ended(line: Line) -> None:
    """A watch that ends is begun anew; the inherited connection outlives its controller."""
    opened = []

    def connect() -> Any:
        opened.append(line)
        return line

    hub = Hub(connect)
    task = asyncio.create_task(hub.follow())
    await line.messages.put(full())
    await line.messages.put(None)
    await line.messages.put(full(t_ms=2000))
    while hub.frame.body.get("t_ms") != 2000:
        await asyncio.sleep(0.01)
    task.cancel()
    assert len(opened) == 2


async def test_open_pages_are_reported(hub: Hub, line: Line) -> None:
    """The controller learns how many live pages there are and which are heard (practice 15)."""
    hub.join("dispatch-2", audible=False)
    hub.join("dispatch-1")
    task = asyncio.create_task(hub.report())
    while not line.reports:
        await asyncio.sleep(0.01)
    task.cancel()
    heard = {"pages": 2, "audible": True, "terminals": ["dispatch-1"]}
    assert line.reports == [("console", heard)]


async def test_pages_that_nobody_hears_are_reported_as_such(hub: Hub, line: Line) -> None:
    """Muted pages are live, not heard: the corridor horn has to stand in for them."""
    hub.join("dispatch-1", audible=False)
    task = asyncio.create_task(hub.report())
    while not line.reports:
        await asyncio.sleep(0.01)
    task.cancel()
    assert line.reports == [("console", {"pages": 1, "audible": False, "terminals": []})]


async def test_a_page_that_went_away_frees_its_place(hub: Hub) -> None:
    """A disconnect ends the response and the slot."""
    take(hub, full())
    slot = hub.join()
    assert slot is not None
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    await EventStream(hub, slot, lambda: False)({}, receive, send)
    assert hub.pages == 0
    assert sent[0]["status"] == 200
