"""The JSON Schema of every command, query and event, made from the types that the engine itself uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from actors.folding import event_codec
from eventstore.decoding import json_schemas
from logistics.messages import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA: Final = "https://json-schema.org/draft/2020-12/schema"
REFERENCE: Final = "#/$defs/{name}"


def message_schema() -> dict[str, Any]:
    """Return the schema of all messages: `commands` and `events` by their tags, and what they are made of.

    An event is there as an object, the way that subscribers, exports and CloudEvents have it in `data`. In the log it
    is an array, its tag first and its fields in the order of `properties`; values inside it are arrays everywhere.
    """
    events = {type_.__struct_config__.tag: type_ for type_ in event_codec().types}
    commands = {type_.__struct_config__.tag: type_ for type_ in COMMANDS}
    types = (*events.values(), *commands.values())
    _, parts = json_schemas(types, REFERENCE)
    described = {name: _described(part) for name, part in parts.items()}
    whole: dict[str, Any] = {
        "$schema": SCHEMA,
        "title": "Messages of logistics",
        "description": _folded(message_schema.__doc__ or ""),
        "commands": {
            str(tag): {"actor": COMMANDS[type_], **described[type_.__name__]}
            for tag, type_ in sorted(commands.items(), key=_tag)
        },
        "events": {
            str(tag): _as_object(type_, parts[type_.__name__])
            for tag, type_ in sorted(events.items(), key=_tag)
        },
    }
    return whole | {"$defs": _needed(whole, described)}


def schema_of(tag: str) -> dict[str, Any] | None:
    """Return the schema of one command or event by its tag, with what it is made of; None if there is none."""
    whole = message_schema()
    found = whole["commands"].get(tag) or whole["events"].get(tag)
    if found is None:
        return None
    return {"$schema": SCHEMA, **found, "$defs": _needed(found, whole["$defs"])}


def _tag(item: tuple[object, Any]) -> str:
    return str(item[0])


def _folded(text: str) -> str:
    """Return a docstring as paragraphs without line breaks."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _described(part: Mapping[str, Any]) -> dict[str, Any]:
    described = dict(part)
    if "description" in described:
        described["description"] = _folded(described["description"])
    return described


def _as_object(type_: type[msgspec.Struct], part: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an event by the names of its fields; behind its tag, the array has them in this order."""
    fields = msgspec.structs.fields(type_)
    return {
        "title": part["title"],
        "description": _folded(part["description"]),
        "version": getattr(type_, "schema_version", 1),
        "type": "object",
        "properties": dict(zip((field.name for field in fields), part["prefixItems"][1:], strict=True)),
        "required": [field.name for field in fields if field.required],
    }


def _needed(part: Any, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return all parts that a part refers to, and they."""
    needed: dict[str, Any] = {}
    stack = [part]
    while stack:
        each = stack.pop()
        if isinstance(each, dict):
            stack += each.values()
            name = str(each.get("$ref", "")).rpartition("/")[2]
            if name and name not in needed:
                needed[name] = parts[name]
                stack.append(parts[name])
        elif isinstance(each, list):
            stack += each
    return needed
