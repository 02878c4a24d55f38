"""The upload against a real mosquitto: what a county gets, in which order, and how it ends."""

import json

ROOT = "minewatch/v1/220181/220181004688/"


async def test_county_sees_a_living_mine(house, make_broker, listen, until) -> None:
    """After the start the county holds status, birth, snapshot, headcount and live readings."""
    broker = make_broker()
    county = listen(broker.port)
    house.configure(broker.url)
    house.publish_here()
    await until(lambda: len(county.of("live")) >= 3)
    await until(lambda: county.of("snapshot"))
    status = county.bodies("status")[-1]
    assert status["state"] == "online"
    assert status["controller"]["up"] is True
    assert county.bodies("birth")[0]["points"]["T1"]["limits"]["trip"] == 150
    assert county.bodies("snapshot")[0]["points"]["T1"][:2] == [30, "GOOD"]
    assert county.bodies("headcount")[0]["hi"] == 4
