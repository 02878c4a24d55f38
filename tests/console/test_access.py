"""Accessibility in a real Chromium: axe-core finds nothing grave in any state of the page."""

import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

AXE = "axe-core@4.14.1"
AXE_CACHE = Path(__file__).resolve().parents[2] / ".venv" / "share" / "minewatch-tests"
SCENES = ("normal", "pre_alarm", "failed", "stale", "over_limit", "withdrawal")
SIZE = (1920, 1080)

OpenPage = Callable[..., Page]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="Chromium is not installed"),
]


@pytest.fixture(scope="module")
def axe() -> str:
    """Return the text of axe-core, fetched once through npm into the virtual environment."""
    script = AXE_CACHE / "package" / "axe.min.js"
    if not script.exists():
        AXE_CACHE.mkdir(parents=True, exist_ok=True)
        try:
            command = ["npm", "pack", "--silent", AXE]
            packed = subprocess.run(
                command, cwd=AXE_CACHE, capture_output=True, text=True, timeout=60, check=True
            )
            with tarfile.open(AXE_CACHE / packed.stdout.strip().splitlines()[-1]) as archive:
                archive.extract("package/axe.min.js", AXE_CACHE, filter="data")
        except (OSError, subprocess.SubprocessError, tarfile.TarError) as error:
            pytest.skip(f"axe-core cannot be fetched here: {error}")
    return script.read_text(encoding="utf-8")


@pytest.mark.parametrize("theme", ["night", "day"])
@pytest.mark.parametrize("scene", SCENES)
def test_no_serious_accessibility_finding(
    scene: str, theme: str, open_page: OpenPage, axe: str
) -> None:
    """axe-core finds nothing serious or critical in any state, in either colour scheme."""
    page = open_page(scene, SIZE, "zh-CN", theme)
    assert grave_findings(page, axe) == []


def test_dialogs_are_accessible_too(open_page: OpenPage, axe: str) -> None:
    """The same holds with a form and with a trend open."""
    page = open_page("failed")
    page.locator(".output").first.get_by_role("button", name="解锁").click()
    assert grave_findings(page, axe) == []


def grave_findings(page: Page, axe: str) -> list[str]:
    """Return what axe-core calls serious or critical."""
    page.evaluate(axe)
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{each['id']}: {[node['target'] for node in each['nodes']][:4]}"
        for each in result["violations"]
        if each["impact"] in ("serious", "critical")
    ]
