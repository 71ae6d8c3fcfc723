"""Is a broken or hostile model refused by one sentence, at once, without memory or code of its own?"""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="the onnx extra is not installed")

import onnx

from accelsim.errors import WorkloadError
from accelsim.workload.onnx import import_onnx
from tests.onnx_models import MODELS, ints, model, node, weights

GOOD = MODELS["convolutional"]().SerializeToString()
HUGE = 10**12


def changed(change) -> bytes:
    """Return the good model after a change."""
    made = MODELS["convolutional"]()
    change(made)
    return made.SerializeToString()


def with_sizes(sizes, name="w1") -> bytes:
    """Return the good model with other sizes of one tensor."""

    def change(made):
        tensor = next(entry for entry in made.graph.initializer if entry.name == name)
        del tensor.dims[:]
        tensor.dims.extend(sizes)

    return changed(change)


def without(name) -> bytes:
    """Return the good model without one initialiser."""

    def change(made):
        made.graph.initializer.remove(next(entry for entry in made.graph.initializer if entry.name == name))

    return changed(change)


def cyclic() -> bytes:
    """Return a graph of which two nodes wait for each other."""
    return model([node("Add", "x b", "a"), node("Relu", "a", "b"), node("Abs", "b")]).SerializeToString()


def nested(depth: int) -> bytes:
    """Return a graph within a graph, many times."""
    inner = model([node("Relu", "x")]).graph
    for _ in range(depth):
        outer = onnx.GraphProto()
        entry = outer.node.add()
        entry.op_type = "If"
        attribute = entry.attribute.add()
        attribute.name, attribute.type = "then_branch", 5
        attribute.g.CopyFrom(inner)
        inner = outer
    made = model([node("Relu", "x")])
    made.graph.CopyFrom(inner)
    return made.SerializeToString()


