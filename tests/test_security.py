"""Is what SECURITY.md says true of the code?"""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import accelsim
from accelsim import load_hardware, load_network
from accelsim.errors import AccelsimError, InputError
from accelsim.explore.space import load_space
from accelsim.mapping.handwritten import load_mappings
from accelsim.workload.storage_plan import load_storage
from accelsim.yamlio import MAX_BYTES, MAX_DEPTH, MAX_VALUES

ROOT = Path(__file__).parents[1]
PACKAGE = Path(accelsim.__file__).parent

READERS = {
    "network": load_network,
    "hardware": load_hardware,
    "space": load_space,
    "mappings": load_mappings,
    "storage": lambda path: load_storage(path, load_network("alexnet")),
}
"""Everything that reads YAML from a path."""

SPACE = """\
name: s
{network}
hardware: 16x16_128KB
axes:
  buffer: {{hardware: memories.GLB.size_kb, values: [64, 128]}}
"""


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A package in the working folder that leaves a trace when it is imported."""
    (tmp_path / "evil.py").write_text("open('ran', 'w').close()\ndef make():\n    open('ran', 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("evil", None)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "text",
    [
        "name: !!python/object/apply:evil.make []\n",
        "!!python/object/new:evil.make {}\n",
        "name: !evil x\n",
        "layers: !!python/module:evil\n",
        "name: ${{evil.make()}}\nfamily: '{{ evil.make() }}'\n",
    ],
)
def test_does_no_yaml_file_run_code(evil, reader, text):
    (evil / "file.yaml").write_text(text)
    with pytest.raises(AccelsimError):
        READERS[reader](str(evil / "file.yaml"))
    assert not (evil / "ran").exists()
    assert "evil" not in sys.modules


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\n" * 3, "repeated"),
        ("# " + "x" * MAX_BYTES + "\na: 1\n", "larger than 2 MB"),
        ("a: " + "[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2), "nested"),
        ("a: &a [" + "1," * 999 + "]\nb: &b [" + "*a," * 300 + "]\n", f"more than {MAX_VALUES} values"),
        ("a: &a {b: *a}\n", "contains it"),
        ("<<: {a: 1}\n", "merge keys"),
    ],
    ids=["repeated", "large", "deep", "aliases", "cycle", "merge"],
)
def test_are_the_limits_of_yaml_the_same_everywhere(tmp_path, reader, text, says):
    (tmp_path / "file.yaml").write_text(text)
    with pytest.raises(InputError, match=re.escape(says)) as refused:
        READERS[reader](str(tmp_path / "file.yaml"))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("network", ["network: evil:make", "networks: {alexnet: 1, 'evil:make': 2}"])
def test_does_a_space_file_run_no_factory(evil, network):
    (evil / "space.yaml").write_text(SPACE.format(network=network))
    with pytest.raises(InputError, match=r"space\.yaml:2: network.*would run that package's code.*accelsim import"):
        load_space(str(evil / "space.yaml"))
    assert not (evil / "ran").exists()


def test_does_an_axis_of_a_space_file_run_no_factory(evil):
    axis = "  net: {option: network, values: [alexnet, 'evil:make']}\n"
    (evil / "space.yaml").write_text(SPACE.format(network="# none") + axis)
    with pytest.raises(InputError, match=r"space\.yaml:6: axes\.net\.values\[1\].*would run"):
        load_space(str(evil / "space.yaml"))
    assert not (evil / "ran").exists()


@pytest.mark.parametrize("field", ["family: evil:make", "family: alexnet\nparameters: {name: evil:make, groups: evil}"])
def test_does_a_network_file_run_no_factory(evil, field):
    (evil / "net.yaml").write_text(f"name: x\n{field}\n")
    with pytest.raises(InputError):
        load_network(str(evil / "net.yaml"))
    assert not (evil / "ran").exists()


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs a file without an end")
@pytest.mark.parametrize("line", ["network: /dev/zero", "networks: {/dev/zero: 1}"])
def test_is_a_file_that_a_space_names_read_within_the_limit(tmp_path, line):
    (tmp_path / "space.yaml").write_text(SPACE.format(network=line))
    with pytest.raises(InputError, match="larger than 2 MB"):
        load_space(str(tmp_path / "space.yaml"))


def test_does_running_a_factory_say_so(evil):
    """Whether PyTorch is there or not, the sentence comes first."""
    command = [sys.executable, "-m", "accelsim.cli", "run", "evil:make", "--hw", "8x8_32KB"]
    done = subprocess.run(command, cwd=evil, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("accelsim: evil:make: importing it, which runs its code\n")


PICKLES = {"explore/worker.py", "explore/cluster.py"}
"""Where pickles are read: from the parent's pipe, and on a Dask worker."""


