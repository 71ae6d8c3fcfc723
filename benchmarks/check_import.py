"""Compare both roads of import with each other, with the built-in networks, and with a count by hooks in PyTorch.

    PYTHONPATH=. python benchmarks/check_import.py [MODEL ...] [--keep FOLDER]

Every model is built with random weights by torchvision or pytorchcv and goes through ``torch.export`` (our
``import_torch``) and through two ONNX exporters: PyTorch's older one with batch norms kept, and its present one, which
folds them. Checked are

- PyTorch: MACs of convolutions and linear layers by hooks, MACs of all operators by PyTorch's own counter, and all
  parameters;
- built-in: the layers on the array of the network of that name here, in an order in which they can run;
- roads: the whole table, data-moving layers, names and edges included, of the older exporter's file against
  ``import_torch``, and of the present one's against the same with its batch norms folded.

The exit code is 1 if anything differs. Needs torch, torchvision, pytorchcv, onnx and onnxscript.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from accelsim.workload.batch_norm import fold_batch_norms
from accelsim.workload.imports.operations import Imported
from accelsim.workload.layer import Op
from accelsim.workload.loader import load_network
from accelsim.workload.network import Network
from accelsim.workload.onnx import import_onnx
from accelsim.workload.pytorch import import_torch
from tests.zoo_digest import layer_line


@dataclass(frozen=True)
class Model:
    """A public model: how to build it, the network here that it should equal, and what is known to differ, and why."""

    make: Callable[[], Any]
    builtin: str = ""
    why_not: str = ""
    pixels: int = 224
    known: Mapping[str, str] = field(default_factory=dict)


def tv(constructor: str, **options: Any) -> Callable[[], Any]:
    """Return the builder of a torchvision model."""
    return lambda: getattr(import_module("torchvision.models"), constructor)(weights=None, **options)


def pcv(constructor: str) -> Callable[[], Any]:
    """Return the builder of a pytorchcv model."""
    return lambda: import_module("pytorchcv.model_provider").get_model(constructor)


MODELS: dict[str, Model] = {
    "resnet18": Model(tv("resnet18"), "resnet18"),
    "mobilenet": Model(pcv("mobilenet_w1"), "mobilenet"),
    "squeezenext23": Model(
        pcv("sqnxt23_w1"),
        "",
        "pytorchcv's units have other channels than the paper's; the test's "
        "export of the authors' Caffe definition is compared instead",
    ),
    "squeezenet1_0": Model(tv("squeezenet1_0"), "squeezenet_v1.0", pixels=227),
    "squeezenet1_1": Model(tv("squeezenet1_1"), "squeezenet_v1.1"),
    "densenet121": Model(tv("densenet121"), "densenet121"),
    "shufflenet_g3": Model(pcv("shufflenet_g3_w1"), "shufflenet_g3"),
    "mobilenet_v2": Model(tv("mobilenet_v2"), "mobilenet_v2"),
    "efficientnet_b0": Model(tv("efficientnet_b0"), "efficientnet_b0"),
    "seresnet50": Model(pcv("seresnet50"), "seresnet50"),
    "vit_b_16": Model(tv("vit_b_16"), "", "no transformer is built in"),
    "shufflenet_v2": Model(tv("shufflenet_v2_x1_0"), "shufflenet_v2"),
    "googlenet": Model(tv("googlenet", aux_logits=False, init_weights=False), "", "torchvision's has batch norms"),
    "mobilenet_v3_small": Model(tv("mobilenet_v3_small"), "", "not built in"),
    "convnext_tiny": Model(tv("convnext_tiny"), "", "not built in"),
    "swin_t": Model(
        tv("swin_t"),
        "",
        "no transformer is built in",
        known={
            "older": "its exporter computes two equal slices once",
            "PyTorch": "its attention calls linear layers as functions, which hooks do not see",
            "present": "its exporter stores the table of position biases gathered, with more parameters",
        },
    ),
}


def count_in_torch(module: Any, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return MACs by hooks on convolutions and linear layers, MACs of all operators, and all parameters."""
    import torch  # noqa: PLC0415
    from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: PLC0415
    from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415

    macs = 0

    def count(layer: Any, _: Any, output: Any) -> None:
        nonlocal macs
        if isinstance(layer, torch.nn.Linear):
            macs += output.numel() * layer.in_features
        else:
            macs += output[0, 0].numel() * layer.weight.numel()

    def count_attention(layer: Any, inputs: Any, _: Any) -> None:
        nonlocal macs  # its linear layers are called as functions, so that their own hooks see nothing
        macs += 4 * inputs[0].numel() * layer.embed_dim

    kinds = torch.nn.Conv2d | torch.nn.Linear
    attention = [layer for layer in module.modules() if isinstance(layer, torch.nn.MultiheadAttention)]
    inner = {id(part) for layer in attention for part in layer.modules()}
    layers = [layer for layer in module.modules() if isinstance(layer, kinds) and id(layer) not in inner]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    hooks += [layer.register_forward_hook(count_attention) for layer in attention]
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.no_grad(), FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        module(torch.zeros(1, *shape))
    for hook in hooks:
        hook.remove()
    return macs, counter.get_total_flops() // 2, sum(parameter.numel() for parameter in module.parameters())


def randomise(module: Any) -> None:
    """Give every tensor values of its own: exporters merge equal ones, and drop zeros."""
    import torch  # noqa: PLC0415

    torch.manual_seed(0)
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.is_floating_point():
                tensor.uniform_(0.1, 1.0)


