"""The verbs as a whole: a slip of the finger is answered with the verb that was meant."""

import pytest
from click.testing import CliRunner

from minewatch.cli import VERBS, exit_codes, main


@pytest.mark.parametrize(
    ("typed", "meant"), [("sttus", "status"), ("chek", "check"), ("bsu", "bus")]
)
def test_a_slip_names_the_verb_that_was_meant(typed: str, meant: str) -> None:
    """As the groups below do; it remains a usage error."""
    ended = CliRunner().invoke(main, [typed])

    assert ended.exit_code == exit_codes.USAGE
    assert f"'{meant}'" in ended.output


def test_a_word_that_is_close_to_no_verb_is_only_refused() -> None:
    """No guess where there is nothing to guess."""
    ended = CliRunner().invoke(main, ["xyzzy"])

    assert ended.exit_code == exit_codes.USAGE
    assert not any(f"'{verb}'" in ended.output for verb in VERBS)
