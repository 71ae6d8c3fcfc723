"""Parts of the command line that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click import Context


class ManyHardware(click.Command):
    """A command ``NETWORKS... --hw A B ...``: several accelerators may follow one ``--hw``.

    They may where the command line starts with a network; otherwise the words after the first one are networks.
    """

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Give every accelerator a ``--hw`` of its own, as click wants it."""
        if args and not args[0].startswith("-"):
            args = _repeated("--hw", args)
        return super().parse_args(ctx, args)


def _repeated(option: str, args: list[str]) -> list[str]:
    """Return the arguments with the option before each of the words that follow it."""
    words: list[str] = []
    values = -1  # words since the option; negative if it is not the last one seen
    for word in args:
        if word.startswith("-"):
            values = 0 if word == option else -1
        elif values >= 0:
            values += 1
            if values > 1:
                words.append(option)
        words.append(word)
    return words
