"""SqueezeNext (arXiv:1803.10615), as the authors' Caffe definitions have it.

A unit takes C_in channels to C_out: 1x1 to C_out / 2, 1x1 to C_out / 4, a 3x1 and a 1x3 convolution to
C_out / 2 (whose order alternates from unit to unit), 1x1 to C_out, and the sum with its shortcut. Every
convolution is followed by batch norm and ReLU, and so is every sum by a ReLU. Convolutions are numbered
through the whole network in the order of definition, as the paper's Table 4 numbers them.

The paper also lists 23, 34 and 44 with Iterative Deep Aggregation (IDA), an idea of Deep Layer Aggregation
(arXiv:1707.06484), with parameters and accuracy. No list of their layers was found; the authors' repository has
none. ``ida=True`` is therefore a reading of the text, made of what the code of Deep Layer Aggregation does.
With x_s the output of section s and a_1 = x_1, sections 2 to 4 add

    a_s = node(concat(project(pool(a_{s-1})), x_s))

and the last 1x1 convolution reads a_4 in the place of x_4. ``project`` is a 1x1 convolution to the channels of
x_s (left out where a_{s-1} already has them) and ``node`` one from twice these channels to them, each with batch
norm and ReLU, as in that code's module for IDA (whose 3x3 nodes are for dense prediction; its classifiers have
1x1 ones); ``pool`` is the 2x2 max pooling with which its classifiers take a map to the next stage (left out where
the map is no smaller there). Assumed are: that sections (not units) are aggregated, that the aggregates run
beside the sections and do not feed them, and that nodes and projections have one group.

Against the published parameters, in millions (depth 23, 34, 44):

=============================================  =====  =====  =====
published, to one decimal                      0.9    1.3    1.5
this reading                                   0.934  1.269  1.456
a sum and a 1x1 node in place of the concat    0.848  1.183  1.370
concat and node without projection             0.847  1.182  1.369
a projection and a sum, without a node         0.761  1.096  1.283
all sections projected to the last one's 256   1.171  1.506  1.693
nodes between the units of a section instead   1.001  1.631  1.981
=============================================  =====  =====  =====

It is the only one of these that gives all three published figures to the digit, 2.4 to 3.8% from them. That
fits, and does not prove, that this was the authors' graph. MACs of these networks are not published.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from math import isfinite
from typing import Literal

from accelsim.errors import WorkloadError
from accelsim.workload.network import Network, NetworkBuilder, Tensor

Shortcut = Literal["parallel", "sequential"]

BLOCKS: dict[tuple[int, int], tuple[int, int, int, int]] = {
    (23, 1): (6, 6, 8, 1),
    # The paper prints the units of depth 23 only. Scaling them by 1.5 and by 2 gives the 32 and 42 units that the
    # names 34 and 44 stand for, and comes nearest to the published parameters (see networks/squeezenext34.yaml).
    (34, 1): (9, 9, 12, 2),
    (44, 1): (12, 12, 16, 2),
    (23, 2): (6, 6, 8, 1),
    (23, 3): (4, 8, 8, 1),
    (23, 4): (2, 10, 8, 1),
    (23, 5): (2, 4, 14, 1),
}
"""(depth, version) -> units in each of the four sections."""

STEM_CHANNELS = 64
"""Output channels of the first convolution, at every width."""

HEAD_CHANNELS = 128
"""Output channels of the last 1x1 convolution, at every width."""

SECTION_CHANNELS = (32, 64, 128, 256)
"""Output channels of the four sections at width 1."""


def squeezenext(
    *,
    depth: int | None = None,
    width: float = 1.0,
    version: int = 1,
    groups: int = 1,
    blocks: Sequence[int] | None = None,
    shortcut: Shortcut | None = None,
    ida: bool = False,
    classes: int = 1000,
    resolution: int = 227,
    name: str = "squeezenext",
) -> Network:
    """Build a SqueezeNext.

    Args:
        depth: 23, 34 or 44: the units of all sections plus the first and the last convolution. Default:
            that of ``blocks``, or 23.
        width: Multiplier of the channels of the four sections (rounded to a multiple of 4, as a unit has
            a quarter of them); the first convolution stays at 64 channels and the last 1x1 at 128.
        version: 1 has a 7x7 first convolution, 2 to 5 a 5x5 one and another distribution of units.
        groups: Groups of each unit's first 1x1, 3x1 and 1x3 convolutions (2 in the paper's "G" form).
        blocks: Units in each of the four sections; default: those published for depth and version.
        shortcut: How a unit that changes stride or width makes its shortcut with a 1x1 convolution:
            ``"parallel"`` to the unit's body, or ``"sequential"``, feeding the body and the sum.
            Default: parallel in version 1, sequential from version 2 on.
        ida: Aggregate the outputs of the four sections iteratively, from the first to the last, in front of
            the last 1x1 convolution. No list of the published variants' layers was found: what is built is
            the reading that this module's description states.
        classes: Number of classes.
        resolution: Height and width of the image, in pixels.
        name: Name of the network.

    Returns:
        The network.

    Raises:
        WorkloadError: A parameter is out of range, or groups do not divide a layer's channels.
    """
    sections = _sections(depth, version, blocks)
    channels = [_scaled(base, width) for base in SECTION_CHANNELS]
    if shortcut is None:
        shortcut = "parallel" if version == 1 else "sequential"
    if shortcut not in ("parallel", "sequential"):
        raise WorkloadError(f"squeezenext: shortcut must be 'parallel' or 'sequential', got {shortcut!r}")
    b = NetworkBuilder(
        name,
        (3, resolution, resolution),
        family="squeezenext",
        parameters={
            "depth": _depth(sections),
            "width": width,
            "version": version,
            "groups": groups,
            "blocks": list(sections),
            "shortcut": shortcut,
            "ida": ida,
            "classes": classes,
            "resolution": resolution,
        },
    )
    numbers = count(1)
    x = b.conv_bn(b.input, STEM_CHANNELS, 7 if version == 1 else 5, stride=2, name=f"conv{next(numbers)}")
    x = b.max_pool(x, 3, stride=2, ceil_mode=True, name="pool1")
    aggregate: Tensor | None = None
    tall_first = True
    for section, (units, width_out) in enumerate(zip(sections, channels, strict=True), start=1):
        for unit in range(1, units + 1):
            with b.scope(f"block{section}"), b.scope(f"unit{unit}"):
                first = unit == 1
                stride = 2 if first and section > 1 else 1
                x = _unit(b, x, width_out, stride, groups, shortcut if first else "identity", tall_first, numbers)
            tall_first = not tall_first
        if ida:
            aggregate = _aggregate(b, aggregate, x, section) if aggregate else x
    x = aggregate or x
    x = b.conv_bn(x, HEAD_CHANNELS, name=f"conv{next(numbers)}")
    x = b.global_avg_pool(x, name="pool5")
    x = b.linear(x, classes, name=f"fc{classes}")
    b.softmax(x, name="softmax")
    return b.build()


def _unit(
    b: NetworkBuilder,
    x: Tensor,
    channels: int,
    stride: int,
    groups: int,
    shortcut: Shortcut | Literal["identity"],
    tall_first: bool,
    numbers: Iterator[int],
) -> Tensor:
    """Add one unit and return its output."""
    identity, body = x, x
    if shortcut != "identity":
        identity = b.conv_bn(x, channels, stride=stride, name=f"conv{next(numbers)}")
        if shortcut == "sequential":
            body, stride = identity, 1
    body = b.conv_bn(body, channels // 2, stride=stride, groups=groups, name=f"conv{next(numbers)}")
    body = b.conv_bn(body, channels // 4, name=f"conv{next(numbers)}")
    for kernel in ((3, 1), (1, 3)) if tall_first else ((1, 3), (3, 1)):
        padding = (kernel[0] // 2, kernel[1] // 2)
        body = b.conv_bn(body, channels // 2, kernel, padding=padding, groups=groups, name=f"conv{next(numbers)}")
    body = b.conv_bn(body, channels, name=f"conv{next(numbers)}")
    return b.relu(b.add(identity, body))


def _aggregate(b: NetworkBuilder, shallow: Tensor, deep: Tensor, section: int) -> Tensor:
    """Add the aggregation node of ``section`` and return its output, of the shape of ``deep``."""
    prefix = f"ida{section}"
    with b.scope(prefix):
        if shallow.shape[1:] != deep.shape[1:]:
            shallow = b.max_pool(shallow, 2, stride=2, ceil_mode=True, name=f"{prefix}/pool")
        if shallow.channels != deep.channels:
            shallow = b.conv_bn(shallow, deep.channels, name=f"{prefix}/project")
        joined = b.concat(shallow, deep, name=f"{prefix}/concat")
        return b.conv_bn(joined, deep.channels, name=f"{prefix}/node")


def _depth(sections: Sequence[int]) -> int:
    """Return the depth in the paper's count: units, first and last convolution."""
    return sum(sections) + 2


