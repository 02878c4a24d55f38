"""The upload against a real mosquitto: what a county gets, in which order, and how it ends."""

import asyncio
import json
import re
import signal
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

DOCS = Path(__file__).parents[2] / "docs"
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


async def test_live_says_what_changed_with_its_age(house, make_broker, listen, until) -> None:
    """A new value goes out once, with quality, age and level; unchanged points stay silent."""
    broker = make_broker()
    county = listen(broker.port)
    house.configure(broker.url)
    house.publish_here()
    await until(lambda: len(county.of("live")) >= 2)
    await asyncio.sleep(0.25)
    point = {"value": 152, "quality": "GOOD", "sampled_ms": 100_000, "last": 152, "level": 3}
    house.controller.change(points={"T1": point})
    found = await until(lambda: [b for b in county.bodies("live") if "T1" in b["points"]][1:])
    value, quality, age_ms, level = found[0]["points"]["T1"]
    assert (value, quality, level) == (152, "GOOD", 3)
    assert age_ms >= 0
    assert "T2" not in found[0]["points"]


async def test_every_message_validates_and_every_topic_is_documented(
    house, make_broker, listen, until, alarm_entry
) -> None:
    """What is published fits docs/schemas, and nothing stands in it that the schema leaves out."""
    broker = make_broker()
    county = listen(broker.port)
    house.configure(broker.url)
    house.record(5)
    house.sign()
    house.publish_here()
    await until(lambda: county.of("live") and county.of("checkpoint"))
    house.controller.change(alarms={"A1": alarm_entry()})
    await until(lambda: county.of("alarm"))
    acknowledged = alarm_entry(state="acknowledged", acknowledged_by="S001")
    house.controller.change(alarms={"A1": acknowledged})
    await until(lambda: len(county.of("alarm")) >= 2)
    house.controller.change(alarms={"A1": None})
    await until(lambda: not county.of("alarm")[-1].payload)
    questions = [
        {"want": "entries", "from": 0, "to": 5},
        {"want": "inclusion", "index": 2, "size": 5},
        {"want": "consistency", "old": 2, "new": 5},
        {"want": "inclusion", "index": 9, "size": 99},
    ]
    validator = _validator("request")
    for number, question in enumerate(questions):
        asked = {"client": "county-1", "id": f"q{number}", **question}
        validator.validate(asked)
        county.publish("request", json.dumps(asked).encode())
    await until(lambda: len(county.of("reply")) == len(questions))
    await until(lambda: len(county.of("event")) == 5)
    await until(lambda: county.of("snapshot"))
    await house.end_here()
    addresses = _addresses()
    kinds = set()
    for message in county.messages:
        assert any(address.fullmatch(message.topic) for address in addresses), message.topic
        kinds.add(message.stream)
        if message.payload and message.stream != "request":
            schema = _schema(message.stream)
            Draft202012Validator(schema).validate(message.body)
            assert set(message.body) <= set(schema["properties"]), message.topic
    assert kinds == {each.stem for each in (DOCS / "schemas").glob("*.json")}


def test_every_schema_is_one_and_stands_in_asyncapi() -> None:
    """The schema files are valid JSON Schema and are all referred to by asyncapi.yaml."""
    text = (DOCS / "asyncapi.yaml").read_text("utf-8")
    for path in (DOCS / "schemas").glob("*.json"):
        Draft202012Validator.check_schema(json.loads(path.read_text("utf-8")))
        assert f"./schemas/{path.name}" in text


async def test_alarm_is_retained_while_it_stands(
    house, make_broker, listen, until, alarm_entry
) -> None:
    """A county that comes later finds a standing alarm; of one that is gone nothing remains."""
    broker = make_broker()
    first = listen(broker.port, "first")
    house.configure(broker.url)
    house.publish_here()
    await until(lambda: first.of("live"))
    house.controller.change(alarms={"A1": alarm_entry()})
    await until(lambda: first.of("alarm"))
    house.controller.change(
        alarms={"A1": alarm_entry(state="acknowledged", acknowledged_by="S001")}
    )
    await until(lambda: len(first.of("alarm")) == 2)
    late = listen(broker.port, "late")
    found = (await until(lambda: late.of("alarm")))[0]
    assert found.retain
    assert found.body["acknowledged_by"] == "dispatcher"
    assert found.body["place"] == "face"
    assert [state for state, _ in found.body["states"]] == ["unacknowledged", "acknowledged"]
    assert "S001" not in found.payload.decode()
    house.controller.change(alarms={"A1": None})
    await until(lambda: not first.of("alarm")[-1].payload)
    assert first.of("alarm")[-2].body["closed"] is True
    last = listen(broker.port, "last")
    await until(lambda: last.of("status"))
    await until(lambda: last.of("live"))
    assert not last.of("alarm")


async def test_alarm_that_ended_while_we_were_away_is_taken_back(
    house, make_broker, listen, until, alarm_entry
) -> None:
    """A publisher that starts again takes back retained alarms that stand no more."""
    broker = make_broker()
    county = listen(broker.port)
    house.configure(broker.url)
    house.controller.frame["alarms"] = {"A1": alarm_entry()}
    house.publish_here()
    await until(lambda: county.of("alarm"))
    await house.end_here()
    house.controller.frame["alarms"] = {}
    house.publish_here()
    await until(lambda: not county.of("alarm")[-1].payload)


