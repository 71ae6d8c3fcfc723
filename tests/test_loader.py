"""Does a name, a path or a layer list give the network that it stands for, and a wrong one a clear sentence?"""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from accelsim import data
from accelsim.errors import InputError, WorkloadError
from accelsim.workload.loader import load_network, network_facts, network_names
from accelsim.workload.network import Fact, Network, NetworkBuilder
from accelsim.workload.zoo import FAMILIES, build

NETWORKS = network_names()

LIST = """\
name: tiny
input: [3, 32, 32]
facts:
  - {source: "a paper, Table 1", params_m: 0.1, top1_percent: 50}
layers:
  - {name: conv1, op: conv, out_channels: 16, kernel: 3, stride: 2, padding: same, bias: true}
  - {name: relu1, op: activation}
  - {name: pool1, op: max_pool, kernel: [3, 3], stride: 2, ceil_mode: true}
  - {name: a, op: conv, out_channels: 16, kernel: [1, 3], padding: [0, 1], groups: 4, block: unit1/left}
  - {name: bn, op: batch_norm, block: unit1/left}
  - {name: b, op: conv, inputs: pool1, out_channels: 16, kernel: [3, 3], padding: [1, 1, 1, 1], dilation: 1}
  - {name: sum, op: add, inputs: [bn, b]}
  - {name: both, op: concat, inputs: [sum, pool1]}
  - {name: shuffle, op: channel_shuffle, groups: 2}
  - {name: half, op: slice_channels, start: 0, stop: 16}
  - {name: wide, op: pad_channels, channels: 24}
  - {name: scale, op: global_avg_pool}
  - {name: scaled, op: mul, inputs: [wide, scale]}
  - {name: big, op: upsample, factor: 2}
  - {name: mean, op: avg_pool, kernel: 2}
  - {name: norm, op: lrn}
  - {name: flat, op: flatten}
  - {name: drop, op: dropout}
  - {name: fc, op: linear, features: 10, bias: true}
  - {name: prob, op: softmax}
"""


def tiny() -> Network:
    """The network of LIST, built call by call."""
    b = NetworkBuilder("tiny", (3, 32, 32))
    x = b.relu(b.conv(b.input, 16, 3, stride=2, padding="same", bias=True, name="conv1"), name="relu1")
    pool = b.max_pool(x, 3, stride=2, ceil_mode=True, name="pool1")
    with b.scope("unit1"), b.scope("left"):
        left = b.conv(pool, 16, (1, 3), padding=(0, 1), groups=4, name="a")
        left = b.batch_norm(left, name="bn")
    right = b.conv(pool, 16, 3, padding=1, name="b")
    x = b.concat(b.add(left, right, name="sum"), pool, name="both")
    x = b.slice_channels(b.channel_shuffle(x, 2, name="shuffle"), 0, 16, name="half")
    wide = b.pad_channels(x, 24, name="wide")
    x = b.mul(wide, b.global_avg_pool(wide, name="scale"), name="scaled")
    x = b.avg_pool(b.upsample(x, 2, name="big"), 2, name="mean")
    x = b.dropout(b.flatten(b.lrn(x, name="norm"), name="flat"), name="drop")
    b.softmax(b.linear(x, 10, bias=True, name="fc"), name="prob")
    return b.build()


def write(directory: Path, text: str) -> str:
    """Write a network file and return its path."""
    path = directory / "net.yaml"
    path.write_text(text)
    return str(path)


def python(code: str) -> str:
    """Run code in a process of its own and return what it prints."""
    command, root = [sys.executable, "-c", code], Path(__file__).parents[1]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=root).stdout.strip()


def sentence(source: object, **parameters: object) -> str:
    """Return the one line that loading a wrong network gives."""
    with pytest.raises(WorkloadError) as refused:
        load_network(source, **parameters)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_shipped_network_loads_under_its_name_and_its_aliases(name):
    """The file's name is the network's, its facts travel along, and each alias leads to it."""
    network = load_network(name)
    entry = network_facts(name)
    assert (network.name, entry.name, network.family) == (name, name, entry.family)
    assert network.facts == entry.facts
    assert all(fact.source for fact in entry.facts)
    for alias in entry.aliases:
        assert alias not in NETWORKS
        assert load_network(alias.upper()).name == name


