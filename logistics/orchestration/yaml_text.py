"""From a text in YAML to the data in it."""

from __future__ import annotations

from typing import Any

import yaml


def yaml_value(text: str) -> Any:
    """Return what YAML says; `ValueError`, also for a key that is there twice."""
    try:
        return yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 -- it is a safe one
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


class _UniqueKeys(yaml.SafeLoader):  # type: ignore[misc]  # it carries no types
    """Reads plain data only, and no key twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 -- PyYAML's
        """Refuse a key that is there already."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"the key {key!r} is there twice")
        return dict(super().construct_mapping(node, deep))
