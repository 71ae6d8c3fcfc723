"""Built-in network families: parametric builders, one module a family, imported only when asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from inspect import Parameter, signature
from typing import Any, get_type_hints

from msgspec.inspect import type_info

from accelsim.errors import WorkloadError, did_you_mean
from accelsim.typecheck import mismatch, path_text
from accelsim.workload.network import Network

FAMILIES: dict[str, str] = {
    "alexnet": "alexnet",
    "squeezenet": "squeezenet",
    "tiny_darknet": "tiny_darknet",
    "squeezenext": "squeezenext",
    "mobilenet": "mobilenet",
    "vgg": "vgg",
    "googlenet": "googlenet",
    "bn_inception": "bn_inception",
    "inception_v3": "inception_v3",
    "inception_resnet": "inception_resnet",
    "shufflenet": "shufflenet",
    "shufflenet_v2": "shufflenet_v2",
    "mobilenet_v2": "mobilenet_v2",
    "efficientnet": "efficientnet",
    "mnasnet": "mnasnet",
    "resnet": "resnet",
    "resnet_cifar": "resnet",
    "preresnet": "preresnet",
    "preresnet_cifar": "preresnet",
    "resnext": "resnext",
    "se_resnet": "senet",
    "se_resnext": "senet",
    "senet154": "senet",
    "densenet": "densenet",
    "densenet_cifar": "densenet",
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
        WorkloadError: No such family, an unknown parameter, a value of the wrong type, or one that the
            family refuses.
    """
    function = builder(family)
    types = get_type_hints(function)
    known = [p.name for p in signature(function).parameters.values() if p.kind is Parameter.KEYWORD_ONLY]
    for parameter, value in parameters.items():
        if parameter not in known:
            raise WorkloadError(
                f"family {family} has no parameter {parameter!r}{did_you_mean(parameter, known)}; "
                f"it has {', '.join(known)}"
            )
        plain = list(value) if isinstance(value, tuple) else value
        problem = mismatch(plain, type_info(types[parameter]), (parameter,))
        if problem is not None:
            raise WorkloadError(f"family {family}: {path_text(problem[0])}: {problem[1]}")
    try:
        return function(**parameters)
    except (OverflowError, ValueError) as wrong:  # what becomes of infinity and of no number at all
        raise WorkloadError(f"family {family}: a parameter is out of range: {wrong}") from None