BROKEN = {
    "empty": (b"", "is empty"),
    "text": (b"name: net\nlayers: []\n" * 50, "is not an ONNX model, or is damaged"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4, "is not an ONNX model, or is damaged"),
    "zeros": (bytes(4096), "is not an ONNX model, or is damaged"),
    "cut": (GOOD[: len(GOOD) // 2], "is not an ONNX model, or is damaged"),
    "one byte short": (GOOD[:-1], "is not an ONNX model, or is damaged"),
    "a length beyond the end": (b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f" + GOOD, "runs past the end"),
    "nothing in it": (b"\x08\x08", "it has no graph"),
    "cyclic": (cyclic(), "reads 'b', which only a later node (Relu) makes: the graph has a cycle or is out of order"),
    "negative size": (with_sizes([8, 3, -3, 3]), "tensor 'w1' has the impossible shape 8x3x-3x3"),
    "size zero": (with_sizes([8, 3, 0, 3]), "kernel [0, 3]"),
    "huge weights": (with_sizes([HUGE, 3, 3, 3]), "tensor 'w1' of shape 1000000000000x3x3x3 has 2.7e+13 elements"),
    "weights for others": (with_sizes([8, 4, 3, 3]), "reads 3 channels, its weights are for 1 groups of 4"),
    "missing weights": (without("w1"), "reads 'w1', which no input, initialiser or node gives"),
    "missing scales": (without("scales"), "reads 'scales', which no input, initialiser or node gives"),
    "opset of the future": (
        changed(lambda made: setattr(made.opset_import[0], "version", 9999)),
        "uses version 9999 of the ONNX operators",
    ),
    "huge input": (
        changed(lambda made: setattr(made.graph.input[0].type.tensor_type.shape.dim[2], "dim_value", HUGE)),
        "input 'x' of shape 1x3x1000000000000x16 has 4.8e+13 elements, at most 1e+11 are read",
    ),
    "huge reshape": (
        model([node("Expand", "x s", "e"), node("Relu", "e")], {"s": ints(HUGE, 3, 8, 8)}).SerializeToString(),
        "elements, at most 1e+11 are read",
    ),
    "huge padding": (
        model([node("Conv", "x w", pads=[2**40] * 4)], {"w": weights(1, 3, 1, 1)}).SerializeToString(),
        "padding [1099511627776, 1099511627776",
    ),
    "huge stride": (
        model([node("ConvTranspose", "x w", strides=[60000, 1])], {"w": weights(3, 1, 1, 1)}).SerializeToString(),
        "makes more than 4096 convolutions",
    ),
    "huge constant": (
        model([node("ConstantOfShape", "s", "c"), node("Add", "x c")], {"s": ints(HUGE)}).SerializeToString(),
        "elements, at most 1e+11 are read",
    ),
    "reshape to nothing": (
        model([node("Reshape", "x s", "r"), node("Relu", "r")], {"s": ints(7, -1)}).SerializeToString(),
        "reshapes 1x3x8x8 to 7x-1",
    ),
    "defined twice": (
        model([node("Relu", "x", "a"), node("Abs", "x", "a"), node("Neg", "a")]).SerializeToString(),
        "tensor 'a' is defined twice",
    ),
    "nothing to add": (model([node("Add", "")]).SerializeToString(), "input 1 is missing"),
    "nothing to compare": (
        model([node("BitShift", "", "a"), node("Add", "x a")]).SerializeToString(),
        "input 1 is missing",
    ),
    "no input": (model([node("Relu", "x")], {"x": weights(2)}).SerializeToString(), "has no input"),
    "no output": (model([node("Relu", "x", "a")]).SerializeToString(), "output 'y' is not made by any node"),
    "wrong type of attribute": (
        model([node("Softmax", "x", axis=1.5)]).SerializeToString(),
        "attribute axis has the wrong type",
    ),
    "three dimensions": (
        model([node("Conv", "x w")], {"w": weights(1, 3, 1, 1, 1)}, input_shape=(1, 3, 4, 4, 4)).SerializeToString(),
        "one- and two-dimensional windows are supported",
    ),
    "nested": (nested(100), "nested too deeply"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_model_is_refused_by_one_sentence_with_its_path(tmp_path, name):
    """What is wrong, where, in one printable line that names the file; no other exception."""
    data, expected = BROKEN[name]
    path = tmp_path / "net.onnx"
    path.write_bytes(data)
    with pytest.raises(WorkloadError) as refused:
        import_onnx(path)
    text = str(refused.value)
    assert text.startswith(f"{path}: ")
    assert expected in text
    assert "\n" not in text
    assert text.isprintable()


def test_every_cut_of_a_model_is_refused(tmp_path):
    """At each length short of the whole file's."""
    path = tmp_path / "net.onnx"
    for length in range(0, len(GOOD), 7):
        path.write_bytes(GOOD[:length])
        with pytest.raises(WorkloadError):
            import_onnx(path)


def test_names_cannot_write_to_the_terminal(tmp_path):
    """Control characters in a model's names come out as question marks, in messages and layers."""
    path = tmp_path / "net.onnx"
    path.write_bytes(model([node("Relu", "x", name="\x1b[2J\nboom")]).SerializeToString())
    assert all(layer.name.isprintable() for layer in import_onnx(path).network)
    path.write_bytes(model([node("Nope\x1b[31m", "x", name="\x1b[2J")]).SerializeToString())
    with pytest.raises(WorkloadError) as refused:
        import_onnx(path)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", ["huge weights", "nested", "cut", "opset of the future"])
def test_the_command_ends_with_status_1_within_a_gigabyte(tmp_path, name):
    """In a process of its own, whose peak memory is read when it ends."""
    path = tmp_path / "net.onnx"
    path.write_bytes(BROKEN[name][0])
    command = [sys.executable, "-m", "accelsim.cli", "import", str(path)]
    start = time.perf_counter()
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("w") as stdout, err.open("w") as stderr:
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr, cwd=Path(__file__).parents[1])
    # The peak of this process alone: getrusage(RUSAGE_CHILDREN) is the largest of all that the test run ever started.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert time.perf_counter() - start < 10
    assert (process.returncode, out.read_text()) == (1, "")
    assert err.read_text().startswith("accelsim: error: ")
    assert err.read_text().count("\n") == 1
    assert usage.ru_maxrss * 1024 < 1e9


def test_a_model_larger_than_memory_is_read_where_it_lies(tmp_path):
    """Three gigabytes of weights, a hole in the file: read in a moment, without reading them."""
    path = tmp_path / "large.onnx"
    rows = 3 * 2**20
    made = model([node("Gemm", "x w", transB=1)], {"w": weights(1, 256)}, input_shape=(1, 256))
    made.graph.initializer[0].dims[0] = rows
    made.graph.initializer[0].raw_data = b"\0" * 8
    tensor = made.graph.initializer[0].SerializeToString()
    small = made.graph.initializer[0]
    graph = made.graph
    graph.initializer.remove(small)
    head = made.SerializeToString()
    size = rows * 256 * 4
    tensor = tensor.removesuffix(b"\x4a\x08" + b"\0" * 8) + b"\x4a" + varint(size)
    # A second graph field: protocol buffers join it to the first. All of the weights are a hole in the file.
    wrapped = b"\x2a" + varint(len(tensor) + size) + tensor
    with path.open("wb") as file:
        file.write(head + b"\x3a" + varint(len(wrapped) + size) + wrapped)
        file.truncate(file.tell() + size)
    assert path.stat().st_size > 3e9
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    network = import_onnx(path).network
    assert network.totals["params"] == rows * 256
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 1e8


def varint(value: int) -> bytes:
    """Return a number as protocol buffers write it."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
