"""Tables of docs/configuration.md: every key, every CSV column, every place and every fault code.

Text between `<!-- name -->` and `<!-- end -->` in the page is written by this module, the rest by
hand. Words come from the catalogue, shapes from the models.
"""

import re
import types
import typing
from enum import Enum
from typing import Any

from pydantic.fields import FieldInfo

from minewatch.mine import schema
from minewatch.mine.rules import LIMITS, Place, load_rules
from minewatch.text import Catalogue

CHINESE, ENGLISH = Catalogue.load("zh-CN"), Catalogue.load("en")


def default_of(field: FieldInfo) -> Any:
    """Return a field's default as it would be written, None where it has none."""
    value = None if field.is_required() else field.default
    return value.value if isinstance(value, Enum) else value


def spec(field: FieldInfo, catalogue: Catalogue) -> list[str]:
    """Return what a key takes, in words of one language: required or default, choices, range."""
    words = []
    if field.is_required():
        words.append(catalogue.say("config_spec.required"))
    elif default_of(field) in (None, "", []):
        words.append(catalogue.say("config_spec.none"))
    else:
        value = default_of(field)
        shown = str(value).lower() if isinstance(value, bool) else value
        words.append(catalogue.say("config_spec.default", value=shown))
    choices = _choices(field.annotation)
    if choices:
        words.append(catalogue.say("config_spec.choices", choices=" | ".join(choices)))
    limits = {
        name: getattr(each, name)
        for each in _metadata(field)
        for name in ("ge", "le")
        if getattr(each, name, None) is not None
    }
    if limits:
        bounds = f"{limits.get('ge', '')}…{limits.get('le', '')}"
        words.append(catalogue.say("config_spec.range", range=bounds))
    return words


def _metadata(field: FieldInfo) -> list[Any]:
    """Return a field's constraints, also those of `Annotated[…] | None`."""
    found = list(field.metadata)
    for inner in typing.get_args(field.annotation):
        for each in getattr(inner, "__metadata__", ()):
            found += getattr(each, "metadata", [each])
    return found


def _choices(annotation: Any) -> list[str]:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return [str(each.value) for each in annotation]
    if typing.get_origin(annotation) is typing.Literal:
        return [str(each) for each in typing.get_args(annotation)]
    if typing.get_origin(annotation) is types.UnionType:
        return [word for each in typing.get_args(annotation) for word in _choices(each)]
    return []


def key_tables() -> str:
    """Return one table per configuration table."""
    models: dict[str, type[schema.Table]] = {
        **schema.SINGLE,
        **schema.MANY,
        "load": schema.LoadTable,
        "cause": schema.CauseTable,
    }
    parts = ["### include, points, people", "", *_rows("file", dict.fromkeys(schema.TOP_KEYS))]
    for name, model in models.items():
        title = f"[[{name}]]" if name in schema.MANY else f"[{name}]"
        parts += [
            f"### {title} {CHINESE.say(f'config_table.{name}')} · "
            f"{ENGLISH.say(f'config_table.{name}')}",
            "",
            *_rows(name, dict(model.model_fields)),
        ]
    return "\n".join(parts)


def _rows(name: str, fields: dict[str, FieldInfo] | dict[str, None]) -> list[str]:
    rows = ["| key | 说明 | meaning | takes |", "|---|---|---|---|"]
    for key, field in fields.items():
        takes = "file names" if field is None else ", ".join(spec(field, ENGLISH))
        cells = (
            f"`{key}`",
            CHINESE.say(f"config_key.{name}.{key}"),
            ENGLISH.say(f"config_key.{name}.{key}"),
            takes,
        )
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return [*rows, ""]


def column_tables() -> str:
    """Return the columns of each CSV file."""
    parts = []
    for name, model in schema.CSV_TABLES.items():
        needed = [key for key, field in model.model_fields.items() if field.is_required()]
        other = [key for key in model.model_fields if key not in needed]
        parts += [
            f"**{name}** — required: {', '.join(f'`{key}`' for key in needed)}; "
            f"optional: {', '.join(f'`{key}`' for key in other)}.",
            "",
        ]
    return "\n".join(parts)


def place_table() -> str:
    """Return the statutory rows with their limits, citation and status."""
    rows = ["| place | 设置地点 | limits | citation | status |", "|---|---|---|---|---|"]
    for place in load_rules().places.values():
        rows.append("| " + " | ".join(_place(place)) + " |")
    return "\n".join([*rows, ""])


def _place(place: Place) -> tuple[str, ...]:
    limits = " · ".join(f"{name} {place.limits[name]}" for name in LIMITS if name in place.limits)
    status = place.source.status.value + (", removed" if place.legacy else "")
    return f"`{place.id}`", place.name, limits or "—", str(place.source), status


def fault_table() -> str:
    """Return every fault code with what, why and what to do."""
    rows = ["| code | 问题 | what | why | do |", "|---|---|---|---|---|"]
    for code in fault_codes():
        texts = [CHINESE.say(f"config_fault.{code}.what")]
        texts += [ENGLISH.say(f"config_fault.{code}.{part}") for part in ("what", "why", "do")]
        rows.append(f"| `{code}` | " + " | ".join(texts) + " |")
    return "\n".join([*rows, ""])


def fault_codes() -> list[str]:
    """Return every code that a fault may have, sorted."""
    prefix, suffix = "config_fault.", ".what"
    keys = ENGLISH.as_dict()
    return sorted(
        key[len(prefix) : -len(suffix)]
        for key in keys
        if key.startswith(prefix) and key.endswith(suffix)
    )


def filled(page: str) -> str:
    """Return the page with every generated part written anew."""
    parts = {
        "keys": key_tables,
        "columns": column_tables,
        "places": place_table,
        "faults": fault_table,
    }
    for name, write in parts.items():
        body = f"<!-- {name} -->\n\n{write().rstrip()}\n\n<!-- end -->"
        pattern = rf"<!-- {name} -->.*?<!-- end -->"
        page = re.sub(pattern, lambda _, body=body: str(body), page, flags=re.DOTALL)  # type: ignore[misc]
    return page