def test_no_two_networks_share_an_alias():
    """An alias is unambiguous, whatever its case."""
    aliases = [alias.casefold() for name in NETWORKS for alias in network_facts(name).aliases]
    assert len(aliases) == len(set(aliases))


def test_the_networks_of_the_first_part_are_there():
    """Names that scripts and papers cite."""
    widths, sizes = ("", "_0.75", "_0.5", "_0.25"), ("", "_192", "_160", "_128")
    mobilenets = {f"mobilenet{width}{size}" for width in widths for size in sizes}
    squeezenexts = {f"squeezenext{depth}{width}" for depth in (23, 34, 44) for width in ("", "_w1.5", "_w2.0")}
    variants = {f"squeezenext23v{version}" for version in range(2, 6)}
    others = {"alexnet", "squeezenet_v1.0", "squeezenet_v1.1", "squeezenet_simple_bypass", "squeezenet_complex_bypass"}
    others |= {"tiny_darknet", "squeezenext23v4_w2.0", "squeezenext23v5_w2.0", "g_squeezenext23"}
    others |= {"mobilenet_full_conv", "mobilenet_shallow"}
    assert mobilenets | squeezenexts | variants | others <= set(NETWORKS)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_builds_with_its_defaults_and_keeps_its_parameters(family):
    """A family name is a network too, and building again from what it recorded gives the same layers."""
    network = build(family)
    assert network.family == family
    again = build(family, **network.parameters)
    assert again.layers == network.layers
    assert again.parameters == network.parameters


def test_parameters_take_the_place_of_a_named_networks_own():
    """The result is the family's network, named after the change, without facts that no longer hold."""
    network = load_network("squeezenext23", width=2.0)
    assert network.layers == load_network("squeezenext23_w2.0").layers
    assert (network.name, network.facts) == ("squeezenext23(width=2.0)", ())
    assert load_network("squeezenext", depth=23, version=5).layers == load_network("squeezenext23v5").layers


def test_parameters_that_change_nothing_leave_the_network_as_it_is():
    """Naming a value that the file has already keeps name and facts."""
    assert load_network("squeezenext23", depth=23) == load_network("squeezenext23")
    assert load_network("squeezenext23", name="mine").name == "mine"


def test_a_path_works_wherever_a_name_does(tmp_path):
    """As text or as a path object; a separator is enough to make it a path."""
    path = Path(write(tmp_path, "name: mine\nfamily: squeezenext\nparameters: {blocks: [1, 2, 3, 1]}\n"))
    network = load_network(path)
    assert network == load_network(str(path))
    assert (network.name, network.parameters["blocks"]) == ("mine", [1, 2, 3, 1])
    assert load_network(path, width=0.5).name == "mine(width=0.5)"
    bare = tmp_path / "no_suffix"
    bare.write_text(path.read_text())
    assert load_network(f"{tmp_path}/no_suffix") == network


