"""What is out of its normal protection: in words, with who and until when, and its act."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from minewatch.model.mine import Mine

OpenPage = Callable[..., Page]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="Chromium is not installed"),
]


def special(frame: dict[str, Any], _mine: Mine) -> None:
    """Put one of each special state into a frame."""
    t_ms = frame["t_ms"]
    later = t_ms + 900_000
    frame["bypasses"] = {"12302_T0": {"by": "S004", "second": "S003", "until_ms": later}}
    frame["calibrations"] = {"12301_T0": {"by": "S006", "until_ms": later, "started_ms": t_ms}}
    frame["shelved"] = {
        "sensor_fault/12304_CO": {
            "alarm_kind": "sensor_fault",
            "source": "12304_CO",
            "by": "S001",
            "second": "",
            "until_ms": later,
        }
    }
    frame["notices"] = {
        "N1": {
            "work": "blasting",
            "zones": ["heading_12303"],
            "points": [],
            "applicant": "S006",
            "started_by": "",
            "acknowledged": True,
            "called": False,
            "until_ms": later,
        }
    }
    frame["frozen"] = {"12303_T1": {"value": 31, "since_ms": t_ms - 600_000}}
    frame["due"] = {
        "interlock_test/cut_12301": {
            "test": "interlock_test",
            "source": "cut_12301",
            "due_ms": t_ms - 60_000,
            "overdue": True,
        }
    }


def urgent(frame: dict[str, Any], mine: Mine) -> None:
    """Put clocks that run, a question of the county and a flood into a frame."""
    special(frame, mine)
    t_ms = frame["t_ms"]
    frame["emergencies"] = {
        "E1": {
            "kind": "rain_24h",
            "source": "RAIN",
            "zones": ["mine"],
            "document": "",
            "since_ms": t_ms,
            "starts_ms": t_ms + 240_000,
            "met": False,
        }
    }
    frame["duty_checks"] = {"D7": {"origin": "county", "asked_ms": t_ms - 30_000, "missed": False}}
    frame["flood"] = {
        "since_ms": t_ms,
        "raised": 14,
        "groups": [{"group": "g", "zone": "face_12301", "first_out": "A1", "count": 9}],
    }


def test_each_special_state_is_listed_with_its_act(
    open_page: OpenPage, served: Any, pin: str
) -> None:
    """The bar counts them; the list names state, place, person and time, and ends what it may."""
    page = open_page(special)
    page.locator(".special-count", has_text="6").click()
    rows = page.locator(".special tbody tr")
    assert rows.count() == 6
    words = page.inner_text(".special")
    for each in ("停用", "标校", "已搁置", "报备作业", "数值卡死", "断电试验到期", "剩 1"):
        assert each in words
    page.locator(".special button", has_text="取消搁置").click()
    page.fill("#field-code", "S001")
    page.fill("#field-pin", pin)
    page.keyboard.press("Enter")
    served.until(lambda: served.commands("unshelve"), "the shelf is ended")
    asked = served.commands("unshelve")[-1]["arguments"]
    assert asked == {"alarm_kind": "sensor_fault", "source": "12304_CO"}


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("size", [(1920, 1080), (1366, 768)], ids=["1920", "1366"])
def test_clocks_that_run_stand_above_everything(
    size: tuple[int, int], language: str, open_page: OpenPage
) -> None:
    """A countdown, the county's question and a flood are banners; nothing scrolls for them."""
    page = open_page(urgent, size, language)
    assert page.locator(".banner").count() >= 4
    assert page.locator(".banner button:visible").count() == 2
    assert page.evaluate(
        "document.documentElement.scrollHeight <= innerHeight && "
        "document.documentElement.scrollWidth <= innerWidth"
    )
    assert "page." not in page.inner_text("body")


def test_older_controller_has_no_special_states(open_page: OpenPage) -> None:
    """Sections that a frame does not have break nothing and count nothing."""
    page = open_page("normal")
    assert page.locator(".special-count:visible").count() == 0


def test_planned_work_is_announced_from_the_page(
    open_page: OpenPage, served: Any, pin: str
) -> None:
    """A notice carries work, place, applicant and minutes."""
    page = open_page("normal")
    page.locator("#alarm-tools button").first.click()
    page.select_option("#field-work", "blasting")
    page.select_option("#field-zone", "heading_12303")
    page.select_option("#field-applicant", "S006")
    page.fill("#field-code", "S001")
    page.fill("#field-pin", pin)
    page.keyboard.press("Enter")
    served.until(lambda: served.commands("notice"), "the notice is given")
    asked = served.commands("notice")[-1]["arguments"]
    wanted = {"work": "blasting", "zones": ["heading_12303"], "applicant": "S006", "minutes": 60}
    assert asked == wanted
