"""A broken device file reaches the person who checks a configuration in both languages."""

import pytest
from minewatch_drivers.device_files import device_file
from minewatch_drivers.device_files.device_fields import DeviceFileError

from minewatch.mine.fault import Fault
from minewatch.text import Catalogue

GOOD = """
[device]
identity = "x"
maker = "x"
maturity = "beta"
source = "x"
[signals.gas]
table = "input"
address = 1
type = "u16"
kind = "methane"
low = "0"
high = "4"
[[frames]]
source = "x"
request = "01"
reply = "01"
expect = {}
"""
MISTAKES = [
    ('maker = "x"\n', "", "missing"),
    ('maker = "x"', "maker = 3", "not_text"),
    ('maker = "x"', 'makker = "x"\nmaker = "x"', "unknown_key"),
    ('maturity = "beta"', 'maturity = "perfect"', "not_one_of"),
    ("address = 1", "address = 70000", "not_integer"),
    ("address = 1", "address = 1\ninverted = 3", "not_flag"),
    ('high = "4"', 'high = "four"', "not_decimal"),
    ('high = "4"', 'high = "4"\nstatus = 3', "not_texts"),
    ('high = "4"', 'high = "4"\nlevels = [1]', "not_rows"),
    ('high = "4"', 'high = "4"\nspan = 3', "not_table"),
    ('request = "01"', 'request = "zz"', "not_hex"),
    ('high = "4"', 'high = "-1"', "does_not_fit"),
]


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize(("old", "new", "code"), MISTAKES)
def test_every_mistake_is_said_with_file_key_and_reason(
    old: str, new: str, code: str, language: str
) -> None:
    """File, key and reason stand in one sentence of the language, no field is left open."""
    assert old in GOOD
    with pytest.raises(DeviceFileError) as caught:
        device_file.parse("bad", "gas", GOOD.replace(old, new, 1))
    error = caught.value
    fields = {"file": error.file, "at": error.key, "reason": f"@device_fault.{error.code}",
              "english": error.why, "model": "bad", **error.fields}  # fmt: skip

    words = Fault("mine.toml", 3, "model", "bad_model", fields).say(
        Catalogue.load(language, strict=True)
    )

    assert error.code == code
    assert "gas/bad.toml" in words.what
    assert error.key in words.what
    assert "{" not in words.what
