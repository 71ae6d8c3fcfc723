"""Networks from PyTorch modules, through ``torch.export``: the layers that the module's ONNX file would give.

A module given as ``package.module:factory`` is made by importing that package and calling the factory: this runs its
code, as nothing else in accelsim does.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

from accelsim.errors import AccelsimError, MissingExtraError, WorkloadError
from accelsim.workload.imports.constants import Constant
from accelsim.workload.imports.lowering import to_network
from accelsim.workload.imports.operations import Graph, Imported, checked_shape
from accelsim.workload.imports.torch_operators import ATEN, SHAPE_ONLY, Call, unknown
from accelsim.workload.imports.translation import Node, Translation
from accelsim.workload.network import Network

IMAGE_SHAPE = (3, 224, 224)
"""Shape of one image where none is given."""


def from_torch(
    module: Any, input_shape: Sequence[int] | Sequence[Sequence[int]] = IMAGE_SHAPE, *, name: str | None = None
) -> Network:
    """Return the network that a PyTorch module is.

    Args:
        module: A ``torch.nn.Module``; its weights are not read, and it may be on the ``meta`` device.
        input_shape: Channels, height and width of one image, or whatever shape one input has without the batch; for
            a module with several inputs a sequence of shapes.
        name: Name of the network; default: the class's.

    Returns:
        The network, for one image.

    Raises:
        WorkloadError: ``torch.export`` cannot follow the module, or a layer cannot be.
        MissingExtraError: PyTorch is not installed.
    """
    return import_torch(module, input_shape, name=name).network


def import_torch(
    module: Any,
    input_shape: Sequence[int] | Sequence[Sequence[int]] = IMAGE_SHAPE,
    *,
    name: str | None = None,
    strict: bool = False,
) -> Imported:
    """Return the network that a PyTorch module is, and what became of every operation; arguments as of ``from_torch``.

    Args:
        module: The module.
        input_shape: Shape of one input without the batch, or of each.
        name: Name of the network.
        strict: Whether an unknown operator is an error.

    Raises:
        WorkloadError: As of ``from_torch``, or an operator is unknown and ``strict``.
        MissingExtraError: PyTorch is not installed.
    """
    torch = _torch()
    if not isinstance(module, torch.nn.Module):
        raise WorkloadError(f"expected a torch.nn.Module, got {type(module).__name__}")
    label = name or type(module).__name__
    shapes: list[Any] = list(input_shape)
    if not shapes or isinstance(shapes[0], int):
        shapes = [shapes]
    sizes = [checked_shape(f"input {index + 1} of {label}", (1, *shape)) for index, shape in enumerate(shapes)]
    program = _export(torch, module, label, sizes)
    return to_network(_Reader(program, label, strict).read())


def load_factory(spec: str) -> Any:
    """Return the module that ``package.module:factory`` makes; imports the package and calls the factory.

    Raises:
        WorkloadError: There is no such package or factory, or it fails.
        MissingExtraError: PyTorch is not installed.
    """
    torch = _torch()
    package, _, factory = spec.partition(":")
    with _working_folder_first():
        try:
            made = getattr(importlib.import_module(package), factory)
            module = made if isinstance(made, torch.nn.Module) else made()
        except AccelsimError:
            raise
        except AttributeError as wrong:
            raise WorkloadError(f"{spec}: {wrong}") from None
        except ImportError as wrong:
            raise WorkloadError(f"{spec}: cannot be imported: {wrong}") from None
        except Exception as wrong:
            raise WorkloadError(f"{spec}: fails with {type(wrong).__name__}: {_first_line(wrong)}") from None
    if not isinstance(module, torch.nn.Module):
        raise WorkloadError(f"{spec}: makes a {type(module).__name__}, expected a torch.nn.Module")
    return module


def _torch() -> Any:
    try:
        import torch  # noqa: PLC0415 - an optional extra, and slow to import
    except ImportError:
        raise MissingExtraError('PyTorch modules need PyTorch: pip install "accelsim[torch]"') from None
    return torch


@contextmanager
def _working_folder_first() -> Any:
    """Let modules in the working folder be imported, as ``python`` would."""
    sys.path.insert(0, os.getcwd())
    try:
        yield
    finally:
        sys.path.remove(os.getcwd())


def _first_line(wrong: BaseException) -> str:
    lines = str(wrong).strip().splitlines()
    return lines[0][:300] if lines else "no message"


def _export(torch: Any, module: Any, label: str, sizes: Sequence[tuple[int, ...]]) -> Any:
    """Return the module's exported program, in inference mode; its training state is left as it was."""
    device = next((tensor.device for tensor in module.parameters()), torch.device("cpu"))
    inputs = tuple(torch.zeros(size, device="meta" if device.type == "meta" else device) for size in sizes)
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.export(module, inputs)
    except Exception as wrong:  # whatever a user's forward or torch.export itself raises
        raise WorkloadError(
            f"{label}: torch.export cannot follow the module: {type(wrong).__name__}: {_first_line(wrong)}"
        ) from None
    finally:
        for part in training:
            part.training = True


