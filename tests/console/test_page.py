"""The page in a real Chromium: every state, both languages, both screens, and what keys do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Route

from minewatch.model.mine import Mine

CHROMIUM = Path("/usr/bin/chromium")
SCENES = ("normal", "pre_alarm", "failed", "stale", "over_limit", "withdrawal")
SIZES = ((1920, 1080), (1366, 768))

SILENCE_AT_THE_BANNER = """async () => {
    const { store } = await import("/static/js/store.js");
    return new Promise((resolve) => {
        new MutationObserver((_, observer) => {
            if (!document.querySelector(".banner.bad")) return;
            observer.disconnect();
            resolve(performance.now() - store.heardAt);
        }).observe(document.body, { subtree: true, childList: true });
    });
}"""
"""Resolves to the ms since the last frame at the moment when the banner appears."""

OpenPage = Callable[..., Page]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed"),
]


def log_in(page: Page, code: str, pin: str) -> None:
    """Log in as a dispatcher does."""
    page.click(".who")
    page.fill("#field-code", code)
    page.fill("#field-pin", pin)
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog", state="detached")
    page.locator(".who", has_text="·").wait_for()


def arrive(page: Page, served: Any, kind: str, count: int) -> None:
    """Wait, with the page running, until so many commands of a kind have arrived in all."""
    for _ in range(200):
        if len(served.commands(kind)) >= count:
            return
        page.wait_for_timeout(25)
    pytest.fail(f"{kind} was not sent")


def sits_on_one_screen(page: Page) -> bool:
    """Say whether the page needs no scrolling and no panel runs out of the window."""
    return bool(
        page.evaluate(
            """() => {
            const root = document.documentElement;
            const inside = [...document.querySelectorAll('.panel, #bar, footer')].every((each) => {
              const box = each.getBoundingClientRect();
              return box.left >= 0 && box.top >= 0 && box.width > 40 && box.height > 10
                && box.right <= innerWidth + 1 && box.bottom <= innerHeight + 1;
            });
            return inside && root.scrollWidth <= innerWidth && root.scrollHeight <= innerHeight;
        }"""
        )
    )


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("size", SIZES, ids=["1920", "1366"])
def test_every_state_sits_on_one_screen(
    size: tuple[int, int], language: str, open_page: OpenPage, served: Any
) -> None:
    """No state scrolls, in no language; `lang` says which; no key of the catalogue shows raw."""
    page = open_page("normal", size, language)
    for scene in SCENES:
        served.play(scene)
        page.wait_for_timeout(400)
        assert sits_on_one_screen(page), scene
        assert page.get_attribute("html", "lang") == language
        assert "page." not in page.inner_text("body"), scene


def test_grey_is_normal(open_page: OpenPage) -> None:
    """With nothing wrong no alarm, level, doubt or banner is marked anywhere."""
    page = open_page("normal")
    assert page.locator(".alarm, .banner, [data-level], .point[data-trust=bad]").count() == 0
    assert page.locator("#bar .count[data-none]").count() == 4
    assert "无报警" in str(page.get_attribute("#alarm-list", "data-empty"))
    assert page.inner_text("#bar .cell.people b") == "120"


def test_a_trip_shows_where_what_and_whether_it_was_cut(open_page: OpenPage) -> None:
    """The refused cut stands in the list, on the map and in the interlock panel, in words."""
    page = open_page("failed")
    first = page.locator(".alarm").first
    assert "12301工作面甲烷T1" in first.inner_text()
    assert "首发" in first.inner_text()
    assert "拒动" in first.inner_text()
    assert page.locator('.mine .power_cut[data-state="failed"]').count() == 1
    assert page.locator('.mine .power_cut[data-state="dead"]').count() == 1
    assert "断电失败(拒动)" in page.locator(".output").first.inner_text()
    assert page.locator('.mine .chip[data-level="3"]').count() == 1
    assert "1.62" in page.locator(".point").nth(1).inner_text()


def test_an_unbelieved_value_is_a_word_not_a_number(open_page: OpenPage) -> None:
    """A silent head shows its quality and no number, first in the table; the clock is doubted."""
    page = open_page("stale")
    row = page.locator(".point", has_text="12302工作面甲烷T1")
    assert "通信中断" in row.inner_text()
    assert "—" in row.inner_text()
    assert page.locator(".mine .chip[data-trust=bad]").count() >= 4
    assert "未校时" in page.inner_text("#bar .clock")
    assert "断传" in page.inner_text("#bar .upload")


def test_doubt_about_people_is_an_interval_with_its_reason(open_page: OpenPage) -> None:
    """129–133 of 130, with what the gate counted against what was read."""
    page = open_page("over_limit")
    text = page.inner_text("#people")
    assert "129–133" in text
    assert "闸机 9，读卡 7" in text
    assert "可能超员" in text
    assert page.locator('.zone-row[data-state="bad"]').count() == 1


def test_a_withdrawal_shows_clock_count_and_who_is_missing(open_page: OpenPage) -> None:
    """The order's stopwatch, people still inside, the missing badge with its last place."""
    page = open_page("withdrawal")
    text = page.inner_text("#withdraw")
    for words in ("01:3", "17", "失联 1", "识别卡 10019", "12301读卡分站", "禁止入井"):
        assert words in text
    assert page.locator('.mine .cover[data-hatch="withdraw"]').count() == 4
    assert page.locator("#withdraw .missing p").first.bounding_box() is not None


