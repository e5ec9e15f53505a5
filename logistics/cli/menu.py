"""Groups of commands: of each a line is known, and the rest is imported when it is called."""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from collections.abc import Mapping

LIST = "list"
"""What a group does that has such a command, when no command of it is named."""
HOME = __name__.rpartition(".")[0]


class Entry(TyperCommand):
    """Stands for a command in lists of commands."""

    def __init__(self, name: str, where: str, line: str) -> None:
        """`where` is `module:function`, within this package; `line` is how its description begins."""
        super().__init__(name, help=line)
        self._where = where

    def command(self) -> Any:
        """Return the command itself."""
        module, _, function = self._where.partition(":")
        alone = typer.Typer(add_completion=False)
        alone.command(self.name)(getattr(import_module(f"{HOME}.{module}"), function))
        return typer.main.get_command(alone)


class Menu(TyperGroup):
    """A group of commands that are imported when they are called."""

    entries: ClassVar[Mapping[str, tuple[str, str]]] = MappingProxyType({})
    """Where a command is and its first line, by name, in the order in which they are listed."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        groups = self.commands
        self.commands = {name: Entry(name, *each) for name, each in self.entries.items()}
        self.commands.update(groups)

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Put `list` where no command is, if there is such a one."""
        is_alone = not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)
        return super().parse_args(ctx, [LIST, *args] if is_alone and LIST in self.entries else args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is called by name: here it is imported."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.command() if isinstance(command, Entry) else command, rest
