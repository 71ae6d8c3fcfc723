"""Where the files that ship with accelsim are: ``hwconfigs`` and ``networks``, one YAML file a name.

In an installed wheel they are inside the package; in a checkout they are at the top of the repository.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from accelsim.errors import InputError, did_you_mean

_PACKAGE = Path(__file__).resolve().parent


@cache
def data_files(kind: str) -> Mapping[str, Path]:
    """Return the shipped files of one kind: name -> path, sorted by name.

    Args:
        kind: ``"hwconfigs"`` or ``"networks"``.

    Raises:
        InputError: The installation lacks them.
    """
    # The wheel's own copy first: beside an installed package any directory may have that name.
    for directory in (_PACKAGE / "_data" / kind, _PACKAGE.parent / kind):
        if directory.is_dir():
            return MappingProxyType({path.stem: path for path in sorted(directory.glob("*.yaml"))})
    raise InputError(f"accelsim's {kind} are missing from {_PACKAGE}: install it again")


def data_names(kind: str) -> list[str]:
    """Return the names of the shipped files of one kind, sorted; errors as of ``data_files``."""
    return list(data_files(kind))


def data_file(kind: str, name: str) -> Path:
    """Return the path of the shipped file ``name`` of one kind.

    Raises:
        InputError: There is no such file.
    """
    files = data_files(kind)
    if name not in files:
        raise InputError(f"accelsim ships no {name!r} among its {kind}{did_you_mean(name, files)}")
    return files[name]