def test_a_layer_list_builds_what_the_builder_builds(tmp_path):
    """Every operation, written as YAML, gives the layer that the builder's call gives."""
    network = load_network(write(tmp_path, LIST))
    expected = tiny()
    assert network.layers == expected.layers
    assert network.inputs == expected.inputs
    assert network.facts == (Fact(source="a paper, Table 1", params_m=0.1, top1_percent=50),)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("op: lrn", "op: lrm", "net.yaml:21: layers[15].op: expected one of conv, linear, matmul, max_pool"),
        ("op: lrn", "op: matmul", "net.yaml:21: layers[15]: missing field 'rows'"),
        (", op: lrn", "", "net.yaml:21: layers[15]: missing field 'op'"),
        ("name: norm, ", "", "net.yaml:21: layers[15]: missing field 'name'"),
        (
            "groups: 4",
            "group: 4",
            "net.yaml:9: layers[3].group: unknown key; did you mean 'groups' or 'op'? (allowed: op, out_channels",
        ),
        (
            "op: flatten",
            "op: flatten, kernel: 3",
            "net.yaml:22: layers[16].kernel: unknown key (allowed: op, name, inputs",
        ),
        (
            "features: 10",
            "features: 0",
            "net.yaml:24: layers[18].features: expected a whole number of at least 1, got 0",
        ),
        ("features: 10, ", "", "net.yaml:24: layers[18]: missing field 'features', a whole number of at least 1"),
        (
            "kernel: [1, 3]",
            "kernel: [1, 3, 3]",
            "layers[3].kernel: expected a whole number of at least 1 or a list of 2",
        ),
        ("padding: same", "padding: some", "net.yaml:6: layers[0].padding: expected a whole number of at least 0 or"),
        ("padding: [0, 1]", "padding: [0, 1, 2]", "net.yaml:9: layer a: padding must have 1, 2 or 4 numbers, got 3"),
        ("padding: [0, 1]", "padding: [0, -1]", "layers[3].padding[1]: expected a whole number of at least 0, got -1"),
        ("groups: 4", "groups: 3", "net.yaml:9: layer a: groups 3 do not divide 16 input channels"),
        (
            "kernel: [1, 3], padding: [0, 1]",
            "kernel: 11",
            "net.yaml:9: layer a: kernel spans 11 pixels, larger than its",
        ),
        ("[bn, b]", "[bn, conv1]", "net.yaml:12: layer sum: adds bn of shape 16x8x8 and conv1 of shape 16x16x16"),
        ("[sum, pool1]", "[sum, conv1]", "net.yaml:13: layer both: joins sum of 8x8 pixels and conv1 of 16x16"),
        (
            "[wide, scale]",
            "[wide, half]",
            "net.yaml:18: layer scaled: scales wide of shape 24x8x8 by half of shape 16x8x8",
        ),
        ("stop: 16", "stop: 99", "net.yaml:15: layer half: slice 0:99 is not within 32 channels"),
        ("[bn, b]", "[bn, bb]", "net.yaml:12: layer sum: reads 'bb', which does not exist; did you mean"),
        ("[bn, b]", "[bn, drop]", "net.yaml:12: layer sum: is part of a cycle: sum reads drop reads flat reads norm"),
        ("[bn, b]", "[bn, sum]", "net.yaml:12: layer sum: is part of a cycle: sum reads sum"),
        ("inputs: pool1, out", "inputs: x, out", "net.yaml:11: layer b: reads 'x', which does not exist"),
        ("[bn, b]", "[bn]", "net.yaml:12: layer sum: add reads at least 2 inputs, got 1"),
        ("inputs: pool1, out", "inputs: [pool1, bn], out", "net.yaml:11: layer b: conv reads 1 inputs, got 2"),
        ("[wide, scale]", "[wide, scale, half]", "net.yaml:18: layer scaled: mul reads 2 inputs, got 3"),
        ("name: norm", "name: sum", "net.yaml:21: layer sum: the name is taken by the layer on line 12"),
        ("name: conv1", "name: input", "net.yaml:6: 'input' is the image; give the layer another name"),
        ("[3, 32, 32]", "[3, 32]", "net.yaml:2: input: expected a list of 3, got a list of 2"),
        ("[3, 32, 32]", "[3, 32, -1]", "net.yaml:2: input[2]: expected a whole number of at least 1, got -1"),
        ("input: [3, 32, 32]\n", "", "net.yaml:1: missing field 'input', a list of 3"),
        ("params_m: 0.1", "params: 0.1", "net.yaml:4: facts[0].params: unknown key; did you mean 'params_m'"),
        ("layers:", "family: alexnet\nlayers:", "net.yaml:5: family: a file with 'layers' cannot have a family too"),
    ],
)
def test_a_wrong_layer_list_is_told_with_line_layer_and_both_numbers(tmp_path, old, new, expected):
    """One wrong spot in a good list gives the sentence about that spot."""
    assert old in LIST
    assert expected in sentence(write(tmp_path, LIST.replace(old, new, 1)))


