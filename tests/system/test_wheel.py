"""The wheel carries everything that the house needs to run, and runs without the checkout."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
DATA = (".toml", ".sql", ".js", ".css", ".html", ".typed", ".svg", ".json")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder)]
    subprocess.run([*command, str(ROOT)], check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_carries_every_file_of_the_packages(wheel: Path) -> None:
    """Tables, schemas, device files and page files travel with the code."""
    packed = set(zipfile.ZipFile(wheel).namelist())
    missing = []
    for source, name in (
        (ROOT / "minewatch", "minewatch"),
        (ROOT / "drivers/minewatch_drivers", "minewatch_drivers"),
        (ROOT / "sim/minewatch_sim", "minewatch_sim"),
    ):
        for path in source.rglob("*"):
            if path.suffix in {".py", *DATA} and "__pycache__" not in path.parts:
                inside = f"{name}/{path.relative_to(source)}"
                missing += [inside] if inside not in packed else []

    assert missing == []


def test_the_wheel_runs_from_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    """Installed alone, `minewatch check` explains the demo mine and `minewatch-sim` its stories."""
    environment = tmp_path / "clean"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / "bin/python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "-c", str(ROOT / "constraints.txt"), str(wheel)], check=True)
    check = subprocess.run(
        [str(environment / "bin/minewatch"), "check", str(ROOT / "config/demo-mine"), "--json"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    stories = subprocess.run(
        [str(environment / "bin/minewatch-sim"), "scenarios"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )

    assert check.returncode == 0, check.stderr
    assert b"gas-rise" in stories.stdout
