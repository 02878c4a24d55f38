"""The client of the controller's socket: the merged view, commands, loss, malformed input."""

import asyncio
import json
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minewatch.client import WAITING_MAX, Client, Frame, UnreachableError, frame_now

entries = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 3), max_size=4)
frames = st.fixed_dictionaries({"cycle": st.integers(0, 9), "points": entries, "alarms": entries})


@given(before=frames, after=frames)
def test_delta_leads_from_one_frame_to_the_other(before: dict, after: dict) -> None:
    """A delta with the changed entries, and null for what is gone, gives the new full frame."""
    delta: dict = {"type": "delta", "cycle": after["cycle"]}
    for name in ("points", "alarms"):
        old, new = before[name], after[name]
        changed = {key: each for key, each in new.items() if old.get(key) != each}
        delta[name] = {**changed, **{key: None for key in old if key not in new}}
    frame = Frame().apply({"type": "full", **before})
    assert frame.apply(delta).body == after
    assert frame.body == before


def test_entry_is_replaced_whole_and_tables_within_are_merged(full) -> None:
    """A null inside an entry is a value; zones and lines change one by one."""
    frame = Frame().apply(full)
    point = {"value": None, "quality": "STALE", "sampled_ms": 4000, "last": 30, "level": 0}
    frame = frame.apply(
        {
            "type": "delta",
            "points": {"T1": point},
            "headcount": {"lo": 2, "zones": {"face": {"lo": 2, "hi": 3}, "heading": None}},
            "health": {"buses": {"b2": {"up": True}}},
        }
    )
    assert frame.section("points")["T1"] == point
    assert frame.section("headcount")["zones"] == {"face": {"lo": 2, "hi": 3}}
    assert frame.section("headcount")["hi"] == 4
    assert frame.section("health")["buses"] == {"b1": {"up": True}, "b2": {"up": True}}


def test_age_is_on_the_frames_own_clock(full) -> None:
    """Age = t_ms - sampled_ms; a point without a sample has none."""
    frame = Frame().apply(full)
    assert frame.age_ms("T1") == 1000
    assert frame.age_ms("T2") is None
    assert frame.age_ms("unknown") is None


@pytest.mark.parametrize("delta", [{"points": 5}, {"points": [1]}, {"headcount": "x"}])
def test_section_that_is_no_object_is_refused(full, delta) -> None:
    """A malformed delta raises and leaves the view as it was."""
    frame = Frame().apply(full)
    with pytest.raises(ValueError, match="no object"):
        frame.apply({"type": "delta", **delta})


def test_delta_before_any_full_frame_is_refused() -> None:
    """Nothing can be merged into nothing."""
    with pytest.raises(ValueError, match="before any full"):
        Frame().apply({"type": "delta", "cycle": 1})


async def test_watch_gives_the_frame_and_every_change(controller, until) -> None:
    """Full, delta and event arrive in order and `frame` is the view of each."""
    async with Client(controller.path) as client:
        watch = client.watch(people=True)
        assert (await anext(watch))["type"] == "full"
        assert controller.requests == [{"do": "watch", "people": True}]
        controller.send({"type": "delta", "cycle": 2, "alarms": {"A1": {"active": True}}})
        assert (await anext(watch))["cycle"] == 2
        assert client.frame.section("alarms") == {"A1": {"active": True}}
        controller.send({"type": "event", "index": 7})
        assert await anext(watch) == {"type": "event", "index": 7}


async def test_lost_controller_is_said_once_and_found_again(controller) -> None:
    """`lost` comes once however long it lasts; then a full frame of the new run."""
    async with Client(controller.path) as client:
        watch = client.watch()
        await anext(watch)
        await controller.stop()
        assert (await anext(watch))["type"] == "lost"
        waiting = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        controller.frame["run"] = "run-2"
        await controller.start()
        assert (await waiting)["run"] == "run-2"


async def test_silent_controller_is_lost_too(controller) -> None:
    """A connection that stays open but says nothing is no live view."""
    async with Client(controller.path) as client:
        watch = client.watch(quiet_s=0.2)
        await anext(watch)
        message = await anext(watch)
        assert message["type"] == "lost"
        assert "nothing heard" in message["error"]


async def test_command_is_answered_by_its_own_reply(controller) -> None:
    """Replies are matched by id; acceptance, reasons and index come through."""
    controller.reply = {"accepted": False, "reasons": ["no_second_name"], "index": 3}
    async with Client(controller.path) as client:
        replies = await asyncio.gather(*(client.command("silence", {}) for _ in range(5)))
    assert {each.reasons for each in replies} == {("no_second_name",)}
    assert not any(each.accepted for each in replies)
    assert len({each["id"] for each in controller.requests}) == 5


async def test_command_and_watch_share_a_connection(controller) -> None:
    """What the console inherits is one connection, for everything."""
    async with Client(controller.path) as client:
        watch = client.watch()
        await anext(watch)
        reply = await client.command("acknowledge", {"alarms": ["A1"]}, by="S001", origin="page:1")
        assert (reply.accepted, reply.index) == (True, 12)
        assert controller.connections == 1
        assert controller.requests[-1]["by"] == "S001"
        assert await client.report("upload", {"up": True})


