"""Groups of commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typer.core import TyperGroup

if TYPE_CHECKING:
    import typer

LIST = "list"


class Listing(TyperGroup):
    """A group whose `list` is what it does when no command of it is named."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Put `list` where no command is."""
        is_alone = not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)
        return super().parse_args(ctx, [LIST, *args] if is_alone else args)