@pytest.mark.parametrize(
    ("language", "words"),
    [("zh-CN", "局部通风机停风 12303掘进工作面"), ("en", "local fans stopped: 12303掘进工作面")],
)
def test_stopped_fans_are_named_as_the_cause_of_a_withdrawal(
    open_page: OpenPage, served: Any, language: str, words: str
) -> None:
    """Why the heading leaves, by the heading's name, in the withdrawal and in the alarm's row."""

    def scene(frame: dict[str, Any], mine: Mine) -> None:
        fans = {
            "zone": "heading_12303", "main": "12303_FAN1", "standby": "12303_FAN2", "running": [],
            "carrier": "12303_FAN1", "stopped_since_ms": frame["t_ms"] - 20_000,
            "cuts_at_ms": None, "outputs": [],
            "restart": {"state": "blocked", "reasons": [], "output": None},
        }  # fmt: skip
        served.fake.withdrawal(frame, mine)
        frame["local_fans"] = {"fans_12303": fans}
        frame["withdrawals"]["w1"]["cause"] = "fan:fans_12303"
        row = served.fake.alarm(frame, "fans_stopped", 1, "fans_12303", "heading_12303")
        frame["alarms"] = {"a1": row}

    page = open_page(scene, language=language)
    assert words in page.inner_text("#withdraw")
    assert "fans_12303" not in page.inner_text("body")


def test_a_dead_stream_greys_within_three_seconds(open_page: OpenPage, served: Any) -> None:
    """The controller falls silent while the console lives: banner, grey, ages that count on."""
    page = open_page("failed")
    served.mute(True)
    silent_ms = page.evaluate(SILENCE_AT_THE_BANNER)
    assert silent_ms <= 3000
    assert "数据中断" in page.inner_text("#banners")
    assert "grayscale" in page.evaluate("getComputedStyle(document.querySelector('#gas')).filter")
    age = page.inner_text("#bar .cell.age b")
    page.wait_for_timeout(1200)
    assert page.inner_text("#bar .cell.age b") != age
    served.mute(False)
    page.wait_for_selector(".banner.bad", state="detached", timeout=4000)


