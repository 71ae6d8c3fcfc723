"""Feed broken network files to the importers: no traceback, hang or blow-up, whatever the bytes.

    PYTHONPATH=. python benchmarks/fuzz_import.py [--inputs 100000] [--seed 1] [--keep FOLDER]

Seeds are small ONNX models of every kind of operator and YAML files, shipped ones and layer lists. They are mutated
as bytes (flips, cuts, copies, splices of two files, lengths and counts set to extremes) and by structure (ONNX: sizes,
attributes, names, nodes and initialisers changed, dropped or repeated; YAML: numbers and words replaced, lines moved).
Every input must either load, in which case its totals are computed and, of one input in eight, its layers are written
out and read again, or be refused by one line in an accelsim error. Failures are kept with their traceback, and the
exit code is then 1.
"""

from __future__ import annotations

import argparse
import logging
import random
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelsim.data import data_files
from accelsim.errors import AccelsimError
from accelsim.workload.layer_list_writer import to_yaml
from accelsim.workload.loader import load_network
from tests.onnx_models import MODELS
from tests.test_loader import LIST

SECONDS = 10
"""Longest that one input may take, in time of the processor: the machine may be busy with other things."""

SLOW_SECONDS = 2
"""From here on an input is kept, to be looked at."""

MEMORY_BYTES = 1 << 30
"""Most memory of the whole process."""

EXTREMES = (0, 1, -1, 2, 3, 7, 127, 128, 255, 2**15, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, -(2**63), 10**12)

WORDS = ("-1", "0", "1e9", "99999999999999999999", ".inf", "nan", "true", "null", "[]", "{}", "input", "&a", "*a",
         "!!x", "'", "\"", "|", "same", "conv", "matmul", "\t", "[1, 2]", "-", "? ", "\u2028", "\0")  # fmt: skip


