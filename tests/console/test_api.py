"""The endpoints of the real server over loopback, with a scripted controller behind it."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

LogIn = Callable[[str], httpx.Client]


def act(client: httpx.Client, kind: str, arguments: dict[str, Any], **more: str) -> httpx.Response:
    """Ask for an act."""
    return client.post("/api/v1/command", json={"kind": kind, "arguments": arguments, **more})


def code_of(answer: httpx.Response) -> str:
    """Return the code of a refusal, which must carry both languages."""
    error = answer.json()["error"]
    assert error["zh"] != error["en"]
    assert "page." not in error["zh"] + error["en"], "the refusal has no words"
    return str(error["code"])


def test_the_page_is_whole_and_allows_nothing_foreign(web: httpx.Client) -> None:
    """The page and its files come from here, under a policy that loads nothing else."""
    page = web.get("/")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    for name in ("js/main.js", "css/base.css", "icon.svg"):
        assert web.get(f"/static/{name}").status_code == 200


def test_names_are_for_those_logged_in(web: httpx.Client, staff: LogIn) -> None:
    """Without login: counts, no names, no badges; with it: both (practice 26)."""
    stranger = web.get("/api/v1/mine").json()
    assert "people" not in stranger
    assert not any("name" in each for each in stranger["staff"].values())
    assert web.get("/api/v1/state").json()["people"] == {}
    client = staff("S001")
    known = client.get("/api/v1/mine").json()
    assert known["people"]["10001"]["name"]
    assert known["staff"]["S004"]["role"] == "chief_engineer"
    assert len(client.get("/api/v1/state").json()["people"]) == 120


def test_every_limit_shown_has_its_source(web: httpx.Client) -> None:
    """A point with a limit names the rule that it comes from."""
    points = web.get("/api/v1/mine").json()["points"]
    limited = [each for each in points if each["limits"]]
    assert limited
    assert all(each["citation"] for each in limited)


def test_both_languages_have_the_same_words(web: httpx.Client) -> None:
    """The catalogue comes whole, and an unknown language is refused."""
    zh = web.get("/api/v1/catalogue?lang=zh-CN").json()["texts"]
    en = web.get("/api/v1/catalogue?lang=en").json()["texts"]
    assert zh.keys() == en.keys()
    assert code_of(web.get("/api/v1/catalogue?lang=xx")) == "no_such_language"


def test_login_needs_the_right_pin(web: httpx.Client, pin: str) -> None:
    """A wrong PIN and an unknown code get the same answer; the cookie is out of scripts' reach."""
    wrong = web.post("/api/v1/login", json={"code": "S003", "pin": "0000"})
    unknown = web.post("/api/v1/login", json={"code": "S999", "pin": pin})
    assert (wrong.status_code, code_of(wrong)) == (403, "pin_wrong")
    assert wrong.json() == unknown.json()
    right = web.post("/api/v1/login", json={"code": "S003", "pin": pin})
    cookie = right.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert right.json()["role"] == "duty_leader"
    assert web.get("/api/v1/session").json()["code"] == "S003"
    web.post("/api/v1/logout", json={})
    assert web.get("/api/v1/session").json()["code"] is None


def test_acknowledging_takes_the_session_alone(staff: LogIn, served: Any) -> None:
    """One key acknowledges: no PIN, but a name, a terminal and our own page's token."""
    client = staff("S001")
    assert act(client, "acknowledge", {"alarms": ["A1"]}).json()["accepted"]
    sent = served.commands("acknowledge")[-1]
    assert (sent["by"], sent["origin"]) == ("S001", "page:dispatch-1")
    assert sent["arguments"] == {"alarms": ["A1"]}
    client.headers["x-csrf-token"] = "guessed"
    assert code_of(act(client, "acknowledge", {"alarms": ["A1"]})) == "csrf"


