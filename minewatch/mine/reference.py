"""`python -m minewatch.mine.reference`: writes config/reference.toml, the JSON Schema and the key
tables of docs/configuration.md from the models, the catalogue and `example.toml`.

A test fails while one of the three is not what this module would write.
"""

import json
import sys
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from minewatch.mine import handbook, schema
from minewatch.text import Catalogue

ROOT = Path(__file__).parents[2]
REFERENCE = "config/reference.toml"
SCHEMA = "config/minewatch.schema.json"
HANDBOOK = "docs/configuration.md"

HEAD = """#:schema ./minewatch.schema.json
# 参考配置：每个键都有说明。由程序生成：python -m minewatch.mine.reference
# Reference configuration: every key explained. Generated; do not edit.
# 带 # 的键为可选，写出的是默认值。 Keys behind # are optional and show their default.
"""

FILES: dict[str, list[str]] = {
    "include": ["buses.toml", "devices.toml"],
    "points": ["points.csv"],
    "people": ["people.csv"],
}

BOTH = (Catalogue.load("zh-CN"), Catalogue.load("en"))


def reference_toml() -> str:
    """Return the reference configuration: it loads, and shows and explains every key."""
    example = tomllib.loads(
        resources.files("minewatch.mine").joinpath("example.toml").read_text(encoding="utf-8")
    )
    lines = [HEAD]
    for key in schema.TOP_KEYS:
        lines += [_said(f"config_key.file.{key}"), f"# {key} = {_value(FILES[key])}", ""]
    for name, model in {**schema.SINGLE, **schema.MANY}.items():
        lines += [f"# {'-' * 68}", _said(f"config_table.{name}"), ""]
        rows = example[name] if name in schema.MANY else [example[name]]
        header = f"[[{name}]]" if name in schema.MANY else f"[{name}]"
        for index, row in enumerate(rows):
            lines += [header, *_keys(name, model, row, explain=index == 0), ""]
    return "\n".join(lines)


def _said(key: str) -> str:
    return "\n".join(f"# {catalogue.say(key)}" for catalogue in BOTH)


def _keys(name: str, model: type[schema.Table], row: dict[str, Any], *, explain: bool) -> list[str]:
    lines = []
    for key, field in model.model_fields.items():
        if explain:
            lines += ["", _said(f"config_key.{name}.{key}"), f"# {_spec(field)}"]
            inner = schema.INNER.get((name, key))
            for sub in inner.model_fields if inner else ():
                words = " ".join(c.say(f"config_key.{_inner(inner)}.{sub}") for c in BOTH)
                lines.append(f"#   {sub}: {words}")
        if key in row:
            lines.append(f"{key} = {_value(row[key])}")
        elif explain:
            lines.append(f"# {key} = {_value(handbook.default_of(field))}")
    return lines


def _inner(model: type[schema.Table] | None) -> str:
    return "load" if model is schema.LoadTable else "cause"


def _spec(field: FieldInfo) -> str:
    return " · ".join(dict.fromkeys(words for c in BOTH for words in handbook.spec(field, c)))


def _value(value: Any) -> str:
    if value is None:
        return "…"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(_value(each) for each in value)}]"
    if isinstance(value, dict):
        inside = ", ".join(f"{key} = {_value(each)}" for key, each in value.items())
        return f"{{ {inside} }}"
    return str(value) if isinstance(value, int) else json.dumps(str(value), ensure_ascii=False)


def json_schema() -> str:
    """Return the JSON Schema of one configuration file, with both languages as descriptions."""
    document = schema.FileTable.model_json_schema()
    document["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    names = {model.__name__: name for name, model in {**schema.SINGLE, **schema.MANY}.items()}
    names |= {"LoadTable": "load", "CauseTable": "cause"}
    for title, definition in document["$defs"].items():
        for key, described in definition.get("properties", {}).items():
            described["description"] = " / ".join(
                c.say(f"config_key.{names[title]}.{key}") for c in BOTH
            )
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def outputs(root: Path) -> dict[Path, str]:
    """Return the text of each generated file under a checkout."""
    page = (root / HANDBOOK).read_text(encoding="utf-8")
    return {
        root / REFERENCE: reference_toml(),
        root / SCHEMA: json_schema(),
        root / HANDBOOK: handbook.filled(page),
    }


if __name__ == "__main__":
    for path, text in outputs(ROOT).items():
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")
