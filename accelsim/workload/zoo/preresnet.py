"""Pre-activation ResNet (arXiv:1603.05027), with the paper's shortcut variants and activation orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from accelsim.workload.network import Network, NetworkBuilder, Tensor
from accelsim.workload.zoo.blocks import classifier, require_choice, require_positive
from accelsim.workload.zoo.residual import (
    CIFAR_WIDTH,
    EXPANSION,
    FIRST_BOTTLENECK_DEPTH,
    STAGE_WIDTH,
    UNITS,
    cifar_units,
    imagenet_stem,
    stage_units,
    stages,
)
from accelsim.workload.zoo.resnet import StrideIn

Shortcut = Literal["identity", "constant_scale", "exclusive_gate", "shortcut_only_gate", "conv1x1", "dropout"]
ActivationOrder = Literal["original", "bn_after_add", "relu_before_add", "relu_only", "full_preactivation"]
Option = Literal["A", "B"]

SHORTCUTS = ("identity", "constant_scale", "exclusive_gate", "shortcut_only_gate", "conv1x1", "dropout")
"""Figure 2 of the paper."""

BODY_STEPS = {
    "original": ("", "conv bn relu", "conv bn"),
    "bn_after_add": ("", "conv bn relu", "conv"),
    "relu_before_add": ("", "conv bn relu", "conv bn relu"),
    "relu_only": ("relu", "conv bn relu", "conv bn"),
    "full_preactivation": ("bn relu", "conv bn relu", "conv"),
}
"""Activation order -> (what precedes the first, follows every but the last, and is the last convolution's part)."""

AFTER_ADD = {
    "original": "relu",
    "bn_after_add": "bn relu",
    "relu_before_add": "",
    "relu_only": "",
    "full_preactivation": "",
}
"""Activation order -> what follows the addition (Figure 4 of the paper)."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """What a residual unit looks like; fields as of ``preresnet``."""

    bottleneck: bool
    stride_in: str
    shortcut: str
    shortcut_scale: float
    residual_scale: float
    activation_order: str
    option: str


def preresnet(
    *,
    depth: int = 50,
    blocks: Sequence[int] | None = None,
    bottleneck: bool | None = None,
    stride_in: StrideIn = "1x1",
    shortcut: Shortcut = "identity",
    shortcut_scale: float = 0.5,
    residual_scale: float = 0.5,
    activation_order: ActivationOrder = "full_preactivation",
    option: Option = "B",
    resolution: int = 224,
    classes: int = 1000,
    name: str = "preresnet",
) -> Network:
    """Pre-activation ResNet for ImageNet.

    The stem is normalised and activated before its pool, and the first unit activates once more after it, as
    pytorchcv's definition does (the authors' leaves the second out: 128 batch-norm parameters fewer).

    Args:
        depth: Layers with weights: 18, 34, 50, 101, 152 or 200.
        blocks: Residual units of every stage, in place of those of ``depth``.
        bottleneck: Whether a unit is 1x1, 3x3, 1x1 (and not two 3x3); default: from depth 50 on.
        stride_in: Which convolution of a bottleneck has the stride: the first ``"1x1"`` or the ``"3x3"``.
        shortcut: What lies on the shortcut of every unit (Figure 2): nothing (``"identity"``); a constant
            factor on it and on the body (``"constant_scale"``); a gate g, a 1x1 convolution of the unit's input
            with sigmoid, whose g scales the body and 1 - g the shortcut (``"exclusive_gate"``) or 1 - g the
            shortcut alone (``"shortcut_only_gate"``); a 1x1 convolution (``"conv1x1"``); or dropout. Where the
            shape changes, the variant works on what ``option`` makes, which the paper leaves open.
        shortcut_scale: Constant factor of the shortcut.
        residual_scale: Constant factor of the body; 1 for none.
        activation_order: Where batch norm and ReLU stand around convolutions and addition (Figure 4).
        option: Shortcut where the shape changes: ``"A"`` zero channels, ``"B"`` projection.
        resolution: Input height and width, in pixels.
        classes: Outputs of the classifier.
        name: Name of the network.

    Returns:
        The network.

    Raises:
        WorkloadError: A parameter that the family does not come in.
    """
    units = stage_units("preresnet", depth, blocks, UNITS)
    form = Form(
        bottleneck=depth >= FIRST_BOTTLENECK_DEPTH if bottleneck is None else bottleneck,
        stride_in=stride_in,
        shortcut=shortcut,
        shortcut_scale=shortcut_scale,
        residual_scale=residual_scale,
        activation_order=activation_order,
        option=option,
    )
    _check("preresnet", form)
    parameters = {"depth": depth, "blocks": list(units), **vars(form), "resolution": resolution, "classes": classes}
    b = NetworkBuilder(name, (3, resolution, resolution), family="preresnet", parameters=parameters)
    _finish(b, imagenet_stem(b), units, STAGE_WIDTH, form, classes)
    return b.build()


def preresnet_cifar(
    *,
    depth: int = 110,
    bottleneck: bool | None = None,
    stride_in: StrideIn = "3x3",
    shortcut: Shortcut = "identity",
    shortcut_scale: float = 0.5,
    residual_scale: float = 0.5,
    activation_order: ActivationOrder = "full_preactivation",
    option: Option = "B",
    resolution: int = 32,
    classes: int = 10,
    name: str = "preresnet_cifar",
) -> Network:
    """Pre-activation ResNet for CIFAR; parameters as of ``preresnet``, but for these.

    The first unit's activation comes before its shortcut splits off, and the last unit has an activation after
    its addition (the paper's appendix). The stride is in the 3x3 as in pytorchcv's definition; the authors'
    resnet-1k-layers has it in the first 1x1 (same parameters, fewer MACs).

    Args:
        depth: Layers with weights: 6 n + 2 for n basic units a stage (110), 9 n + 2 for bottlenecks (164, 1001 ...).
        bottleneck: Whether a unit is 1x1, 3x3, 1x1 (and not two 3x3); default: from depth 164 on.
        stride_in: As of ``preresnet``.
        shortcut: As of ``preresnet``.
        shortcut_scale: As of ``preresnet``.
        residual_scale: As of ``preresnet``.
        activation_order: As of ``preresnet``.
        option: As of ``preresnet``.
        resolution: Input height and width, in pixels.
        classes: Outputs of the classifier.
        name: Name of the network.

    Returns:
        The network.

    Raises:
        WorkloadError: A parameter that the family does not come in.
    """
    if bottleneck is None:
        bottleneck = depth >= 164
    units = cifar_units("preresnet_cifar", depth, 3 if bottleneck else 2)
    form = Form(
        bottleneck=bottleneck,
        stride_in=stride_in,
        shortcut=shortcut,
        shortcut_scale=shortcut_scale,
        residual_scale=residual_scale,
        activation_order=activation_order,
        option=option,
    )
    _check("preresnet_cifar", form)
    parameters = {"depth": depth, **vars(form), "resolution": resolution, "classes": classes}
    b = NetworkBuilder(name, (3, resolution, resolution), family="preresnet_cifar", parameters=parameters)
    with b.scope("stem"):
        # What the first unit does before its first convolution is not repeated here.
        after = {"full_preactivation": "conv", "relu_only": "conv bn"}.get(activation_order, "conv bn relu")
        x = _steps(b, b.input, after, channels=CIFAR_WIDTH, kernel=3)
    _finish(b, x, units, CIFAR_WIDTH, form, classes)
    return b.build()


def _check(family: str, form: Form) -> None:
    """Refuse a unit that the family does not come in."""
    require_choice(family, "stride_in", form.stride_in, ("1x1", "3x3"))
    require_choice(family, "shortcut", form.shortcut, SHORTCUTS)
    require_choice(family, "activation_order", form.activation_order, tuple(AFTER_ADD))
    require_choice(family, "option", form.option, ("A", "B"))
    require_positive(family, shortcut_scale=form.shortcut_scale, residual_scale=form.residual_scale)


def _finish(b: NetworkBuilder, x: Tensor, units: Sequence[int], width: int, form: Form, classes: int) -> None:
    """Add all stages, the last activation and the classifier."""
    first = x.name

    def unit(b: NetworkBuilder, x: Tensor, channels: int, stride: int) -> Tensor:
        return _unit(b, x, channels, stride, form, is_first=x.name == first)

    x = stages(b, x, units, width * (EXPANSION if form.bottleneck else 1), unit)
    before_first_conv = BODY_STEPS[form.activation_order][0]
    if before_first_conv:
        with b.scope("post"):
            x = _steps(b, x, before_first_conv)
    classifier(b, x, classes)


def _unit(b: NetworkBuilder, x: Tensor, channels: int, stride: int, form: Form, *, is_first: bool) -> Tensor:
    """Add one unit: body, shortcut, their sum and what follows it."""
    changes = stride != 1 or x.channels != channels
    y = _steps(b, x, BODY_STEPS[form.activation_order][0])
    # Where the shape changes, and in the first unit, body and shortcut share the activation (the paper's appendix
    # and the authors' code); elsewhere the shortcut carries the unit's raw input.
    origin = y if changes or is_first else x
    body = _body(b, y, channels, stride, form)
    return _steps(b, _joined(b, origin, body, stride, form), AFTER_ADD[form.activation_order])


def _body(b: NetworkBuilder, x: Tensor, channels: int, stride: int, form: Form) -> Tensor:
    """Add the residual function, after what precedes its first convolution."""
    _, inner, last = BODY_STEPS[form.activation_order]
    if not form.bottleneck:
        x = _steps(b, x, inner, channels=channels, kernel=3, stride=stride)
        return _steps(b, x, last, channels=channels, kernel=3)
    early, late = (stride, 1) if form.stride_in == "1x1" else (1, stride)
    x = _steps(b, x, inner, channels=channels // EXPANSION, stride=early)
    x = _steps(b, x, inner, channels=channels // EXPANSION, kernel=3, stride=late)
    return _steps(b, x, last, channels=channels)


def _identity(b: NetworkBuilder, x: Tensor, channels: int, stride: int, form: Form) -> Tensor:
    """Bring the shortcut to the shape of the body's output, if it has another."""
    if stride == 1 and x.channels == channels:
        return x
    with b.scope("shortcut"):
        if form.option == "A":
            return b.pad_channels(x, channels, stride=stride)
        return _projection(b, x, channels, stride, form)


def _projection(b: NetworkBuilder, x: Tensor, channels: int, stride: int, form: Form) -> Tensor:
    """Add a 1x1 convolution, normalised where the body's last one is."""
    steps = "conv bn" if "bn" in BODY_STEPS[form.activation_order][2] else "conv"
    return _steps(b, x, steps, channels=channels, stride=stride)


def _joined(b: NetworkBuilder, x: Tensor, body: Tensor, stride: int, form: Form) -> Tensor:
    """Add body and shortcut, with what the paper tries on the shortcut."""
    if form.shortcut == "conv1x1":
        with b.scope("shortcut"):
            skip = _projection(b, x, body.channels, stride, form)
    else:
        skip = _identity(b, x, body.channels, stride, form)
    if form.shortcut == "constant_scale":
        skip = b.activation(skip, f"scale {form.shortcut_scale}")
        if form.residual_scale != 1:
            body = b.activation(body, f"scale {form.residual_scale}")
    elif form.shortcut == "dropout":
        skip = b.dropout(skip)
    elif form.shortcut in ("exclusive_gate", "shortcut_only_gate"):
        with b.scope("gate"):
            gate = b.activation(b.conv(x, body.channels, stride=stride, bias=True), "sigmoid")
            skip = b.mul(skip, b.activation(gate, "one_minus"))
            if form.shortcut == "exclusive_gate":
                body = b.mul(body, gate)
    return b.add(body, skip)


def _steps(b: NetworkBuilder, x: Tensor, steps: str, *, channels: int = 0, kernel: int = 1, stride: int = 1) -> Tensor:
    """Add the operations that ``steps`` names, in order: ``conv``, ``bn``, ``relu``."""
    for step in steps.split():
        if step == "conv":
            x = b.conv(x, channels, kernel, stride=stride, padding=kernel // 2)
        else:
            x = b.batch_norm(x) if step == "bn" else b.relu(x)
    return x