class _Reader:
    """Turns an exported program into a graph of operations."""

    def __init__(self, program: Any, name: str, strict: bool) -> None:
        self.program = program
        self.strict = strict
        self.t = Translation(Graph(name=name, inputs=[], outputs=[], shapes={}))
        self.values: dict[Any, str | list[str]] = {}

    def read(self) -> Graph:
        """Return the graph."""
        self._read_placeholders()
        for node in self.program.graph.nodes:
            if node.op == "call_function":
                self._read_call(node)
        graph = self.t.graph
        graph.outputs = [value for value in self._returned() if value in graph.shapes]
        if not graph.outputs:
            raise WorkloadError(f"{graph.name}: no output depends on an input")
        return graph

    def _read_placeholders(self) -> None:
        """Define inputs, and parameters, buffers and lifted constants as constants."""
        learned = set(self.program.graph_signature.parameters)
        names = {
            **self.program.graph_signature.inputs_to_parameters,
            **self.program.graph_signature.inputs_to_buffers,
            **self.program.graph_signature.inputs_to_lifted_tensor_constants,
        }
        given = set(self.program.graph_signature.user_inputs)
        for node in self.program.graph.nodes:
            if node.op != "placeholder":
                continue
            self.values[node] = node.name
            sizes = tuple(int(size) for size in node.meta["val"].shape) if hasattr(node.meta["val"], "shape") else ()
            if node.name in given:
                self.t.graph.inputs.append(node.name)
                self.t.graph.shapes[node.name] = sizes
            else:
                target = names.get(node.name, "")
                self.t.constants[node.name] = Constant(
                    shape=sizes, learned=prod(sizes) if target in learned else 0, name=target
                )

    def _returned(self) -> Iterable[str]:
        output = next(node for node in self.program.graph.nodes if node.op == "output")
        for value in _flat(output.args):
            names = self.values.get(value, ()) if hasattr(value, "op") else ()
            yield from [names] if isinstance(names, str) else names

    def _read_call(self, fx: Any) -> None:
        """Translate one call, or fold it if it depends on constants only."""
        t = self.t
        if _name_of(fx) == "getitem":
            parts = self.values[fx.args[0]]
            self.values[fx] = parts[fx.args[1]] if isinstance(parts, list) else parts
            return
        made = [tuple(int(size) for size in tensor.shape) for tensor in _tensors(fx.meta.get("val"))]
        several = isinstance(fx.meta.get("val"), list | tuple)
        outputs = [f"{fx.name}.{index}" for index in range(len(made))] if several else [fx.name]
        self.values[fx] = outputs if several else fx.name
        if not made:
            return
        arguments = self._arguments(fx)
        inputs = [value for value in _flat(list(arguments.values())) if isinstance(value, str) and self._known(value)]
        node = Node(name=fx.name, type=_name_of(fx), inputs=inputs, outputs=outputs)
        if node.type in SHAPE_ONLY or not t.dynamic(node):
            inputs = [name for name in inputs if name in t.constants]
            origin = next((t.constants[name] for name in inputs if t.constants[name].name), None)
            learned = sum(t.constants[name].learned for name in inputs)
            for output, shape in zip(outputs, made, strict=True):
                t.constants[output] = Constant(shape=shape, learned=learned, name=origin.name if origin else "")
            t.graph.folded.append((node.name, node.type))
            return
        call = Call(node=node, arguments=arguments, made=made)
        if node.type in ATEN:
            ATEN[node.type](t, call)
        elif self.strict:
            raise node.wrong("unknown operator")
        else:
            unknown(t, call)
        _check_made(t, call)

    def _known(self, value: str) -> bool:
        return value in self.t.constants or value in self.t.graph.shapes

    def _arguments(self, fx: Any) -> dict[str, Any]:
        """Return a call's arguments by the names of the operator's schema; tensors are their names."""
        schema = getattr(fx.target, "_schema", None)
        names = [argument.name for argument in schema.arguments] if schema is not None else []
        given = dict(zip(names or map(str, range(len(fx.args))), fx.args, strict=False)) | dict(fx.kwargs)
        return {key: self._plain(value) for key, value in given.items()}

    def _plain(self, value: Any) -> Any:
        if hasattr(value, "op") and hasattr(value, "meta"):
            return self.values[value]
        if isinstance(value, list | tuple):
            return [self._plain(item) for item in value]
        return value


def _check_made(t: Translation, call: Call) -> None:
    """Refuse a translation that gives another shape than PyTorch: a layer would be wrong.

    Raises:
        WorkloadError: It does.
    """
    for name, made in zip(call.node.outputs, call.made, strict=False):
        if name in t.graph.shapes and t.graph.shapes[name] != made:
            raise call.node.wrong(f"makes shape {t.graph.shapes[name]} here, {made} in PyTorch")


def _name_of(fx: Any) -> str:
    """Return an operator's name without namespace, overload and the mark of writing in place."""
    name = str(getattr(fx.target, "__name__", fx.target))
    packet = getattr(fx.target, "overloadpacket", None)
    name = str(getattr(packet, "__name__", name)) if packet is not None else name
    return name if name.startswith("__") else name.removesuffix("_") or name


def _tensors(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [item for item in value if hasattr(item, "shape")]
    return [value] if hasattr(value, "shape") else []


def _flat(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [item for entry in value for item in _flat(entry)]
    return [value]