def test_a_layer_may_not_read_a_later_one(tmp_path):
    """Without a cycle, the sentence says where the other layer is."""
    text = "name: n\ninput: [3, 8, 8]\nlayers:\n"
    text += "  - {name: a, op: activation, inputs: b}\n  - {name: b, op: activation, inputs: input}\n"
    assert sentence(write(tmp_path, text)).endswith(
        "net.yaml:4: layer a: reads 'b', which comes later (line 5); list it before its readers"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: n\n", "net.yaml:1: needs 'family' (and its 'parameters') or 'layers'"),
        ("name: n\nlayers: []\ninput: [3, 8, 8]\n", "net.yaml:2: layers: expected a list that is not empty"),
        ("name: n\nlayers: 5\ninput: [3, 8, 8]\n", "net.yaml:2: layers: expected a list that is not empty, got 5"),
        ("name: n\nfamily: alexnt\n", "net.yaml:2: family: unknown network family 'alexnt'; did you mean 'alexnet'"),
        (
            "name: n\nfamily: alexnet\nparameters: {groups: two}\n",
            "net.yaml:3: family alexnet: groups: expected a whole",
        ),
        (
            "name: n\nfamily: alexnet\nparameters: {group: 1}\n",
            "net.yaml:3: family alexnet has no parameter 'group'; did",
        ),
        (
            "name: n\nfamily: alexnet\nparameters: {groups: 5}\n",
            "layer conv2: groups 5 do not divide 96 input channels",
        ),
        ("name: n\nfamily: alexnet\nfact: []\n", "net.yaml:3: fact: unknown key; did you mean 'facts'?"),
        ("family: alexnet\n", "net.yaml:1: missing field 'name', text"),
        ("name: ''\nfamily: alexnet\n", "net.yaml:1: name: expected text that is not empty, got ''"),
        ("name: x\nfamily: alexnet\nparameters: {name: ''}\n", "a network's name must not be empty"),
        ("", "net.yaml: is empty"),
    ],
)
def test_a_wrong_network_file_is_told_in_one_sentence(tmp_path, text, expected):
    """The file, its line and what is wrong there."""
    assert expected in sentence(write(tmp_path, text))


@pytest.mark.parametrize(
    ("source", "parameters", "expected"),
    [
        ("squeezenext32", {}, "unknown network 'squeezenext32'; did you mean 'squeezenext"),
        ("alxnet", {}, "unknown network 'alxnet'; did you mean 'alexnet'"),
        ("qqqqqqq", {}, "unknown network 'qqqqqqq'; see `accelsim networks`"),
        ("", {}, "unknown network ''"),
        ("none.yaml", {}, "none.yaml: no such file"),
        ("none/such", {}, "none/such: no such file"),
        (Path("none"), {}, "none: no such file"),
        ("squeezenext", {"widht": 2}, "family squeezenext has no parameter 'widht'; did you mean 'width'"),
        ("squeezenext", {"width": "big"}, "family squeezenext: width: expected a number, got 'big'"),
        ("squeezenext", {"width": True}, "family squeezenext: width: expected a number, got true"),
        ("squeezenext", {"width": 0}, "squeezenext: width must be a positive number, got 0"),
        ("squeezenext", {"width": float("nan")}, "squeezenext: width must be a positive number, got nan"),
        ("squeezenext", {"width": float("inf")}, "squeezenext: width must be a positive number, got inf"),
        ("squeezenext", {"blocks": [1, 2, 3, 1], "depth": 23}, "blocks [1, 2, 3, 1] make a depth of 9, not 23"),
        ("squeezenext", {"version": 6}, "squeezenext: version must be 1 to 5, got 6"),
        ("squeezenext", {"depth": 24}, "squeezenext: depth 24 version 1 has no published distribution of units"),
        ("squeezenext", {"blocks": (1, 2)}, "squeezenext: blocks must be four positive integers, got [1, 2]"),
        ("squeezenext", {"blocks": (1, 2, 3, 0)}, "squeezenext: blocks must be four positive integers"),
        ("squeezenext", {"shortcut": "none"}, "shortcut: expected one of parallel, sequential, got 'none'"),
        ("squeezenext", {"groups": 3}, "layer conv3: groups 3 do not divide 64 input channels"),
        ("squeezenext", {"resolution": 8}, "larger than its input"),
        ("squeezenext23", {"resolution": -1}, "network squeezenext23(resolution=-1): input must be three positive"),
        ("squeezenet", {"version": 1.1}, "version: expected one of '1.0', '1.1', got 1.1"),
        ("squeezenet", {"bypass": "half"}, "bypass: expected one of complex, none, simple, got 'half'"),
        ("squeezenet", {"freq": 0}, "squeezenet: freq must be at least 1, got 0"),
        ("squeezenet", {"pct3x3": 1.5}, "squeezenet: pct3x3 must be from 0 to 1, got 1.5"),
        ("squeezenet", {"SR": 0}, "squeezenet: SR must be above 0 and at most 1, got 0"),
        ("squeezenet", {"base_e": 0, "incr_e": 0}, "layer fire2/squeeze1x1: channels"),
        ("mobilenet", {"width": -0.5}, "mobilenet: width must be a positive number, got -0.5"),
        ("mobilenet", {"classes": 0}, "layer fc: K must be a positive integer, got 0"),
    ],
)
def test_a_wrong_name_or_parameter_is_told_in_one_sentence(source, parameters, expected):
    """What was given, what is allowed, and the nearest right name."""
    assert expected in sentence(source, **parameters)