def test_is_there_no_other_way_to_run_code():
    """No call in the package turns data into code but those that SECURITY.md names."""
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            assert called not in ("eval", "exec", "compile", "os.system", "__import__"), name
            assert not called.startswith(("marshal.", "shelve.", "yaml.load", "yaml.unsafe", "joblib.")), name
            assert not any(key.arg == "shell" for key in node.keywords), name
            assert not called.endswith(("pickle.load", "read_pickle", "torch.load", "np.load", "onnx.load")), name
            assert called != "pickle.loads" or name in PICKLES, name
            if called == "YAML":
                assert ast.unparse(node) == "YAML(typ='safe', pure=True)", name


def test_are_the_files_named_in_the_policy_there():
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    for name in re.findall(r"`((?:tests|benchmarks)/\w+\.py)`", text):
        assert (ROOT / name).is_file(), name


@pytest.fixture
def measured(tmp_path):
    """Measure the weights of a model whose only tensor lies at a path; returns what was opened."""
    onnx = pytest.importorskip("onnx", reason="the onnx extra is not installed")
    from accelsim.workload.loader import load_model
    from accelsim.workload.weights import measure_onnx
    from tests.onnx_models import model, node, weights

    folder = tmp_path / "model"
    folder.mkdir()

    def measure(location, length="16"):
        made = model([node("Conv", "x w")], {"w": weights(4, 3, 1, 1)})
        tensor = made.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.ClearField("float_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", location), ("length", length)):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
        path = folder / "m.onnx"
        path.write_bytes(made.SerializeToString())
        return measure_onnx(str(path), load_model(str(path)))

    return measure


@pytest.mark.skipif(sys.platform == "win32", reason="needs links and pipes as POSIX has them")
@pytest.mark.parametrize("where", ["parent", "absolute", "link", "folder", "null", "empty", "device", "pipe"])
def test_are_weights_outside_the_models_folder_never_opened(measured, tmp_path, monkeypatch, where):
    """Whatever a model says of where its values lie, only plain files beside it are read."""
    secret = tmp_path / "secret.bin"
    secret.write_bytes(b"s" * 64)
    (tmp_path / "model" / "link.bin").symlink_to(secret)
    os.mkfifo(tmp_path / "model" / "pipe")
    location = {
        "parent": "../secret.bin",
        "absolute": str(secret),
        "link": "link.bin",
        "folder": ".",
        "null": "a\0b",
        "empty": "",
        "device": "../../../../../../dev/zero",
        "pipe": "pipe",
    }[where]
    opened = []
    real = open

    def watch(path, *arguments, **options):
        opened.append(str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr("builtins.open", watch)
    assert measured(location, length=str(10**15) if where == "device" else "48") == {}
    assert not [path for path in opened if not path.endswith((".onnx", ".py", ".pyc")) and "site-packages" not in path]


def test_are_weights_beside_the_model_read(measured, tmp_path):
    """The other side of the fence: a plain file is opened, and its zeros are counted."""
    (tmp_path / "model" / "w.bin").write_bytes(b"\0\0\0\0" * 3 + b"\0\0\x80\x3f" * 9)
    (found,) = measured("w.bin", length="48").values()
    assert found.density == 0.75
