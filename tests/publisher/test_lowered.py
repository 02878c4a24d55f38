"""What lowers protection reaches the county, or waits for it, at once; its receipt comes back."""

import signal

from minewatch.model.canonical import canonical

WITHIN_S = 10.0
"""A minute is allowed (I14); it takes a moment."""


def _record(house, kind: str, **data) -> int:
    """Append one entry as the controller's store thread does; return its index."""
    index = house.ledger.size
    leaf = {"cycle": index, "data": data, "kind": kind, "t_ms": index, "trusted": True, "v": 1}
    house.ledger.append([(canonical({**leaf, "wall_ms": 1_700_000_000_000}), "线路检修")])
    return index


async def test_a_bypass_is_with_the_county_at_once(house, make_broker, listen, until) -> None:
    """Its entry with both names goes out in order, `status` counts it; its reason stays here."""
    broker = make_broker()
    county = listen(broker.port)
    house.configure(broker.url)
    house.publish_here()
    await until(lambda: county.of("live"))
    said = {"by": "S004", "minutes": 60, "point": "T1", "second": "S003"}
    _record(house, "bypass_started", **said)
    entry = {"by": "S004", "second": "S003", "until_ms": 10**9}
    house.controller.change(bypasses={"T1": entry})
    await until(lambda: county.bodies("status")[-1]["counts"]["bypassed"] == 1, WITHIN_S)
    (told,) = await until(
        lambda: [b for b in county.bodies("event") if "bypass_started" in b["leaf"]], WITHIN_S
    )
    assert '"second":"S003"' in told["leaf"]
    assert "线路检修" not in str(told)


async def test_a_bypass_waits_for_a_county_that_is_away(house, make_broker, listen, until) -> None:
    """Without a broker it stays queued in the ledger's stream and is the first to arrive after."""
    broker = make_broker()
    house.configure(broker.url)
    house.publish_here()
    await until(lambda: any(each["up"] for each in house.controller.reports))
    broker.end(signal.SIGKILL)
    await until(lambda: house.controller.reports[-1]["up"] is False)
    index = _record(house, "bypass_started", point="T1")
    await until(lambda: house.controller.reports[-1]["backlog"] >= 1, WITHIN_S)
    assert house.controller.reports[-1]["acknowledged"] == index
    broker.start()
    county = listen(broker.port)
    await until(lambda: county.of("event"), 60)
    assert "bypass_started" in county.bodies("event")[-1]["leaf"]


async def test_the_controller_hears_what_the_broker_has(house, make_broker, until) -> None:
    """Every entry that the broker acknowledged is reported soon: planned work waits for it."""
    broker = make_broker()
    house.configure(broker.url)
    house.publish_here()
    await until(lambda: any(each["up"] for each in house.controller.reports))
    for _ in range(3):
        index = _record(house, "notice_given", notice="N1")
        await until(
            lambda index=index: house.controller.reports[-1]["acknowledged"] == index + 1, WITHIN_S
        )
