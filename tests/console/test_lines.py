"""The lines on the page: how many are up, and which are slower than predicted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from minewatch.model.mine import Mine

CHROMIUM = Path("/usr/bin/chromium")
DEMO = Path(__file__).parents[2] / "config" / "demo-mine"
LINES = sum(path.read_text(encoding="utf-8").count("[[bus]]") for path in DEMO.glob("*.toml"))

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed"),
]


def slow(frame: dict[str, Any], _mine: Mine) -> None:
    """One line is down, one is slower than predicted, one has stretched and refused scans."""
    buses = frame["health"]["buses"]
    usual = {"load_pct": 40, "predicted_load_pct": 35, "urged_ms": 0, "stretched": False}
    for bus in buses.values():
        bus |= {**usual, "classes": [], "refused": {}}
    scan = {"scan_ms": 1000, "p99_ms": 1050, "predicted_ms": 1100, "late": 0}
    buses["gw_east"]["classes"] = [{**scan, "reaction_ms": 1400, "late": 3, "over": True}]
    buses["gw_people"]["classes"] = [{**scan, "reaction_ms": 1090, "over": False}]
    buses["gw_relay"] |= {"stretched": True, "urged_ms": 340, "refused": {"FEED": "exception_2"}}
    buses["gw_west"] |= {"up": False, "error": "timeout"}


def test_lines_in_trouble_come_first_and_are_marked(open_page: Callable[..., Page]) -> None:
    """The foot counts lines; the table shows measured beside predicted and marks the excess."""
    page = open_page(slow, language="en")
    button = page.locator("#lines")
    button.filter(has_text=f"lines {LINES - 1}/{LINES}").wait_for()
    button.click()
    rows = page.locator("table.lines tbody tr")
    rows.first.wait_for()

    assert button.get_attribute("data-state") == "bad"
    assert "gw_west" in rows.nth(0).inner_text()
    assert rows.nth(0).get_attribute("data-state") == "bad"
    late = page.locator("table.lines tr", has_text="gw_east")
    assert late.get_attribute("data-state") == "doubt"
    assert "1400 ms (1100 ms)" in late.inner_text()
    assert page.locator("table.lines tr", has_text="gw_people").get_attribute("data-state") is None
    assert page.locator("table.lines tr", has_text="340 ms").count() == 1
    assert page.locator("table.lines tr", has_text="exception_2").count() == 1
