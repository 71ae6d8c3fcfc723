"""Design-space exploration, of the hardware and of the network together.

``space`` says what varies, ``samplers`` which points are taken, ``evaluate`` what a point costs, ``runner`` who does
the work, ``store`` keeps the results, ``front`` reads them. The package itself can be called: it is ``explore``.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    """Makes ``from accelsim import explore`` the function that it reads like, as the package has the same name."""

    def __call__(self, space: Any, **options: Any) -> Generator[Any, None, None]:
        """Search a design space; see ``accelsim.explore.runner.explore``."""
        from accelsim.explore.runner import explore  # noqa: PLC0415 - importing the package costs nothing

        return explore(space, **options)


sys.modules[__name__].__class__ = _CallablePackage
