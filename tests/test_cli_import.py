"""Does `accelsim import` write the network and say what became of every node, and do models run as names do?"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="the onnx extra is not installed")

from accelsim.workload.loader import load_network
from accelsim.workload.storage_plan import LayerStorage, load_storage
from tests.onnx_models import MODELS, model, node

MODEL = Path(__file__).parent / "models" / "tv_squeezenet1_1_224.onnx"


@pytest.fixture
def command(tmp_path):
    """Return what a command does in an empty folder with some models in it."""
    shutil.copy(MODEL, tmp_path / "net.onnx")
    (tmp_path / "odd.onnx").write_bytes(MODELS["unknown"]().SerializeToString())
    (tmp_path / "open.onnx").write_bytes(model([node("Relu", "x")], input_shape=("n", 3, "h", "w")).SerializeToString())

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "accelsim.cli", *arguments]
        return subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)

    return run


def test_import_writes_a_network_file(command, tmp_path):
    """The file loads as the model does; the account of the nodes goes to standard error."""
    done = command("import", "net.onnx", "-o", "net.yaml", "--name", "mine")
    assert (done.returncode, done.stdout) == (0, "")
    assert "65 nodes, 64 layers" in done.stderr
    assert "array (26): Conv 26" in done.stderr
    network = load_network(tmp_path / "net.yaml")
    assert (network.name, network.layers) == ("mine", load_network(str(MODEL)).layers)


def test_import_prints_the_file_without_output(command):
    """Data on standard output, and nothing else there."""
    done = command("import", "net.onnx")
    assert done.stdout.startswith("# Imported from net.onnx by accelsim")
    assert "layers:\n  - {name: features/0, op: conv, out_channels: 64, kernel: 3, stride: 2" in done.stdout


def test_a_model_file_runs_and_compares(command):
    """`run` takes it as it takes a name, and says the same totals as of the built-in network."""
    ours, builtin = (
        json.loads(command("run", name, "--hw", "8x8_32KB", "--format", "json").stdout)["totals"]
        for name in ("net.onnx", "squeezenet_v1.1")
    )
    assert ours["cycles"] == builtin["cycles"]
    assert command("compare", "net.onnx", "squeezenet_v1.1", "--hw", "8x8_32KB").returncode == 0
    assert "1,235,496 parameters" in command("networks", "net.onnx").stdout


def test_unknown_operators_are_named(command):
    """A warning with their number, and with --strict an error."""
    assert "odd.onnx: unknown operators, taken as data movement: Mystery 2" in command("import", "odd.onnx").stderr
    done = command("import", "odd.onnx", "--strict")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "accelsim: error: odd.onnx: node #2 (Mystery): unknown operator\n"


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--input-shape", "3x9x7"), "input: [3, 9, 7]"),
        (("--dim", "h=9", "--dim", "w=7"), "input: [3, 9, 7]"),
    ],
)
def test_open_sizes_are_given_on_the_command_line(command, options, line):
    """By the shape of an image, or by the names of the open axes."""
    assert line in command("import", "open.onnx", *options).stdout


def test_batch_norms_can_be_left_out(command, tmp_path):
    """--fold-batch-norm makes them biases."""
    (tmp_path / "bn.onnx").write_bytes(MODELS["convolutional"]().SerializeToString())
    kept, folded = (command("import", "bn.onnx", *options).stdout for options in ((), ("--fold-batch-norm",)))
    assert "batch_norm" in kept
    assert "batch_norm" not in folded


def test_weights_are_measured_into_a_storage_plan(command, tmp_path):
    """Bits and density of every layer's weights, in a file that loads for the network written beside it."""
    (tmp_path / "q.onnx").write_bytes(MODELS["quantised"]().SerializeToString())
    done = command("import", "q.onnx", "-o", "q.yaml", "--weights", "q.storage.yaml")
    assert done.returncode == 0, done.stderr
    plan = load_storage(tmp_path / "q.storage.yaml", load_network(tmp_path / "q.yaml"))
    assert plan.of("conv1") == LayerStorage(weight_bits=8, density=1.0)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("import", "nothing.onnx"), "nothing.onnx: no such file"),
        (("import", "nett.onnx"), "nett.onnx: no such file; did you mean 'net.onnx' or"),
        (("import", "resnet18"), "'resnet18' is neither an ONNX file (.onnx) nor package.module:factory"),
        (("import", "."), "'.' is neither"),
        (("import", "net.onnx", "-o", "no/such/folder.yaml"), "no/such/folder.yaml: cannot be written"),
        (("import", "net.onnx", "--input-shape", "3x-1x4"), "a size must be a positive whole number, got '-1'"),
        (("import", "net.onnx", "--input-shape", "3x224"), "has 3 axes beside the batch, the given shape 3x224 has 2"),
        (("import", "open.onnx", "--dim", "h"), "a size must be a positive whole number, got ''"),
        (("run", "resnet18", "--hw", "8x8_32KB", "--strict"), "--strict is for ONNX files and PyTorch modules"),
    ],
)
def test_wrong_input_is_one_sentence_and_status_1(command, arguments, expected):
    """No traceback, nothing on standard output."""
    done = command(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1