def _sections(depth: int | None, version: int, blocks: Sequence[int] | None) -> tuple[int, ...]:
    """Return the units of each section."""
    if not 1 <= version <= 5:
        raise WorkloadError(f"squeezenext: version must be 1 to 5, got {version}")
    if blocks is None:
        wanted = (23 if depth is None else depth, version)
        if wanted not in BLOCKS:
            known = ", ".join(f"{d} version {v}" for d, v in BLOCKS)
            raise WorkloadError(
                f"squeezenext: depth {wanted[0]} version {version} has no published distribution of units; "
                f"give blocks, or one of {known}"
            )
        return BLOCKS[wanted]
    if len(blocks) != 4 or min(blocks) < 1:
        raise WorkloadError(f"squeezenext: blocks must be four positive integers, got {list(blocks)}")
    if depth is not None and depth != _depth(blocks):
        raise WorkloadError(f"squeezenext: blocks {list(blocks)} make a depth of {_depth(blocks)}, not {depth}")
    return tuple(blocks)


def _scaled(base: int, width: float) -> int:
    """Return a section's channels at ``width``."""
    if not (width > 0 and isfinite(width)):
        raise WorkloadError(f"squeezenext: width must be a positive number, got {width}")
    return max(4, 4 * round(base * width / 4))
