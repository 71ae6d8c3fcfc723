"""Built-in network families: parametric builders, one module a family, imported only when asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from inspect import Parameter, signature
from typing import Any

from accelsim.errors import WorkloadError, did_you_mean
from accelsim.workload.network import Network

FAMILIES: dict[str, str] = {
    "alexnet": "alexnet",
    "squeezenet": "squeezenet",
    "tiny_darknet": "tiny_darknet",
    "squeezenext": "squeezenext",
    "mobilenet": "mobilenet",
}
"""Family name -> module of this package; the builder is the module's function of the family's name."""


def builder(family: str) -> Callable[..., Network]:
    """Return the function that builds networks of ``family``.

    Raises:
        WorkloadError: There is no such family.
    """
    if family not in FAMILIES:
        raise WorkloadError(f"unknown network family {family!r}{did_you_mean(family, FAMILIES)}")
    module = import_module(f"{__name__}.{FAMILIES[family]}")
    function: Callable[..., Network] = getattr(module, family)
    return function


def build(family: str, **parameters: Any) -> Network:
    """Build a network of ``family``.

    Raises:
        WorkloadError: No such family, an unknown parameter, or a value that the family refuses.
    """
    function = builder(family)
    known = [p.name for p in signature(function).parameters.values() if p.kind is Parameter.KEYWORD_ONLY]
    for parameter in parameters:
        if parameter not in known:
            raise WorkloadError(
                f"family {family} has no parameter {parameter!r}{did_you_mean(parameter, known)}; "
                f"it has {', '.join(known)}"
            )
    return function(**parameters)
