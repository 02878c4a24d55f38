"""The link's faults: refused by rights or by name, certificates, a broker that falls silent."""

import asyncio
import json
import socket

from minewatch.model.mine import Upload
from minewatch.publisher import publisher as publisher_module


async def test_refused_topic_is_a_fault_and_nothing_is_lost(
    house, make_broker, listen, until, tmp_path
) -> None:
    """`Not authorized` is told to the controller; events stay unsent, the rest goes on."""
    rights = tmp_path / "rights"
    rights.write_text(
        "topic read minewatch/#\ntopic write minewatch/+/+/+/status\n"
        "topic write minewatch/+/+/+/live\n"
    )
    broker = make_broker(f"allow_anonymous true\nacl_file {rights}")
    county = listen(broker.port)
    house.configure(broker.url)
    house.record(3)
    house.publish_here()
    await until(lambda: county.of("live"), 30)
    await until(lambda: any(r["fault"] == "not_authorized" for r in house.controller.reports))
    report = [r for r in house.controller.reports if r["fault"] == "not_authorized"][-1]
    assert report["up"] is False
    assert report["rejected"] > 0
    assert report["backlog"] >= 3
    assert not county.of("event")


async def test_wrong_password_is_a_fault_with_its_name(house, make_broker, until, tmp_path) -> None:
    """A broker that refuses the name or the password is told apart from one that is away."""
    (tmp_path / "secret").write_text("wrong\n")
    broker = make_broker("allow_anonymous false")
    upload = Upload("county", broker.url, "mine", str(tmp_path / "secret"))
    house.configure(broker.url, uploads=(upload,))
    house.publish_here()
    await until(
        lambda: any(
            r["fault"] in {"not_authorized", "bad_user_name_or_password"}
            for r in house.controller.reports
        )
    )


async def test_missing_secret_is_a_fault_and_no_crash(house, make_broker, until) -> None:
    """A password file that is not there keeps the link down, tried again, never without it."""
    broker = make_broker()
    upload = Upload("county", broker.url, "mine", "/nowhere/secret")
    house.configure(broker.url, uploads=(upload,))
    house.publish_here()
    await until(lambda: any(r["fault"] == "unreachable" for r in house.controller.reports))


async def test_mutual_tls_confines_a_mine_to_its_topics(
    house, make_broker, until, certificates, tmp_path
) -> None:
    """With its certificate a mine uploads; with another mine's it is refused by the broker."""
    rights = tmp_path / "rights"
    rights.write_text("pattern readwrite minewatch/v1/+/%u/#\n")
    broker = make_broker(
        f"cafile {certificates}/ca.pem\ncertfile {certificates}/server.pem\n"
        f"keyfile {certificates}/server.key\nrequire_certificate true\n"
        f"use_identity_as_username true\nacl_file {rights}"
    )
    url = broker.url.replace("mqtt:", "mqtts:")
    house.record(3)
    for client, expected in (("other", "not_authorized"), ("mine", "")):
        upload = Upload(
            "county",
            url,
            ca_file=f"{certificates}/ca.pem",
            certificate_file=f"{certificates}/{client}.pem",
            key_file=f"{certificates}/{client}.key",
        )
        house.configure(url, uploads=(upload,))
        if client == "other":
            house.publish_here()
        await until(
            lambda wanted=expected: (
                house.controller.reports[-1:] and (house.controller.reports[-1]["fault"] == wanted)
            )
        )
    await until(lambda: house.controller.reports[-1]["backlog"] == 0)


async def test_unknown_authority_is_not_trusted(house, make_broker, until, certificates) -> None:
    """Without the CA the broker's certificate is refused: a fault `tls`, nothing is sent."""
    broker = make_broker(
        f"cafile {certificates}/ca.pem\ncertfile {certificates}/server.pem\n"
        f"keyfile {certificates}/server.key\nallow_anonymous true"
    )
    house.configure(broker.url.replace("mqtt:", "mqtts:"))
    house.publish_here()
    await until(lambda: any(r["fault"] == "tls" for r in house.controller.reports))
    assert not any(r["up"] for r in house.controller.reports)


async def test_broker_that_acknowledges_nothing_is_left(
    house, make_world, until, monkeypatch
) -> None:
    """A line that swallows everything is cut after the limit and dialled again."""
    monkeypatch.setattr(publisher_module, "ACK_WITHIN_MS", 500)
    world = await make_world()
    house.publish_here()
    await until(lambda: world.county.of("live"))
    world.proxy.swallow()
    house.record(3)
    await until(lambda: world.proxy.connections >= 2)
    await until(lambda: len(world.county.of("event")) >= 3)


async def test_second_client_under_our_id_is_a_fault(house, make_broker, listen, until) -> None:
    """Sessions that are taken over again and again are told apart from a broker that is away."""
    broker = make_broker()
    house.configure(broker.url)
    outbox = house.publish_here()
    await until(lambda: any(r["up"] for r in house.controller.reports))
    listen(broker.port, f"minewatch-220181004688-{outbox.install}")
    await until(lambda: any(r["fault"] == "unstable" for r in house.controller.reports), 30)


async def test_broker_that_never_answers_does_not_hold_up_the_end(house, until) -> None:
    """A host that accepts and stays silent neither blocks the loop nor a clean stop."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        house.configure(f"mqtt://127.0.0.1:{silent.getsockname()[1]}")
        house.publish_here()
        await until(lambda: house.controller.reports)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await house.end_here()
        assert loop.time() - began_s < 5


async def test_reports_go_over_the_inherited_connection_alone(house, until) -> None:
    """What a supervisor handed over carries them, again after a loss; the open socket carries none.

    A controller believes nobody else what the county has acknowledged.
    """
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=theirs)
    house.configure("mqtt://127.0.0.1:9")
    house.publish_here(fd=ours.fileno())
    report = json.loads(await asyncio.wait_for(reader.readline(), 10))
    assert (report["do"], report["subject"]) == ("report", "upload")
    writer.write_eof()
    again = json.loads(await asyncio.wait_for(reader.readline(), 15))
    assert again["subject"] == "upload"
    assert house.controller.reports == []
    await house.end_here()
    writer.close()
    ours.close()
