"""The published schema of messages is that of the code, and says everything that the code writes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from actors.folding import event_codec
from logistics import messages
from logistics.audit.message_schema import message_schema, schema_of
from logistics.cli.describing import published
from logistics.cli.main import main
from logistics.messages import COMMANDS
from logistics.orchestration.subscriptions import plain
from tests.golden.samples import samples

FILE = Path(__file__).parents[3] / "docs" / "messages.schema.json"
SCHEMA = message_schema()
KINDS = MappingProxyType(
    {
        "string": str,
        "integer": int,
        "number": float,
        "boolean": bool,
        "array": list,
        "object": dict,
        "null": type(None),
    }
)


def test_the_published_file_is_what_the_code_says() -> None:
    assert FILE.read_text(encoding="utf-8") == published(SCHEMA), (
        "run `logistics schema > docs/messages.schema.json`"
    )


def test_every_command_and_event_is_there_and_every_reference_leads_somewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "logistics.audit.message_schema.message_schema", lambda: SCHEMA
    )  # made once, not for each
    assert set(SCHEMA["commands"]) == {type_.__struct_config__.tag for type_ in COMMANDS}
    assert set(SCHEMA["events"]) == {type_.__struct_config__.tag for type_ in event_codec().types}
    assert {type_.__name__ for type_ in event_codec().types} <= set(messages.__all__)
    for tag in (*SCHEMA["commands"], *SCHEMA["events"]):
        alone = schema_of(tag)
        assert alone is not None
        assert alone["description"]
        for name in references(alone):
            assert name in alone["$defs"]


def references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"].removeprefix("#/$defs/")] if "$ref" in part else []
        return own + [name for each in part.values() for name in references(each)]
    return [name for each in part for name in references(each)] if isinstance(part, list) else []


@pytest.mark.parametrize("type_", event_codec().types, ids=lambda type_: type_.__name__)
def test_what_subscribers_get_has_the_fields_and_types_that_the_schema_names(type_: Any) -> None:
    schema = SCHEMA["events"][type_.__struct_config__.tag]
    for event in samples(type_):
        data = {name: value for name, value in plain(event, 1).items() if name != "position"}
        assert list(data) == list(schema["properties"])
        assert set(schema["required"]) <= set(data)
        for name, value in data.items():
            assert fits(json.loads(json.dumps(value)), schema["properties"][name]), (name, value)


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value is as a schema says, as far as the schemas of messages say anything."""
    if "$ref" in schema:
        return fits(value, SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")])
    if "anyOf" in schema:
        return any(fits(value, each) for each in schema["anyOf"])
    if "enum" in schema:
        return value in schema["enum"]
    kinds: dict[str, type[Any]] = {
        "string": str,
        "integer": int,
        "number": float,
        "boolean": bool,
        "array": list,
        "object": dict,
        "null": type(None),
    }
    if not isinstance(value, kinds[schema["type"]]):
        return False
    if schema["type"] == "array" and "prefixItems" in schema:
        return len(value) >= schema["minItems"] and all(map(fits, value, schema["prefixItems"]))
    return schema["type"] != "array" or all(fits(each, schema["items"]) for each in value)


def test_the_command_prints_all_or_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert capsys.readouterr().out == FILE.read_text(encoding="utf-8")
    assert main(["schema", "job.completed", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["properties"]["run_us"] == {"type": "integer"}
    assert main(["schema", "job.unknown"]) == 2
    assert capsys.readouterr().err == "logistics: no command or event has the tag 'job.unknown'\n"


def test_the_guide_names_every_event_and_no_other() -> None:
    page = FILE.with_name("guide").joinpath("events.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [a-z, ]+ \| `(.+)` \|$", page, re.MULTILINE)
    named = [tag for row in rows for tag in row.split()]
    assert sorted(named) == sorted(SCHEMA["events"]), "mend the table in docs/guide/events.md"
