"""The exceptions that accelsim raises for wrong input.

Every message is one sentence that a user can act on: it names the thing (file and line, layer,
field), what was found, and what is allowed. The command line prints it and exits with status 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AccelsimError(Exception):
    """Base of every error that accelsim raises on purpose."""


class InputError(AccelsimError):
    """A name, a file or an option that the user gave is wrong."""


class WorkloadError(InputError):
    """A layer or a network that cannot exist: shapes that do not match, a cycle, a bad parameter."""


class HardwareError(InputError):
    """A hardware description that cannot exist: an unknown key, a negative size, a missing level."""


class NoMappingError(AccelsimError):
    """A layer that no mapping fits on the hardware; names the layer, level, operand and words."""


class MissingExtraError(AccelsimError):
    """An optional dependency is not installed; names the command that installs it."""


def did_you_mean(name: str, known: Iterable[str], count: int = 3) -> str:
    """Return ``"; did you mean 'a' or 'b'?"`` for the nearest known names, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=count, cutoff=0.5)
    if not close:
        return ""
    return f"; did you mean {' or '.join(repr(match) for match in close)}?"