def test_one_key_acknowledges_the_first_alarm(open_page: OpenPage, served: Any, pin: str) -> None:
    """A, and the space bar, send one acknowledgement each, by name and without another question."""
    page = open_page("failed")
    log_in(page, "S001", pin)
    for key in ("a", "Space"):
        before = len(served.commands("acknowledge"))
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press(key)
        arrive(page, served, "acknowledge", before + 1)
    sent = served.commands("acknowledge")[-1]
    assert sent["arguments"] == {"alarms": ["a1"]}
    assert sent["by"] == "S001"
    assert page.locator("dialog").count() == 0


def test_acknowledging_without_login_asks_who(open_page: OpenPage, served: Any) -> None:
    """Nobody acknowledges unnamed: the key opens the login instead."""
    page = open_page("failed")
    before = len(served.commands("acknowledge"))
    page.keyboard.press("a")
    page.wait_for_selector("#field-pin")
    assert len(served.commands("acknowledge")) == before


def test_a_withdrawal_is_raised_by_holding_alone(open_page: OpenPage, served: Any) -> None:
    """A click does nothing; two seconds of holding order the suggested zone, without login."""
    page = open_page("failed")
    before = len(served.commands("withdraw"))
    page.click(".hold")
    box = page.locator(".hold").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.wait_for_timeout(1200)
    page.mouse.up()
    page.wait_for_timeout(1000)
    assert len(served.commands("withdraw")) == before
    page.mouse.down()
    arrive(page, served, "withdraw", before + 1)
    page.mouse.up()
    assert served.commands("withdraw")[-1]["arguments"] == {"zones": ["face_12301"]}


def test_the_keyboard_can_hold_it_too(open_page: OpenPage, served: Any) -> None:
    """Space held on the focused button raises a withdrawal of the whole mine when all is calm."""
    page = open_page("normal")
    before = len(served.commands("withdraw"))
    page.focus(".hold")
    page.keyboard.down("Space")
    arrive(page, served, "withdraw", before + 1)
    page.keyboard.up("Space")
    assert served.commands("withdraw")[-1]["arguments"] == {"zones": ["mine"]}


def test_monitor_mode_says_that_nothing_sounds(open_page: OpenPage, mine: Mine) -> None:
    """In `monitor` the button itself says that people must be told by telephone."""

    def monitor(frame: dict[str, Any], _: Mine) -> None:
        frame["mode"] = "monitor"

    page = open_page(monitor)
    assert "本系统不驱动警报器，请立即电话、广播通知。" in page.inner_text("#withdraw")


def test_a_release_takes_hand_value_pin_and_names(
    open_page: OpenPage, served: Any, pin: str
) -> None:
    """The forms send integers in the smallest unit, the whole form of outputs, and who it was."""
    page = open_page("failed")
    row = page.locator(".output").first
    row.get_by_role("button", name="人工检测值").click()
    page.fill("#field-value", "0.725")
    page.fill("#field-code", "S007")
    page.fill("#field-pin", pin)
    page.keyboard.press("Enter")
    page.locator(".problem", has_text="2 位小数").wait_for()
    page.fill("#field-value", "0.72")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog", state="detached")
    sent = served.commands("hand_value")[-1]
    assert (sent["by"], sent["arguments"]) == ("S007", {"point": "12301_T1", "value": 72})
    row.get_by_role("button", name="解锁").click()
    assert "未低于复电浓度" in page.inner_text("dialog")
    page.fill("#field-code", "S001")
    page.fill("#field-pin", pin)
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog", state="detached")
    assert served.commands("release")[-1]["arguments"] == {"outputs": ["cut_12301"]}


def test_an_alarm_is_closed_out_with_cause_and_measure(
    open_page: OpenPage, served: Any, pin: str
) -> None:
    """The form wants a measure in words and sends cause and text."""
    page = open_page("failed")
    page.locator(".alarm", has_text="12302回风巷").get_by_role("button").click()
    page.select_option("#field-cause", "ventilation")
    page.fill("#field-code", "S001")
    page.fill("#field-pin", pin)
    page.locator("dialog button[type=submit]").click()
    assert "措施" in page.inner_text(".problem")
    page.fill("#field-measure", "调整风量")
    page.locator("dialog button[type=submit]").click()
    page.wait_for_selector("dialog", state="detached")
    sent = served.commands("close_out")[-1]
    assert sent["arguments"] == {"alarms": ["a3"], "cause": "ventilation"}
    assert sent["text"] == "调整风量"