def test_other_acts_take_a_pin_each(staff: LogIn, served: Any, pin: str) -> None:
    """Being logged in is not enough to lower protection."""
    client = staff("S001")
    before = len(served.commands("release"))
    assert code_of(act(client, "release", {"outputs": ["cut_12301"]})) == "pin_needed"
    wrong = act(client, "release", {"outputs": ["cut_12301"]}, pin="0000")
    assert code_of(wrong) == "pin_wrong"
    assert len(served.commands("release")) == before
    assert act(client, "release", {"outputs": ["cut_12301"]}, pin=pin).status_code == 200
    assert served.commands("release")[-1]["by"] == "S001"


def test_a_second_name_may_act_on_the_same_page(staff: LogIn, served: Any, pin: str) -> None:
    """Code and PIN name the duty leader although the dispatcher is logged in."""
    client = staff("S001")
    assert act(client, "approve", {"approval": "P1"}, code="S003", pin=pin).status_code == 200
    assert served.commands("approve")[-1]["by"] == "S003"
    assert code_of(act(client, "approve", {"approval": "P1"}, code="S003")) == "login_needed"


def test_a_listed_terminal_raises_a_withdrawal_unnamed(web: httpx.Client, served: Any) -> None:
    """From this machine no login and no PIN is asked for, however often (practice 17)."""
    for _ in range(40):
        assert act(web, "withdraw", {"zones": ["mine"]}).status_code == 200
    sent = served.commands("withdraw")[-1]
    assert (sent["by"], sent["origin"]) == ("", "page:dispatch-1")
    refused = act(web, "withdraw", {"zones": ["mine"]}, terminal="not-listed")
    assert code_of(refused) == "login_needed"


def test_other_acts_are_throttled(staff: LogIn) -> None:
    """A burst is granted, then the page is asked to wait."""
    client = staff("S002")
    answers = [act(client, "acknowledge", {"alarms": ["A1"]}).status_code for _ in range(30)]
    assert answers[0] in (200, 429)
    assert answers[-1] == 429


def test_a_refusal_of_the_core_reaches_the_page(web: httpx.Client, served: Any) -> None:
    """Reasons are passed on as codes with status 409."""
    served.controller.reply = {"accepted": False, "reasons": ["unknown_zone:x"], "index": 7}
    answer = act(web, "withdraw", {"zones": ["x"]})
    served.controller.reply = {"accepted": True, "reasons": [], "index": 8}
    assert answer.status_code == 409
    assert answer.json() == {"accepted": False, "reasons": ["unknown_zone:x"], "index": 7}


MALFORMED: list[tuple[str, dict[str, Any], int, str]] = [
    (
        "no json",
        {"content": b"{", "headers": {"content-type": "application/json"}},
        400,
        "not_json",
    ),
    ("a list", {"json": [1]}, 400, "not_json"),
    ("a form", {"data": {"kind": "withdraw"}}, 415, "not_json"),
    ("nothing", {"json": {}}, 400, "malformed"),
    ("a number", {"json": {"kind": 7}}, 400, "malformed"),
    ("arguments", {"json": {"kind": "withdraw", "arguments": [1]}}, 400, "malformed"),
    ("reload", {"json": {"kind": "reload", "arguments": {}}}, 400, "unknown_act"),
    ("text", {"json": {"kind": "withdraw", "arguments": {}, "text": "x" * 501}}, 400, "malformed"),
    ("size", {"json": {"kind": "withdraw", "text": "x" * 70_000}}, 413, "body_too_large"),
    (
        "depth",
        {"content": b"[" * 30_000, "headers": {"content-type": "application/json"}},
        400,
        "not_json",
    ),
]


@pytest.mark.parametrize("case", MALFORMED, ids=[each[0] for each in MALFORMED])
def test_malformed_acts_change_nothing(
    case: tuple[str, dict[str, Any], int, str], web: httpx.Client, served: Any
) -> None:
    """Bad input gets a 4xx with words in both languages, and no command leaves."""
    _, request_, status, code = case
    before = len(served.controller.commands)
    answer = web.post("/api/v1/command", **request_)
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert len(served.controller.commands) == before


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"origin": "http://evil.example"}, "foreign_origin"),
        ({"origin": "null"}, "foreign_origin"),
        ({"sec-fetch-site": "cross-site"}, "foreign_origin"),
        ({"host": "evil.example"}, "foreign_host"),
        ({"host": "[::1"}, "foreign_host"),
    ],
)
def test_foreign_pages_cannot_act(
    headers: dict[str, str], code: str, web: httpx.Client, served: Any
) -> None:
    """Another origin, and another name for this machine, are turned away."""
    before = len(served.commands("withdraw"))
    answer = web.post(
        "/api/v1/command", json={"kind": "withdraw", "arguments": {}}, headers=headers
    )
    assert code_of(answer) == code
    assert len(served.commands("withdraw")) == before


