"""The command `schema`: what commands and events look like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from actors.runtime.errors import InputError
from logistics.audit.message_schema import message_schema, schema_of
from logistics.cli.options import JsonOption
from logistics.cli.output import say_json, write

if TYPE_CHECKING:
    from typing import Any


def schema(
    tag: Annotated[
        str | None, typer.Argument(metavar="TAG", help="Of one command or event, such as 'job.enqueued'.")
    ] = None,
    *,
    json: JsonOption = False,
) -> None:
    """Print the JSON Schema of every command and event; with --json on one line."""
    found: dict[str, Any] | None = message_schema() if tag is None else schema_of(tag)
    if found is None:
        msg = f"no command or event has the tag {tag!r}"
        raise InputError(msg)
    if json:
        say_json(found)
    else:
        write(published(found))


def published(schema: dict[str, Any]) -> str:
    """Return a schema as the text that is published."""
    return msgspec.json.format(msgspec.json.encode(schema), indent=1).decode() + "\n"
