"""The publisher as a process: small, alone, and it imports nothing that it does not need."""

import re
import subprocess
import sys
from pathlib import Path

FOREIGN = ("numpy", "pydantic", "rich", "click", "starlette", "uvicorn")
RSS_MAX_MB = 45


def test_process_imports_nothing_heavy() -> None:
    """Importing the process brings none of the console's, loader's or verbs' libraries."""
    code = "import sys, minewatch.publisher.__main__; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in out.stdout.split()}
    assert loaded.isdisjoint(FOREIGN)


def test_paho_has_one_importer() -> None:
    """Only the link knows the MQTT library."""
    package = Path(__file__).parents[2] / "minewatch"
    importing = re.compile(r"^\s*(import|from) paho\b", re.MULTILINE)
    importers = {p.name for p in package.rglob("*.py") if importing.search(p.read_text("utf-8"))}
    assert importers == {"link.py"}


async def test_memory_stays_small_while_a_backlog_drains(house, make_broker, listen, until) -> None:
    """With a thousand events to upload the process stays within its share of memory."""
    broker = make_broker()
    county = listen(broker.port)
    house.configure(broker.url)
    house.record(1000)
    process = house.publish_apart()
    await until(lambda: len(county.of("event")) == 1000, 30)
    status = Path(f"/proc/{process.pid}/status").read_text("ascii")
    peak_kb = int(next(line for line in status.splitlines() if "VmHWM" in line).split()[1])
    assert peak_kb / 1024 < RSS_MAX_MB


async def test_unreadable_outbox_ends_with_74(house) -> None:
    """Where the outbox cannot be opened the process says so and leaves."""
    house.folder.outbox.mkdir(parents=True)
    (house.folder.outbox / "outbox.db").mkdir()
    process = house.publish_apart()
    assert process.wait(10) == 74