async def test_silent_controller_is_said_and_nothing_old_is_sent_as_live(
    house, make_broker, listen, until
) -> None:
    """When the controller goes, status says so, live stops, and events still go up."""
    broker = make_broker()
    county = listen(broker.port)
    house.configure(broker.url)
    house.publish_here()
    await until(lambda: county.of("live"))
    await house.controller.stop()
    down = await until(
        lambda: [b for b in county.bodies("status") if b["controller"]["up"] is False]
    )
    assert down[0]["state"] == "online"
    assert down[0]["trusted"] is False
    before = len(county.of("live"))
    house.record(3)
    await until(lambda: len(county.of("event")) == 3)
    await asyncio.sleep(1.0)
    assert len(county.of("live")) == before
    await house.controller.start()
    await until(lambda: len(county.of("live")) > before)
    assert county.bodies("status")[-1]["controller"]["up"] is True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_clean_stop_says_offline_and_no_will_fires(
    house, make_broker, listen, until, number
) -> None:
    """SIGTERM and SIGINT end with a numbered offline; the will (seq 0) is thrown away."""
    broker = make_broker()
    county = listen(broker.port)
    house.configure(broker.url)
    process = house.publish_apart()
    await until(lambda: county.of("live"))
    process.send_signal(number)
    assert await asyncio.to_thread(process.wait, 5) == 0
    await until(lambda: county.bodies("status")[-1]["state"] == "offline")
    await asyncio.sleep(0.3)
    assert all(body["seq"] for body in county.bodies("status"))


async def test_killed_publisher_is_declared_offline_by_its_will(
    house, make_broker, listen, until
) -> None:
    """kill -9 fires the retained will, with number 0 and this publisher's boot."""
    broker = make_broker()
    county = listen(broker.port)
    house.configure(broker.url)
    process = house.publish_apart()
    await until(lambda: county.of("live"))
    boot = county.bodies("live")[0]["boot"]
    process.kill()
    process.wait()
    will = (await until(lambda: [b for b in county.bodies("status") if b["seq"] == 0]))[0]
    assert (will["state"], will["boot"]) == ("offline", boot)
    Draft202012Validator(_schema("status")).validate(will)
    late = listen(broker.port, "late")
    assert (await until(lambda: late.of("status")))[0].body["seq"] == 0


async def test_controller_learns_how_the_upload_is(house, make_broker, until) -> None:
    """The controller is told `up` and its end, and that no broker is configured."""
    broker = make_broker()
    house.configure("")
    house.publish_here()
    await until(lambda: any(each["fault"] == "no_broker" for each in house.controller.reports))
    house.configure(broker.url)
    await until(lambda: house.controller.reports[-1]["up"] is True)
    broker.end(signal.SIGKILL)
    await until(lambda: house.controller.reports[-1]["up"] is False)
    last = house.controller.reports[-1]
    assert set(last) >= {"up", "since_ms", "backlog", "shed", "rejected", "fault"}


async def test_other_configuration_is_said(house, make_broker, listen, until) -> None:
    """A new active configuration gives a new birth and a status with its hash."""
    broker = make_broker()
    county = listen(broker.port)
    house.configure(broker.url)
    house.publish_here()
    await until(lambda: county.of("live"))
    house.configure(broker.url, headcount_limit=99)
    await until(lambda: county.bodies("birth")[-1]["mine"]["headcount_limit"] == 99)
    assert county.bodies("birth")[-1]["config"] == house.folder.active_hash()
    await until(lambda: county.bodies("status")[-1]["config"] == house.folder.active_hash())


async def test_free_text_and_names_stay_in_the_mine(house, make_broker, listen, until) -> None:
    """The leaf goes up, the text beside it does not; staff are roles."""
    broker = make_broker()
    county = listen(broker.port)
    house.configure(broker.url)
    house.record(4)
    house.publish_here()
    await until(lambda: len(county.of("event")) == 4 and county.of("birth"))
    everything = b"".join(each.payload for each in county.messages).decode()
    assert "张三" not in everything
    assert "张海" not in everything


async def test_malformed_requests_change_nothing_and_are_said_once(
    house, make_broker, listen, until, caplog
) -> None:
    """Garbage on the request topic gets no answer, one line in the log, and the upload goes on."""
    broker = make_broker()
    county = listen(broker.port)
    house.configure(broker.url)
    house.record(2)
    house.publish_here()
    await until(lambda: len(county.of("event")) == 2 and county.of("live"))
    garbage = [b"", b"{", b"[]", b"\xff\xfe", b'{"client":"../x","id":"1","want":"entries"}']
    garbage += [b"[" * 5000, b'{"client":"a","id":"1","want":"withdraw"}', b"null"]
    for each in garbage:
        county.publish("request", each)
    asked = {"client": "a", "id": "good", "want": "entries", "from": 0, "to": 2}
    county.publish("request", json.dumps(asked).encode())
    await until(lambda: [b for b in county.bodies("reply") if b["id"] == "good"])
    assert len(county.of("reply")) == 1
    assert len([r for r in caplog.records if "malformed request" in r.message]) == 1
    assert house.ledger.size == 2
    lives = len(county.of("live"))
    await until(lambda: len(county.of("live")) > lives)
    assert not any(each["do"] == "command" for each in house.controller.requests)


def _schema(name: str) -> dict:
    return json.loads((DOCS / "schemas" / f"{name}.json").read_text("utf-8"))


def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(_schema(name))


def _addresses() -> list[re.Pattern[str]]:
    text = (DOCS / "asyncapi.yaml").read_text("utf-8")
    addresses = re.findall(r"^ +address: (\S+)$", text, re.MULTILINE)
    return [re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(each))) for each in addresses]
