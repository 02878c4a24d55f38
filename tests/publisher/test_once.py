"""Events reach a subscriber exactly once after de-duplication, whatever dies on the way."""

import asyncio
import random
import signal

import pytest

EVENTS = 120


def _indices(county) -> list[int]:
    """Return the ledger indices that the county got, without duplicates, in order of arrival."""
    seen: dict[int, str] = {}
    for body in county.bodies("event"):
        index = body["seq"] - 1
        assert seen.setdefault(index, body["leaf"]) == body["leaf"]
    return list(seen)


async def test_events_arrive_in_order_and_are_not_sent_again(
    house, make_broker, listen, until
) -> None:
    """A second start of the publisher goes on where the first one was acknowledged."""
    broker = make_broker()
    county = listen(broker.port)
    house.configure(broker.url)
    house.record(EVENTS)
    house.publish_here()
    await until(lambda: len(county.of("event")) == EVENTS)
    assert [b["seq"] for b in county.bodies("event")] == list(range(1, EVENTS + 1))
    await house.end_here()
    house.record(3)
    house.publish_here()
    await until(lambda: len(county.of("event")) == EVENTS + 3)
    assert _indices(county) == list(range(EVENTS + 3))


async def test_backlog_is_marked_and_new_events_are_not(house, make_broker, listen, until) -> None:
    """What waited for the broker is `backfill`; what happens while it listens is not."""
    broker = make_broker()
    county = listen(broker.port)
    house.configure(broker.url)
    house.record(10)
    house.publish_here()
    await until(lambda: len(county.of("event")) == 10)
    house.record(2)
    await until(lambda: len(county.of("event")) == 12)
    assert [b["backfill"] for b in county.bodies("event")] == [True] * 10 + [False] * 2


async def test_broker_killed_and_back(make_world, until, alarm_entry) -> None:
    """kill -9 of the broker: events and alarms raised meanwhile arrive after its return.

    The publisher's line comes back after the subscriber's: a killed broker forgets subscribers.
    """
    world = await make_world()
    house, broker, proxy, county = world.house, world.broker, world.proxy, world.county
    house.record(20)
    house.publish_here()
    await until(lambda: len(county.of("event")) == 20)
    broker.end(signal.SIGKILL)
    await proxy.stop()
    house.record(30)
    house.controller.change(alarms={"A7": alarm_entry()})
    await until(lambda: house.controller.reports and not house.controller.reports[-1]["up"])
    await until(lambda: not county.client.is_connected())
    broker.start()
    await until(county.client.is_connected)
    await asyncio.sleep(0.2)
    await proxy.start()
    await until(lambda: set(_indices(county)) == set(range(50)), 30)
    await until(lambda: [b for b in county.bodies("alarm") if b["id"] == "A7"], 30)
    assert house.controller.reports[-1]["shed"] > 0


async def test_publisher_killed_again_and_again(house, make_broker, listen, until) -> None:
    """kill -9 of the publisher at random moments loses nothing."""
    broker = make_broker()
    county = listen(broker.port)
    house.configure(broker.url)
    chance = random.Random(7)
    for _ in range(4):
        process = house.publish_apart()
        house.record(40)
        await asyncio.sleep(chance.uniform(0.3, 1.0))
        process.kill()
        process.wait()
    house.publish_here()
    await until(lambda: len(set(_indices(county))) == 160, 30)
    assert set(_indices(county)) == set(range(160))


async def test_link_cut_again_and_again(make_world, until) -> None:
    """Cutting the line while messages fly gives duplicates at most, never a hole."""
    world = await make_world()
    house, proxy, county = world.house, world.proxy, world.county
    house.record(50)
    house.publish_here()
    for cut in range(3):
        await until(lambda cut=cut: proxy.connections > cut)
        house.record(50)
        await asyncio.sleep(0.15)
        proxy.cut()
    await until(lambda: len(set(_indices(county))) == 200, 30)


@pytest.mark.parametrize("answer", [b"\x20\x02\x00\x01", b""], ids=["refused", "closed"])
async def test_broker_that_speaks_only_3_1_1(make_world, until, answer) -> None:
    """A broker that refuses MQTT 5, or closes without a word, is spoken to in 3.1.1."""
    world = await make_world(answer)
    house = world.house
    house.record(30)
    house.publish_here()
    await until(lambda: len(world.county.of("event")) == 30)
    assert world.proxy.refused == 1
    report = await until(lambda: [r for r in house.controller.reports if r["up"]])
    assert report[0]["protocol"] == "3.1.1"


async def test_every_number_of_alarms_arrives_through_an_outage(
    house, make_broker, listen, until, alarm_entry
) -> None:
    """Alarms raised without a broker wait in the outbox; their numbers have no gap."""
    broker = make_broker()
    broker.end()
    house.configure(broker.url)
    outbox = house.publish_here()
    for number in range(5):
        house.controller.change(alarms={f"A{number}": alarm_entry()})
    await until(lambda: outbox.rows >= 5)
    broker.start()
    county = listen(broker.port)
    await until(lambda: len({b["id"] for b in county.bodies("alarm")}) == 5, 30)
    await until(lambda: len(county.of("live")) > 1, 30)
    numbers = {b["seq"] for b in county.bodies("alarm")}
    assert numbers == set(range(1, max(numbers) + 1))
    waited = [b for b in county.bodies("alarm") if b.get("backfill")]
    assert len(waited) == 5


async def test_damaged_ledger_does_not_stop_alarms(
    house, make_broker, listen, until, alarm_entry
) -> None:
    """A ledger that cannot be read is a fault in the report; the rest goes on."""
    broker = make_broker()
    county = listen(broker.port)
    house.configure(broker.url)
    house.ledger.close()
    path = house.folder.ledger / "ledger.db"
    for each in house.folder.ledger.glob("ledger.db*"):
        each.unlink()
    path.write_bytes(b"not a database at all" * 100)
    house.publish_here()
    await until(lambda: county.of("live"))
    house.controller.change(alarms={"A1": alarm_entry()})
    await until(lambda: county.of("alarm"))
    await until(lambda: any(r["fault"] == "ledger" for r in house.controller.reports))


async def test_full_disk_of_the_outbox_does_not_stop_the_upload(
    house, make_broker, listen, until, alarm_entry
) -> None:
    """An outbox that takes nothing is a fault in the report; alarms, events and live go on."""
    broker = make_broker()
    county = listen(broker.port)
    house.configure(broker.url)
    outbox = house.publish_here(full=True)
    await until(lambda: county.of("live"))
    house.record(5)
    house.controller.change(alarms={f"A{n}": alarm_entry() for n in range(200)})
    await until(lambda: len(county.of("event")) >= 5)
    await until(lambda: outbox.fault)
    await until(lambda: any(r["fault"] == "outbox" for r in house.controller.reports))
    lives = len(county.of("live"))
    await until(lambda: len(county.of("live")) > lives + 1)
    assert {b["id"] for b in county.bodies("alarm")}
