"""What a shell offers for a name that is half typed: networks, accelerators, objectives, dataflows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem, get_completion_class
from click.types import StringParamType

if TYPE_CHECKING:
    from click import Context, Parameter

SHELLS = ("bash", "zsh", "fish")
"""Shells that there are scripts for."""


class Name(StringParamType):
    """Any text, for which a shell offers known names, or files where none of them fits."""

    def __init__(self, known: Callable[[], Iterable[str]]) -> None:
        self._known = known

    def shell_complete(self, ctx: Context, param: Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the known names that begin with what is typed, or one item that asks the shell for files."""
        names = [CompletionItem(name) for name in self._known() if name.startswith(incomplete)]
        return names or [CompletionItem(incomplete, type="file")]


def _shipped(kind: str) -> Callable[[], list[str]]:
    def names() -> list[str]:
        from accelsim.data import data_names  # noqa: PLC0415 - not for commands that complete nothing

        return data_names(kind)

    return names


NETWORK = Name(_shipped("networks"))
"""A network's name or file."""

HARDWARE = Name(_shipped("hwconfigs"))
"""An accelerator's name or file."""

OBJECTIVE = Name(lambda: ("cycles", "energy", "edp"))
"""What a mapping is chosen for."""

DATAFLOW = Name(lambda: ("best", "any", "ws", "is", "os", "os_soc_mop", "os_moc_sop", "os_moc_mop", "rs", "nlr"))
"""A dataflow; an accelerator may name more."""


def script(command: click.Command, shell: str, program: str) -> str:
    """Return the script that makes a shell complete a program's commands, options and names.

    Args:
        command: The program's outermost command.
        shell: One of ``SHELLS``.
        program: Name of the program, as the shell finds it.
    """
    complete = get_completion_class(shell)
    assert complete is not None, shell
    filled = complete(command, {}, program, f"_{program.upper()}_COMPLETE")
    # Not source(): it starts bash to look at its version, and the script may be for another machine.
    return filled.source_template % filled.source_vars()