async def test_no_controller_is_unreachable_at_once(tmp_path) -> None:
    """Without a socket a command fails at once and a report says False."""
    client = Client(tmp_path / "nothing")
    with pytest.raises(UnreachableError):
        await client.command("silence", {})
    assert not await client.report("upload", {})


async def test_missing_answer_is_unreachable(controller) -> None:
    """A controller that does not answer, or dies meanwhile, is no acceptance."""
    controller.reply = None
    async with Client(controller.path) as client:
        with pytest.raises(UnreachableError, match="no answer"):
            await client.command("silence", {}, timeout_s=0.1)
        asking = asyncio.ensure_future(client.command("silence", {}))
        await asyncio.sleep(0.05)
        await controller.stop()
        with pytest.raises(UnreachableError):
            await asking


async def test_oversize_command_is_refused_here(controller) -> None:
    """64 KiB is the limit of the socket; more is an error of the caller."""
    async with Client(controller.path) as client:
        with pytest.raises(ValueError, match="larger"):
            await client.command("close_out", {}, "x" * 70_000)


async def test_malformed_input_is_said_once_and_changes_nothing(controller) -> None:
    """Garbage between two messages is counted, said once, and the stream goes on."""
    said: list[str] = []
    async with Client(controller.path, say=said.append) as client:
        watch = client.watch()
        await anext(watch)
        garbage = [b"{", b"[]", b"5", b'{"type":"delta","points":7}', b'{"type":"reply"}', b"{}"]
        controller.send(*garbage, b"[" * 100_000, {"type": "delta", "cycle": 9})
        assert (await anext(watch))["cycle"] == 9
        assert client.malformed == len(garbage) + 1
    assert len(said) == 2
    assert "malformed" in said[0]
    assert "well formed again" in said[1]


async def test_endless_line_ends_the_connection_not_the_client(controller) -> None:
    """A line beyond 8 MiB is not collected; the client says so and connects again."""
    said: list[str] = []
    controller.scripted = b"x" * (9 * 1024 * 1024)
    async with Client(controller.path, say=said.append) as client:
        watch = client.watch()
        assert (await anext(watch))["type"] == "lost"
        controller.scripted = None
        assert (await anext(watch))["type"] == "full"
    assert len(said) == 2


async def test_slow_consumer_gets_the_whole_view_instead_of_a_backlog(controller, until) -> None:
    """Beyond the bound what was missed is replaced by one full frame that holds it all."""
    async with Client(controller.path) as client:
        watch = client.watch()
        await anext(watch)
        last = 3 * WAITING_MAX
        for cycle in range(2, last + 1):
            controller.send({"type": "delta", "cycle": cycle, "alarms": {f"A{cycle}": {}}})
        await until(lambda: client._view.body["cycle"] == last)
        seen = 0
        while client.frame.body["cycle"] < last:
            await anext(watch)
            seen += 1
        assert seen <= WAITING_MAX + 1
        assert len(client.frame.section("alarms")) == last - 1


async def test_inherited_connection_is_used_first(controller) -> None:
    """The console's descriptor carries watch and commands; when it ends the watch ends."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=theirs)
    serving = asyncio.ensure_future(controller.serve(reader, writer))
    async with Client(fd=ours.detach()) as client:
        watch = client.watch()
        assert (await anext(watch))["type"] == "full"
        assert client.inherited
        writer.close()
        assert (await anext(watch))["type"] == "lost"
        with pytest.raises(StopAsyncIteration):
            await anext(watch)
    serving.cancel()


async def test_refusal_of_the_socket_is_said(controller) -> None:
    """An `error` line is told, is no malformed input and is not passed to the watcher."""
    said: list[str] = []
    async with Client(controller.path, say=said.append) as client:
        watch = client.watch()
        await anext(watch)
        controller.send({"type": "error", "code": "too_many_watchers"}, {"type": "event"})
        assert (await anext(watch))["type"] == "event"
        assert client.malformed == 0
    assert said == ["the controller refused a request: too_many_watchers"]


async def test_one_frame_without_a_loop(controller) -> None:
    """The verbs get one merged frame and leave."""
    frame = await asyncio.to_thread(frame_now, controller.path)
    assert json.loads(json.dumps(dict(frame.body)))["cycle"] == 1


async def test_watcher_that_is_ended_as_a_message_comes_is_ended(controller) -> None:
    """Cancelling in the very turn that brings a message ends the watcher: it never waits on."""
    client = Client(controller.path)
    heard = []

    async def watch() -> None:
        async for message in client.watch():
            heard.append(message)

    watching = asyncio.create_task(watch())
    while not heard:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0)
    client._take(json.dumps({"type": "delta", "cycle": 2}).encode())
    watching.cancel()
    done, _ = await asyncio.wait({watching}, timeout=5)
    assert done
    assert watching.cancelled()
    await client.close()
