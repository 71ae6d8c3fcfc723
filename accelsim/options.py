"""Parts of the command line that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from accelsim.errors import InputError

if TYPE_CHECKING:
    from click import Context

    from accelsim.report.selection import Selection
    from accelsim.result import Column


def selection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which rows and columns are shown, for ``selection_of``."""
    for option in (
        click.option("--top", type=int, help="How many rows to show, after sorting."),
        click.option("--columns", default="", help="Columns to show, comma-separated; `help` lists them."),
        click.option("--sort", default="", help="Column to sort by, largest first; -COLUMN turns it round."),
    ):
        command = option(command)
    return command


def selection_of(options: dict[str, Any], known: Mapping[str, Column], format_: str) -> Selection:
    """Take the options of ``selection_options`` out of all options, and return what they ask for.

    ``--columns help`` prints the columns with their units and definitions, and ends the command.

    Raises:
        InputError: A column does not exist, or the format holds everything.
    """
    from accelsim.report.selection import Selection, definitions  # noqa: PLC0415 - not for commands without tables

    sort, columns, top = (options.pop(name) for name in ("sort", "columns", "top"))
    if columns == "help":
        click.echo("\n".join(definitions(known)))
        raise click.exceptions.Exit(0)
    names = tuple(name.strip() for name in columns.split(",") if name.strip())
    selection = Selection(sort=sort, columns=names, top=top)
    selection.check(known)
    if selection and format_ not in ("table", "csv"):
        raise InputError(f"--sort, --columns and --top shape tables and CSV; --format {format_} holds everything")
    return selection


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
