"""The two READMEs say the same, and name every verb and exit code that there is."""

import re
from pathlib import Path

import pytest

from minewatch.cli import VERBS, exit_codes

ROOT = Path(__file__).parents[2]
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")


def test_both_readmes_have_the_same_shape() -> None:
    """As many headings of each depth, code blocks and table rows in one as in the other."""
    shapes = []
    for path in READMES:
        text = path.read_text(encoding="utf-8")
        marks = re.findall(r"^(#+ |```|\|)", text, re.M)
        shapes.append({mark: marks.count(mark) for mark in marks})

    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("path", READMES, ids=lambda p: p.name)
def test_every_verb_is_explained(path: Path) -> None:
    """A verb that no README names does not exist for its users."""
    table = "\n".join(line for line in path.read_text("utf-8").splitlines() if line[:1] == "|")
    missing = [verb for verb in VERBS if not re.search(rf"`{verb}[ `]", table)]

    assert missing == []


@pytest.mark.parametrize("path", READMES, ids=lambda p: p.name)
def test_every_exit_code_is_explained(path: Path) -> None:
    """Each number of `exit_codes` stands in the line of exit codes."""
    text = path.read_text(encoding="utf-8")
    (line,) = re.findall(r"^(?:Exit codes:|退出码：).*$", text, re.M)
    numbers = {value for name, value in vars(exit_codes).items() if name.isupper()}

    assert {int(each) for each in re.findall(r"\d+", line)} == numbers


@pytest.mark.parametrize("path", READMES, ids=lambda p: p.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    """No README links to a file that is not there."""
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8"))
    dead = [link for link in links if "://" not in link and not (ROOT / link).exists()]

    assert dead == []
