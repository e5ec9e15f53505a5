"""From the text of a file, TOML, JSON or YAML, to the data in it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from actors.runtime.errors import InputError

try:
    import yaml
except ModuleNotFoundError:  # an extra
    yaml = None


class ConfigError(InputError):
    """A file, or what a run of it was given, is of no use: `problems` names every mistake with its place."""

    def __init__(self, path: Path, problems: Iterable[str]) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__(f"{path}: " + "; ".join(self.problems))


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
    if yaml is None:
        raise ValueError("it cannot be read without PyYAML: pip install 'logistics[yaml]'")
    try:
        return yaml.load(text, Loader=_UniqueKeys)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


if yaml is not None:

    class _UniqueKeys(yaml.SafeLoader):  # type: ignore[misc]  # it carries no types
        """Reads plain data only, and no key twice."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 -- PyYAML's
            """Refuse a key that is there already."""
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            for key in keys:
                if keys.count(key) > 1:
                    raise ValueError(f"the key {key!r} is there twice")
            return dict(super().construct_mapping(node, deep))


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
