"""``flask wepay`` for an application's own runner, which doesn't load entry points."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["commands"]


class _Commands(click.Group):
    """The commands, imported at their first use because a server never needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return _group().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _group().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        return _group().invoke(ctx)


def _group() -> click.Group:
    from .cli import wepay

    return wepay


#: The commands for ``app.cli``.
commands = _Commands("wepay", help="Manage the connections to WePay.")