def export(module: Any, path: Path, shape: tuple[int, ...], *, present: bool) -> None:
    """Write an ONNX file by PyTorch's present exporter, or by its older one with batch norms kept."""
    import torch  # noqa: PLC0415

    torch.backends.mha.set_fastpath_enabled(False)
    options: dict[str, Any] = {"dynamo": True, "verbose": False, "external_data": False}
    if not present:
        kept = torch.onnx.TrainingMode.PRESERVE
        options = {"dynamo": False, "opset_version": 17, "training": kept, "do_constant_folding": False}
    with torch.no_grad(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (torch.zeros(1, *shape),), str(path), **options)


def table(network: Network) -> list[tuple[Any, ...]]:
    """Return all that a network's table says, names and edges included."""
    return [(layer, network.inputs[layer.name]) for layer in network]


def difference(ours: Network, theirs: Network) -> str:
    """Return where two networks' tables differ first, or nothing."""
    for index, (one, other) in enumerate(zip(table(ours), table(theirs), strict=False)):
        if one != other:
            return f"row {index}: {one} / {other}"
    return "" if len(ours) == len(theirs) else f"{len(ours)} rows / {len(theirs)}"


def builtin_difference(network: Network, name: str) -> str:
    """Return how the layers on the array differ from a built-in network's, as sets with counts; or nothing."""
    builtin = load_network(name)
    lines = [Counter(layer_line(layer) for layer in net.array_layers) for net in (network, builtin)]
    only = [sorted((lines[0] - lines[1]).elements()), sorted((lines[1] - lines[0]).elements())]
    if any(only):
        return f"only here {only[0][:3]}, only in the built-in {only[1][:3]}"
    totals = [{key: net.totals[key] for key in ("params", "macs")} for net in (network, builtin)]
    return "" if totals[0] == totals[1] else f"{totals[0]} / {totals[1]}"


def counts(network: Network) -> tuple[int, int, int]:
    """Return what ``count_in_torch`` returns; products of two maps belong to no layer of PyTorch's."""
    weighted = sum(layer.macs for layer in network if layer.op is not Op.MATMUL)
    return weighted, network.totals["macs"], network.totals["params"]


def check(name: str, folder: Path) -> bool:
    """Check one model and print its row; return whether all agrees."""
    model = MODELS[name]
    module, shape = model.make().eval(), (3, model.pixels, model.pixels)
    randomise(module)
    start = time.perf_counter()
    torch_road: Imported = import_torch(module, shape, name=name)
    seconds = [time.perf_counter() - start]
    problems: list[str] = []
    files = []
    for label, present in (("older", False), ("present", True)):
        path = folder / f"{name}_{label}.onnx"
        export(module, path, shape, present=present)
        start = time.perf_counter()
        files.append(import_onnx(path, name=name))
        seconds.append(time.perf_counter() - start)
    ours = torch_road.network
    counted = count_in_torch(module, shape)
    found = {
        "PyTorch": "" if counts(ours) == counted else f"{counts(ours)} / {counted}",
        "built-in": builtin_difference(ours, model.builtin) if model.builtin else "",
        "older": difference(ours, files[0].network),
        "present": difference(fold_batch_norms(ours), files[1].network),
    }
    unknown = sum((imported.unknown for imported in (torch_road, *files)), Counter())
    if unknown:
        found["unknown"] = str(dict(unknown))
    # Of what is known to differ the MACs have to agree all the same.
    macs = {"PyTorch": counted[1], "older": files[0].network.totals["macs"], "present": files[1].network.totals["macs"]}
    for what, their_macs in macs.items():
        if found[what] and what in model.known and their_macs == ours.totals["macs"]:
            found[what] = ""
    problems = [f"    {what}: {text[:600]}" for what, text in found.items() if text]
    marks = ["differs" if found[what] else "equal" for what in ("PyTorch", "built-in", "older", "present")]
    marks = [
        "known" if what in model.known and mark == "equal" else mark for what, mark in zip(found, marks, strict=False)
    ]
    if not model.builtin:
        marks[1] = "-"
    print(
        f"{name:20} {ours.totals['macs']:>14,} {ours.totals['params']:>12,} {len(ours.array_layers):>6} {len(ours):>6} "
        + " ".join(f"{mark:>8}" for mark in marks)
        + " "
        + " ".join(f"{value:6.2f}" for value in seconds),
        flush=True,
    )
    print("\n".join(problems), end="\n" if problems else "", flush=True)
    return not problems


def main() -> int:
    """Check all models, or those named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help=f"of {', '.join(MODELS)}")
    parser.add_argument("--keep", type=Path, help="keep the exported files in this folder")
    arguments = parser.parse_args()
    print(
        f"{'model':20} {'MACs':>14} {'parameters':>12} {'array':>6} {'layers':>6} {'PyTorch':>8} {'built-in':>8} "
        f"{'older':>8} {'present':>8} {'torch':>6} {'onnx':>6} {'onnx':>6}"
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results = [check(name, folder) for name in arguments.models or MODELS]
    for name, model in MODELS.items():
        if model.why_not and name in (arguments.models or MODELS):
            print(f"no built-in for {name}: {model.why_not}")
        for what, why in model.known.items() if name in (arguments.models or MODELS) else ():
            print(f"known, {name}, {what}: {why}; MACs agree")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