def mutate_bytes(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Change bytes at one to eight places."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        if not out:
            break
        place = rng.randrange(len(out))
        length = rng.choice((1, 2, 4, 16, 64))
        match rng.randrange(8):
            case 0:
                out[place] ^= 1 << rng.randrange(8)
            case 1:
                out[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            case 2:
                del out[place:]
            case 3:
                del out[place : place + length]
            case 4:
                out[place:place] = out[place : place + length]
            case 5:
                start = rng.randrange(max(1, len(other)))
                out[place : place + length] = other[start : start + length]
            case 6:
                out[place:place] = bytes(rng.randrange(256) for _ in range(length))
            case _:
                out[place : place + 10] = b"\xff" * 9 + b"\x01"
    return bytes(out)


def mutate_model(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Change an ONNX model at one to four places of its structure."""
    import onnx  # noqa: PLC0415

    model = onnx.ModelProto()
    model.ParseFromString(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        rng.choice(STRUCTURAL)(rng, model, other)
    return bytes(model.SerializeToString())


def _sizes(rng: random.Random, model: Any, _: bytes) -> None:
    tensors = [tensor for tensor in model.graph.initializer if len(tensor.dims)]
    infos = [*model.graph.input, *model.graph.value_info, *model.graph.output]
    if tensors and rng.random() < 0.5:
        dims = rng.choice(tensors).dims
        dims[rng.randrange(len(dims))] = rng.choice(EXTREMES)
        if rng.random() < 0.2:
            dims.append(rng.choice(EXTREMES))
    elif infos:
        axes = rng.choice(infos).type.tensor_type.shape.dim
        if len(axes):
            axes[rng.randrange(len(axes))].dim_value = rng.choice(EXTREMES)


def _attributes(rng: random.Random, model: Any, _: bytes) -> None:
    nodes = [node for node in model.graph.node if len(node.attribute)]
    if not nodes:
        return
    attribute = rng.choice(rng.choice(nodes).attribute)
    if len(attribute.ints) and rng.random() < 0.7:
        attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(EXTREMES)
    elif rng.random() < 0.3:
        attribute.type = rng.randrange(15)
    elif rng.random() < 0.3:
        attribute.ints.append(rng.choice(EXTREMES))
    elif rng.random() < 0.3:
        attribute.name = rng.choice(("axis", "axes", "pads", "group", "perm", "value", "auto_pad"))
    else:
        attribute.i = rng.choice(EXTREMES)
        attribute.f = float(rng.choice(EXTREMES))
        attribute.s = rng.choice((b"SAME_UPPER", b"VALID", b"\xff\xfe", b"bij,bjk->bik"))


def _nodes(rng: random.Random, model: Any, _: bytes) -> None:
    nodes = model.graph.node
    if not len(nodes):
        return
    node, second = rng.choice(nodes), rng.choice(nodes)
    match rng.randrange(7):
        case 0:
            node.op_type = second.op_type if rng.random() < 0.7 else rng.choice(("Foo", "If", "Loop", "NonZero", "\n"))
        case 1:
            nodes.remove(node)
        case 2:
            nodes.add().CopyFrom(node)
        case 3:
            node.domain = rng.choice(("", "ai.onnx.ml", "com.microsoft", "x"))
        case 4 if len(node.input) and len(second.output):
            node.input[rng.randrange(len(node.input))] = rng.choice(second.output)
        case 5 if len(node.output):
            node.output[rng.randrange(len(node.output))] = rng.choice(("", "x", *second.input))
        case _ if len(node.input):
            del node.input[rng.randrange(len(node.input))]


def _initialisers(rng: random.Random, model: Any, other: bytes) -> None:
    tensors = model.graph.initializer
    if not len(tensors):
        return
    tensor = rng.choice(tensors)
    match rng.randrange(5):
        case 0:
            tensors.remove(tensor)
        case 1:
            tensors.add().CopyFrom(tensor)
        case 2:
            tensor.raw_data = rng.choice((b"", other[:64], b"\xff" * 8, b"\x80" * 64))
        case 3:
            tensor.data_type = rng.randrange(25)
        case _:
            tensor.data_location = 1


def _numbers(rng: random.Random, model: Any, _: bytes) -> None:
    """Set the values of a small tensor of whole numbers: shapes, axes, repeats."""
    tensors = [tensor for tensor in model.graph.initializer if tensor.data_type == 7]
    if tensors:
        values = [rng.choice((*EXTREMES, 1, 2, 3, 4)) for _ in range(rng.randrange(1, 6))]
        tensor = rng.choice(tensors)
        tensor.ClearField("int64_data")
        tensor.raw_data = b"".join(value.to_bytes(8, "little", signed=True) for value in values)
        if rng.random() < 0.8:
            del tensor.dims[:]
            tensor.dims.append(len(values))


def _versions(rng: random.Random, model: Any, _: bytes) -> None:
    if len(model.opset_import):
        rng.choice(model.opset_import).version = rng.choice((*EXTREMES, 11, 13))
    model.producer_name = rng.choice(("", "pytorch", "x"))


STRUCTURAL: tuple[Callable[[random.Random, Any, bytes], None], ...] = (
    _sizes,
    _attributes,
    _nodes,
    _initialisers,
    _numbers,
    _versions,
)


def mutate_text(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Change numbers, words and lines of a YAML file at one to four places."""
    text = data.decode("utf-8", "replace")
    for _ in range(rng.choice((1, 1, 2, 4))):
        lines = text.split("\n")
        line = rng.randrange(len(lines))
        match rng.randrange(7):
            case 0:
                lines[line] = re.sub(r"\d+", lambda _: str(rng.choice(EXTREMES)), lines[line], count=1)
            case 1:
                words = re.findall(r"[A-Za-z_0-9.]+", lines[line]) or ["x"]
                lines[line] = lines[line].replace(rng.choice(words), rng.choice(WORDS), 1)
            case 2:
                lines.insert(rng.randrange(len(lines)), lines[line])
            case 3:
                del lines[line]
            case 4:
                second = rng.randrange(len(lines))
                lines[line], lines[second] = lines[second], lines[line]
            case 5:
                lines[line] = " " * rng.randrange(5) + lines[line].strip()
            case _:
                donor = other.decode("utf-8", "replace").split("\n")
                lines.insert(line, rng.choice(donor))
        text = "\n".join(lines)
    return text.encode("utf-8", "replace")


def try_input(path: Path, data: bytes, scratch: Path | None) -> str:
    """Load one input and return what came of it; anything but an accelsim error of one line is raised.

    With ``scratch`` what loads is written there as a list of layers and read again.
    """
    path.write_bytes(data)
    try:
        network = load_network(str(path))
    except AccelsimError as refused:
        if "\n" in str(refused) or len(str(refused)) > 1000 or not str(refused).strip():
            raise AssertionError(f"not one short line: {str(refused)[:2000]!r}") from refused
        return "refused"
    totals = network.totals
    assert min(totals.values()) >= 0
    if scratch is not None:
        scratch.write_text(to_yaml(network), encoding="utf-8")
        assert load_network(str(scratch)).layers == network.layers, "its list of layers is another network"
    return "loaded"


def _hang(*_: object) -> None:
    raise TimeoutError(f"took more than {SECONDS} s")


def seeds() -> dict[str, list[bytes]]:
    """Return the files to start from, by ending."""
    shipped = [path.read_bytes() for path in list(data_files("networks").values())[::6]]
    # Built networks of thousands of layers cost seconds each; small parameters are mutated as well as large ones.
    return {
        ".onnx": [make().SerializeToString() for make in MODELS.values()],
        ".yaml": [LIST.encode(), *(text for text in shipped if b"1001" not in text and b"1202" not in text)],
    }


def main() -> int:
    """Fuzz, and say how many inputs of each kind came out how."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("fuzz_failures"), help="folder for inputs that fail")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    rng, files = random.Random(arguments.seed), seeds()
    outcomes: Counter[str] = Counter()
    slowest, failures, start = 0.0, 0, time.perf_counter()
    signal.signal(signal.SIGPROF, _hang)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        for count in range(1, arguments.inputs + 1):
            ending = rng.choice((".onnx", ".yaml"))
            data, other = rng.choice(files[ending]), rng.choice(files[ending])
            structural = mutate_model if ending == ".onnx" else mutate_text
            mutate = rng.choice((mutate_bytes, structural, structural))
            before = time.process_time()
            try:
                data = mutate(rng, data, other)
                signal.setitimer(signal.ITIMER_PROF, SECONDS)
                scratch = Path(folder, "again.yaml") if count % 8 == 0 else None
                outcome = try_input(Path(folder, f"input{ending}"), data, scratch)
            except Exception:
                outcome = "FAILED"
                failures += 1
                arguments.keep.mkdir(parents=True, exist_ok=True)
                stem = arguments.keep / f"{arguments.seed}_{count}"
                stem.with_suffix(ending).write_bytes(data)
                stem.with_suffix(".txt").write_text(traceback.format_exc())
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            taken = time.process_time() - before
            slowest = max(slowest, taken)
            if taken > SLOW_SECONDS:
                arguments.keep.mkdir(parents=True, exist_ok=True)
                Path(arguments.keep, f"slow_{arguments.seed}_{count}{ending}").write_bytes(data)
            outcomes[f"{ending} {outcome}"] += 1
            if count % 5000 == 0 or count == arguments.inputs:
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
                print(
                    f"{count} inputs in {time.perf_counter() - start:.0f} s: {dict(sorted(outcomes.items()))}; slowest "
                    f"{slowest:.2f} s, peak memory {peak / 1e6:.0f} MB",
                    flush=True,
                )
                if peak > MEMORY_BYTES:
                    print("memory blew up")
                    return 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
