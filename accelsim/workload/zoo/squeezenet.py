"""SqueezeNet (arXiv:1602.07360) v1.0 and v1.1, its bypass forms and its metaparameters."""

from __future__ import annotations

from typing import Literal

from accelsim.errors import WorkloadError
from accelsim.workload.network import Network, NetworkBuilder, Tensor

FIRE_MODULES = 8

POOL_AFTER: dict[str, tuple[str, ...]] = {"1.0": ("fire4", "fire8"), "1.1": ("fire3", "fire5")}
"""Modules after which each version pools."""

STEM: dict[str, tuple[int, int]] = {"1.0": (96, 7), "1.1": (64, 3)}
"""Channels and kernel of each version's first convolution."""

RESOLUTION: dict[str, int] = {"1.0": 227, "1.1": 224}
"""Image sizes at which the versions' published MACs were counted."""


def squeezenet(
    *,
    version: Literal["1.0", "1.1"] = "1.0",
    bypass: Literal["none", "simple", "complex"] = "none",
    base_e: int = 128,
    incr_e: int = 128,
    freq: int = 2,
    pct3x3: float = 0.5,
    SR: float = 0.125,
    head_padding: int = 0,
    classes: int = 1000,
    resolution: int | None = None,
    name: str = "squeezenet",
) -> Network:
    """Build a SqueezeNet.

    Fire module i (0 to 7) has ``base_e + incr_e * (i // freq)`` expand filters, of which a share ``pct3x3``
    is 3x3, and ``SR`` times as many squeeze filters.

    Args:
        version: ``"1.0"`` (7x7 first convolution) or ``"1.1"`` (3x3, earlier pooling).
        bypass: ``"simple"`` adds a module's input to its output where the channels agree; ``"complex"``
            also does so through a 1x1 convolution where they do not.
        base_e: Expand filters of the first module.
        incr_e: Expand filters added every ``freq`` modules.
        freq: Modules between two increases.
        pct3x3: Share of 3x3 filters among the expand filters, 0 to 1.
        SR: Squeeze filters over expand filters.
        head_padding: Padding of conv10; 0 as in the paper, 1 as in the released v1.0 Caffe file.
        classes: Number of classes.
        resolution: Height and width of the image, in pixels; default 227 (1.0) or 224 (1.1).
        name: Name of the network.

    Returns:
        The network.

    Raises:
        WorkloadError: A parameter is out of range.
    """
    if version not in STEM:
        raise WorkloadError(f"squeezenet: version must be {' or '.join(map(repr, STEM))}, got {version!r}")
    if bypass not in ("none", "simple", "complex"):
        raise WorkloadError(f"squeezenet: bypass must be 'none', 'simple' or 'complex', got {bypass!r}")
    if freq < 1:
        raise WorkloadError(f"squeezenet: freq must be at least 1, got {freq}")
    if not 0 <= pct3x3 <= 1:
        raise WorkloadError(f"squeezenet: pct3x3 must be from 0 to 1, got {pct3x3}")
    if not 0 < SR <= 1:
        raise WorkloadError(f"squeezenet: SR must be above 0 and at most 1, got {SR}")
    resolution = RESOLUTION[version] if resolution is None else resolution
    b = NetworkBuilder(
        name,
        (3, resolution, resolution),
        family="squeezenet",
        parameters={
            "version": version,
            "bypass": bypass,
            "base_e": base_e,
            "incr_e": incr_e,
            "freq": freq,
            "pct3x3": pct3x3,
            "SR": SR,
            "head_padding": head_padding,
            "classes": classes,
            "resolution": resolution,
        },
    )
    channels, kernel = STEM[version]
    x = b.conv_relu(b.input, channels, kernel, stride=2, bias=True, name="conv1")
    x = b.max_pool(x, 3, stride=2, ceil_mode=True, name="pool1")
    for i in range(FIRE_MODULES):
        module = f"fire{i + 2}"
        with b.scope(module):
            x = _fire(b, module, x, base_e + incr_e * (i // freq), pct3x3, SR, bypass)
        if module in POOL_AFTER[version]:
            x = b.max_pool(x, 3, stride=2, ceil_mode=True, name=f"pool{i + 2}")
    x = b.dropout(x, name="drop9")
    x = b.conv_relu(x, classes, padding=head_padding, bias=True, name="conv10")
    x = b.global_avg_pool(x, name="pool10")
    b.softmax(x, name="softmax")
    return b.build()


def _fire(
    b: NetworkBuilder, module: str, x: Tensor, expand: int, share_3x3: float, squeeze_ratio: float, bypass: str
) -> Tensor:
    """Add one fire module with its bypass and return its output."""
    wide = round(expand * share_3x3)
    narrow = expand - wide
    squeeze = b.conv_relu(x, round(expand * squeeze_ratio), bias=True, name=f"{module}/squeeze1x1")
    branches = []
    if narrow:
        branches.append(b.conv_relu(squeeze, narrow, bias=True, name=f"{module}/expand1x1"))
    if wide:
        branches.append(b.conv_relu(squeeze, wide, 3, padding=1, bias=True, name=f"{module}/expand3x3"))
    out = b.concat(*branches, name=f"{module}/concat") if len(branches) > 1 else branches[0]
    if bypass != "none" and x.channels == out.channels:
        return b.add(x, out, name=f"{module}/add")
    if bypass == "complex":
        return b.add(b.conv(x, expand, bias=True, name=f"{module}/bypass1x1"), out, name=f"{module}/add")
    return out
