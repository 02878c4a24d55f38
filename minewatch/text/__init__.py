"""The message catalogue: every word shown to people, Chinese and English, one TOML file each.

Other rooms pass codes around and turn them into sentences here, at the last moment. To correct a
word, edit `zh_CN.toml` or `en.toml`; both hold the same keys and the same `{fields}` (tested).
A TOML table belongs to one room or one enum; keys are dotted: `kind.methane`, `check.ok`.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

DEFAULT_LANGUAGE = "zh-CN"

FILES: dict[str, str] = {"zh": "zh_CN.toml", "en": "en.toml"}


class Catalogue:
    """All texts of one language.

    A key that is not there gives the key itself, and fields that are missing leave the text as it
    stands: a label must never stop a screen. A `strict` catalogue raises KeyError instead; tests
    use it.
    """

    def __init__(self, language: str, texts: Mapping[str, str], *, strict: bool = False) -> None:
        self.language = language
        self._texts = dict(texts)
        self._strict = strict

    @classmethod
    def load(cls, language: str, *, strict: bool = False) -> "Catalogue":
        """Return the catalogue of a language tag (`zh-CN`, `zh_CN`, `zh`, `en`, `en-GB`).

        Raises:
            ValueError: there is no catalogue for this language.
        """
        short = language.replace("_", "-").split("-", 1)[0].lower()
        if short not in FILES:
            raise ValueError(f"no texts for language {language!r}; known: {', '.join(FILES)}")
        tag = DEFAULT_LANGUAGE if short == "zh" else short
        return cls(tag, _texts(FILES[short]), strict=strict)

    def say(self, key: str, /, **fields: object) -> str:
        """Return the text under a dotted key with its `{fields}` filled in.

        Raises:
            KeyError: only of a strict catalogue: no such key, or a field is missing.
        """
        text = self._texts.get(key)
        if text is None:
            if self._strict:
                raise KeyError(key)
            return key
        try:
            return text.format(**fields)
        except (KeyError, IndexError, ValueError):
            if self._strict:
                raise KeyError(f"{key}: fields {sorted(fields)} do not fill {text!r}") from None
            return text

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def as_dict(self) -> dict[str, str]:
        """Return all texts by dotted key, as the page takes them."""
        return dict(self._texts)


@cache
def _texts(file: str) -> Mapping[str, str]:
    source = resources.files(__name__).joinpath(file).read_text(encoding="utf-8")
    return dict(_flat("", tomllib.loads(source)))


def _flat(prefix: str, table: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in table.items():
        if isinstance(value, dict):
            rows.extend(_flat(f"{prefix}{key}.", value))
        else:
            rows.append((f"{prefix}{key}", str(value)))
    return rows