def test_a_second_name_approves_from_the_inbox(open_page: OpenPage, served: Any, pin: str) -> None:
    """What waits for a second name is listed and approved with that person's PIN."""
    page = open_page("withdrawal")
    page.click(".inbox")
    assert "解锁" in page.inner_text("dialog")
    page.fill("#field-code", "S003")
    page.fill("#field-pin", pin)
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog", state="detached")
    sent = served.commands("approve")[-1]
    assert (sent["by"], sent["arguments"]) == ("S003", {"approval": "p1"})


def test_the_roster_prints_names_for_staff_alone(open_page: OpenPage, pin: str) -> None:
    """Paper carries names only after login, with the missing person marked."""
    page = open_page("withdrawal")
    page.evaluate("window.print = () => {}")
    page.locator("#people .tool").click()
    assert "未登录" in str(page.text_content("#roster"))
    log_in(page, "S001", pin)
    page.evaluate("window.print = () => {}")
    page.locator("#people .tool").click()
    assert "★失联" in str(page.text_content("#roster"))
    page.emulate_media(media="print")
    assert page.is_visible("#roster")
    assert not page.is_visible("main")


def test_hostile_names_stay_text(open_page: OpenPage) -> None:
    """Markup in ids, codes and people never becomes an element or runs."""
    evil = '<img src=x onerror="document.title=1">'

    def hostile(frame: dict[str, Any], _: Mine) -> None:
        import_alarm = {"kind": evil, "priority": 1, "source": evil, "zone": evil, "value": None}
        times = {"raised_ms": 1, "raised_wall_ms": 1, "limit": None, "peak": None}
        flags = {"active": True, "acknowledged_by": evil, "closed": False, "first_out": True}
        rest = {"state": "unacknowledged", "occurrences": 2, "planned": False}
        frame["alarms"][evil] = import_alarm | times | flags | rest
        frame["headcount"]["reasons"] = [{"code": evil, "source": evil, "count": 1}]
        frame["version"] = evil

    page = open_page(hostile)
    page.wait_for_selector(".alarm")
    assert evil in page.inner_text(".alarm")
    assert page.locator("img").count() == 0
    assert page.title() != "1"


def test_the_language_switches_in_place(open_page: OpenPage) -> None:
    """One click changes every label, and the choice is remembered."""
    page = open_page("failed")
    page.get_by_role("button", name="English").click()
    page.wait_for_selector("html[lang=en]")
    assert "failed actuation" in page.inner_text("#alarms")
    page.reload()
    page.wait_for_selector("html[lang=en] .alarm")


def test_sound_waits_for_a_click_and_proves_itself(open_page: OpenPage) -> None:
    """Until somebody enables it the page says that it is mute."""
    page = open_page("normal")
    assert page.inner_text(".sound") == "启用声音"
    page.click(".sound")
    page.locator(".sound", has_text="试音").wait_for()


def test_a_point_opens_its_trend_and_acts(open_page: OpenPage) -> None:
    """A click on a value shows limits with their source, a curve, and what can be done there."""

    def quiet_history(route: Route) -> None:
        body = '{"wall_ms":[1773254830000],"low":[31],"high":[31],"quality":[0],"damaged":0}'
        route.fulfill(status=200, content_type="application/json", body=body)

    page = open_page("normal")
    page.route("**/api/v1/history*", quiet_history)
    page.locator(".point", has_text="12301工作面甲烷T1").click()
    page.wait_for_selector("dialog .chart svg path", state="attached")
    text = page.inner_text("dialog")
    for words in ("断电浓度", "1.50 %CH4", "标校", "人工监测", "停用(屏蔽)"):
        assert words in text
