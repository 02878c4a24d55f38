"""The two catalogues say the same things, and say something for every word of the model."""

import string
from enum import Enum

import pytest

from minewatch.model.alarm import AlarmKind, AlarmMove, AlarmState
from minewatch.model.kind import UNITS, Kind
from minewatch.model.mine import Condition, Limits, Mode, OutputRole, Role, ZoneKind
from minewatch.model.quality import Quality
from minewatch.text import Catalogue

ENUMS: dict[str, type[Enum]] = {
    "quality": Quality,
    "kind": Kind,
    "alarm_kind": AlarmKind,
    "alarm_state": AlarmState,
    "alarm_move": AlarmMove,
    "mode": Mode,
    "zone_kind": ZoneKind,
    "role": Role,
    "output_role": OutputRole,
    "condition": Condition,
}


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_both_languages_have_the_same_keys() -> None:
    """A sentence that exists in one language exists in the other."""
    assert set(Catalogue.load("en").as_dict()) == set(Catalogue.load("zh-CN").as_dict())


def test_both_languages_have_the_same_fields() -> None:
    """A sentence takes the same fields in both languages."""
    english = Catalogue.load("en").as_dict()
    chinese = Catalogue.load("zh-CN").as_dict()
    assert {k: _fields(v) for k, v in english.items()} == {
        k: _fields(v) for k, v in chinese.items()
    }


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("table", ENUMS)
def test_every_enum_member_has_a_label(table: str, language: str) -> None:
    """Whatever the model can say, the catalogue can name."""
    catalogue = Catalogue.load(language, strict=True)
    for member in ENUMS[table]:
        name = member.value if isinstance(member.value, str) else member.name.lower()
        assert catalogue.say(f"{table}.{name}")


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_every_limit_and_switch_state_has_a_label(language: str) -> None:
    """Limits and both states of every switch kind can be named."""
    catalogue = Catalogue.load(language, strict=True)
    keys = [f"limit.{name}" for name in Limits.__slots__]
    keys += [f"switch.{k.value}_{s}" for k, unit in UNITS.items() if unit.switch for s in (0, 1)]
    assert all(catalogue.say(key) for key in keys)


@pytest.mark.parametrize(
    ("tag", "language"),
    [("zh-CN", "zh-CN"), ("zh_CN", "zh-CN"), ("zh", "zh-CN"), ("en", "en"), ("en-GB", "en")],
)
def test_language_tags(tag: str, language: str) -> None:
    """Common spellings of a tag find their catalogue."""
    assert Catalogue.load(tag).language == language


def test_an_unknown_language_is_refused() -> None:
    """There is no silent fall-back to another language."""
    with pytest.raises(ValueError, match="no texts"):
        Catalogue.load("xx")


def test_an_unknown_key_shows_itself_and_a_strict_catalogue_raises() -> None:
    """At run time a missing label never stops a screen; in tests it is an error."""
    assert Catalogue.load("en").say("no.such_key") == "no.such_key"
    with pytest.raises(KeyError):
        Catalogue.load("en", strict=True).say("no.such_key")


def test_fields_are_filled_and_missing_ones_leave_the_text() -> None:
    """`say` formats; a missing field is an error only of a strict catalogue."""
    texts = {"a.b": "limit {limit}"}
    assert Catalogue("en", texts).say("a.b", limit=3) == "limit 3"
    assert Catalogue("en", texts).say("a.b") == "limit {limit}"
    with pytest.raises(KeyError):
        Catalogue("en", texts, strict=True).say("a.b")


def test_the_dictionary_for_the_page_is_a_copy() -> None:
    """Nobody can change the catalogue through what the page was given."""
    catalogue = Catalogue.load("en")
    catalogue.as_dict()["quality.good"] = "changed"
    assert catalogue.say("quality.good") == "normal"