def test_a_layer_list_has_no_parameters(tmp_path):
    """Nothing in it could change."""
    assert "lists its layers, so it has no parameter 'width'" in sentence(write(tmp_path, LIST), width=2)


def test_facts_of_an_unknown_network_are_refused():
    """Only shipped networks have facts."""
    with pytest.raises(WorkloadError, match="unknown network 'alexne'; did you mean 'alexnet'"):
        network_facts("alexne")


def test_an_installed_copy_finds_its_data_inside_the_package(tmp_path, monkeypatch):
    """A wheel has _data in the package; a directory of the same name beside it does not count."""
    package = tmp_path / "accelsim"
    (package / "_data" / "networks").mkdir(parents=True)
    (package / "_data" / "networks" / "inside.yaml").write_text("")
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / "beside.yaml").write_text("")
    monkeypatch.setattr(data, "_PACKAGE", package)
    uncached = data.data_files.__wrapped__
    assert list(uncached("networks")) == ["inside"]
    with pytest.raises(InputError, match="accelsim's hwconfigs are missing"):
        uncached("hwconfigs")


def test_data_files_are_found_by_name():
    """The path of a shipped file, or the nearest name."""
    assert data.data_file("networks", "alexnet").name == "alexnet.yaml"
    assert data.data_names("networks") == NETWORKS
    with pytest.raises(InputError, match="ships no 'alexnett' among its networks; did you mean 'alexnet'"):
        data.data_file("networks", "alexnett")


def test_a_layer_list_survives_the_garbage_collector(tmp_path):
    """Types that the YAML is converted to must not bring down the interpreter when it collects garbage."""
    path = write(tmp_path, LIST)
    code = f"import gc; gc.set_threshold(1); from accelsim.workload.loader import *; load_network({path!r})"
    assert python(code) == ""


def test_loading_a_network_imports_nothing_heavy():
    """A command that does not simulate must not wait for numba."""
    code = (
        "import sys; from accelsim.workload.loader import load_network; load_network('squeezenext23');"
        "print([name for name in ('numpy', 'pandas', 'numba', 'matplotlib', 'rich') if name in sys.modules])"
    )
    assert python(code) == "[]"


def test_loading_a_named_network_is_quick():
    """Well under the time that a user notices: the best of five runs, as the machine may be busy."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        load_network("squeezenext23")
        times.append(time.perf_counter() - start)
    assert min(times) < 0.06


@pytest.mark.parametrize("width", [".inf", "1e308"])
def test_a_parameter_without_end_is_refused(tmp_path, width):
    """Infinity is a number in YAML, and no width."""
    text = f"name: net\nfamily: mobilenet_v2\nparameters: {{width: {width}}}\n"
    assert "net.yaml:3: family mobilenet_v2: a parameter is out of range" in sentence(write(tmp_path, text))
