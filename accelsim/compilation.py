"""Says once when kernels are about to be compiled, so that a first run does not look as if it hung."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

log = logging.getLogger("accelsim")

_announced: set[str] = set()


def announce(kernel: Any, what: str, duration: str) -> None:
    """Say before a kernel's first call that it will be compiled, unless an earlier run has left it on disk.

    Args:
        kernel: A compiled function of numba's.
        what: Whose kernels they are.
        duration: How long it takes, about.
    """
    module = kernel.__module__
    if module in _announced:
        return
    _announced.add(module)
    folder = getattr(getattr(kernel, "_cache", None), "cache_path", None)
    file = f"{module.rpartition('.')[2]}.{kernel.__name__}"
    if folder is not None and not any(Path(folder).glob(f"{file}-*.nbi")):
        log.warning("compiling %s kernels for this machine, once (about %s)", what, duration)