def test_a_post_without_origin_is_no_page(served: Any) -> None:
    """A browser always says where a POST comes from."""
    answer = httpx.post(f"{served.url}/api/v1/login", json={"code": "S001", "pin": "x"})
    assert code_of(answer) == "foreign_origin"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/nothing", 404),
        ("/static/../auth.py", 404),
        ("/static/%2e%2e/auth.py", 404),
        ("/api/v1/command", 405),
        ("/api/v1/history?point=nobody", 404),
        ("/api/v1/history?point=12301_T1&hours=x", 400),
        ("/api/v1/history?point=12301_T1&hours=99999", 400),
        (f"/{'x' * 3000}", 414),
    ],
)
def test_wrong_addresses_get_words(path: str, status: int, web: httpx.Client) -> None:
    """Unknown paths, wrong methods and endless targets are refused as JSON."""
    answer = web.get(path)
    assert answer.status_code == status
    assert answer.json()["error"]["zh"]


@pytest.mark.parametrize(
    "raw",
    [b"\x00\xff\x16\x03\x01", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nA" + b"a" * 40_000],
)
def test_bytes_that_are_no_http(raw: bytes, web: httpx.Client, served: Any) -> None:
    """Whatever comes down the socket, the server answers the next request."""
    with socket.create_connection(("127.0.0.1", int(served.url.rsplit(":", 1)[1])), 5) as line:
        line.sendall(raw)
        line.settimeout(5)
        answer = line.recv(4096)
    assert not answer or answer.startswith(b"HTTP/1.1 4")
    assert web.get("/").status_code == 200


def test_refusals_are_logged_once(web: httpx.Client, served: Any) -> None:
    """A flood of the same refusal is one line in the log."""
    for _ in range(20):
        web.get("/api/v1/history?point=flood")
    lines = [json.loads(each) for each in served.log.read_text().splitlines()]
    assert sum("no_such_point" in each["message"] for each in lines) == 1


def test_health_and_metrics(web: httpx.Client) -> None:
    """Machines get the controller's health and the few gauges."""
    assert web.get("/healthz").json()["controller"] == "up"
    text = web.get("/metrics").text
    for row in (
        "minewatch_controller_up 1",
        'minewatch_headcount{bound="hi"} 120',
        'minewatch_points{state="bad"} 0',
        'minewatch_alarms{priority="1"} 0',
        "minewatch_durable_index 4711",
    ):
        assert row in text.splitlines()


def test_the_stream_speaks_at_once_and_beats(web: httpx.Client) -> None:
    """The first event is the whole view; a heartbeat follows within a second or so."""
    kinds: list[str] = []
    with web.stream("GET", "/api/v1/stream") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("event: "):
                kinds.append(line.removeprefix("event: "))
            if kinds.count("heartbeat") == 2:
                break
    assert kinds[0] == "full"
    assert "delta" in kinds


def test_the_process_stays_small(web: httpx.Client, served: Any) -> None:
    """At most 75 MB with the page, the words and the mine delivered and a PIN checked."""
    for path in ("/", "/api/v1/mine", "/api/v1/catalogue", "/api/v1/state"):
        web.get(path)
    status = Path(f"/proc/{served.server.pid}/status").read_text()
    rss_kb = int(next(each for each in status.splitlines() if each.startswith("VmRSS")).split()[1])
    assert rss_kb <= 75_000


def test_pages_are_counted_for_the_controller(web: httpx.Client, served: Any) -> None:
    """The report of open pages arrives at the controller."""
    served.until(lambda: served.controller.reports, "a report of open pages")
    assert served.controller.reports[-1]["subject"] == "console"
