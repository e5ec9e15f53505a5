"""From the text of a file, TOML, JSON or YAML, to the data in it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from actors.runtime.errors import InputError
from actors.runtime.later import Later

if TYPE_CHECKING:
    from logistics.orchestration import yaml_text
else:
    yaml_text = Later("logistics.orchestration.yaml_text")


class ConfigError(InputError):
    """A file, or what a run of it was given, is of no use: `problems` names every mistake with its place."""

    def __init__(self, path: Path, problems: Iterable[str]) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__(f"{path}: " + "; ".join(self.problems))


ConfigError.__module__ = "logistics"  # so that a traceback names what can be imported


def parsed_file(file: Path) -> tuple[str, Any]:
    """The text of a file and the data in it; `ConfigError` if it cannot be read."""
    parse = {".toml": _toml, ".json": json_value, ".yaml": _yaml, ".yml": _yaml}.get(file.suffix.lower())
    if parse is None:
        got = file.suffix or "no suffix"
        raise ConfigError(file, [f"expected a .toml, .json or .yaml file, got {got}"])
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(file, [f"cannot be read: {error.strerror}"]) from error
    except ValueError as error:
        raise ConfigError(file, [f"is no {file.suffix[1:].upper()}: {error}"]) from error
    try:
        return text, parse(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(file, [f"is no {file.suffix[1:].upper()}: {error}"]) from error


def _yaml(text: str) -> Any:
    try:
        return yaml_text.yaml_value(text)
    except ModuleNotFoundError as error:  # an extra
        raise ValueError("it cannot be read without PyYAML: pip install 'logistics[yaml]'") from error


def _toml(text: str) -> Any:
    return tomllib.loads(text)


def json_value(text: str) -> Any:
    """Return what JSON says; `ValueError`, also for a key that is there twice."""
    return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return result


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
