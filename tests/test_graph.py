"""Does the picture of a network show its layers, its blocks and its tensors?"""

from __future__ import annotations

import re
import shutil
import time
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from accelsim.errors import AccelsimError, InputError, MissingExtraError
from accelsim.report.graph import KIND_COLOURS, MERGED_OPS, graph_dot, graph_svg, save_graph
from accelsim.workload.layer import Kind
from accelsim.workload.network import Network, NetworkBuilder
from accelsim.workload.zoo import build

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")


def labels(dot: str) -> list[str]:
    """Labels of all nodes but the input's, in the order of the network."""
    found = re.findall(r'^ *n(\d+) \[label="((?:[^"\\]|\\.)*)"', dot, re.MULTILINE)
    return [label for _, label in sorted(found, key=lambda match: int(match[0]))]


def edges(dot: str) -> list[tuple[str, str]]:
    """Pairs of node identifiers."""
    return re.findall(r"^ *(\w+) -> (\w+)", dot, re.MULTILINE)


@pytest.fixture
def residual() -> Network:
    """A pre-activation block, whose shortcut reads what its batch norm reads."""
    b = NetworkBuilder('say "hi"\\', (3, 8, 8))
    x = b.conv(b.input, 4, 3, padding=1)
    with b.scope("stage"), b.scope("unit"):
        y = b.relu(b.batch_norm(x))
        y = b.depthwise(y, 3, padding=1, stride=2)
        y = b.conv_bn(y, 8, groups=2)
        x = b.add(b.conv(x, 8, stride=2), y)
    b.linear(x, 10, bias=True)
    return b.build()


def test_does_every_layer_have_a_node_with_what_it_does(residual: Network) -> None:
    """Kernels, strides, groups and channels are written on the nodes, and what follows is merged into them."""
    assert labels(graph_dot(residual)) == [
        "conv1: 3x3 conv, 4",
        "BN\\nReLU",
        "conv1: 3x3 depthwise /2, 4",
        "conv2: 1x1 conv in 2 groups, 8\\nBN + ReLU",
        "conv3: 1x1 conv /2, 8",
        "add",
        "linear, 10",
    ]


def test_does_an_operation_merge_only_where_nothing_else_reads_its_input(residual: Network) -> None:
    """A batch norm behind a fork stands alone; one behind a convolution that only it reads does not."""
    dot = graph_dot(residual)
    assert Counter(edges(dot)) == Counter(
        [
            ("input", "n0"),
            ("n0", "n1"),
            ("n1", "n2"),
            ("n2", "n3"),
            ("n0", "n4"),
            ("n4", "n5"),
            ("n3", "n5"),
            ("n5", "n6"),
        ]
    )


def test_are_shapes_on_edges_once_for_each_tensor(residual: Network) -> None:
    """The tensor that two layers read is labelled at its first edge."""
    shapes = re.findall(r'-> \w+ \[label=" ([0-9x]+)"\]', graph_dot(residual))
    assert shapes == ["3x8x8", "4x8x8", "4x8x8", "4x4x4", "8x4x4", "8x4x4", "8x4x4"]
    assert len(shapes) == len(edges(graph_dot(residual))) - 1


def test_are_blocks_nested_clusters(residual: Network) -> None:
    """The unit's box is inside the stage's, and holds its nodes."""
    lines = [line.strip() for line in graph_dot(residual).splitlines()]
    stage, unit = lines.index('subgraph "cluster_stage" {'), lines.index('subgraph "cluster_stage/unit" {')
    closings = [number for number, line in enumerate(lines) if line == "}" and number > unit]
    inside = [line.split()[0] for line in lines[unit : closings[0]] if re.match(r"n\d+ \[", line)]
    assert stage < unit < closings[0] < closings[1]
    assert inside == ["n1", "n2", "n3", "n4", "n5"]


def test_are_names_with_quotes_and_backslashes_written_so_that_dot_reads_them(residual: Network) -> None:
    """The network's name is quoted as a string and escaped in the title."""
    dot = graph_dot(residual)
    assert dot.startswith('digraph "say \\"hi\\"\\\\" {')
    assert "say &quot;hi&quot;" in dot


def test_are_colours_those_of_the_kinds_and_explained() -> None:
    """Each kind that occurs has its colour on its nodes and in the key; others have neither."""
    dot = graph_dot(build("mobilenet"))
    used = set(re.findall(r'fillcolor="(#\w+)", tooltip', dot))
    kinds = {Kind.STANDARD, Kind.POINTWISE, Kind.DEPTHWISE, Kind.LINEAR, Kind.OTHER}
    assert used == {KIND_COLOURS[kind] for kind in kinds}
    assert {kind for kind in Kind if f">{kind.value}</FONT>" in dot} == kinds


def test_does_black_text_stand_out_on_every_colour() -> None:
    """Contrast is at least 7 to 1, the stricter level of the Web Content Accessibility Guidelines 2.1."""
    assert set(KIND_COLOURS) == set(Kind)
    for colour in KIND_COLOURS.values():
        channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        assert (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05) / 0.05 >= 7


def test_is_every_layer_of_a_large_network_in_a_node() -> None:
    """Merged and collapsed layers are all in the tooltips, and collapsing keeps to the limit."""
    network = build("googlenet")
    for limit in (250, 60, 20):
        dot = graph_dot(network, max_nodes=limit)
        names = re.findall(r'(?:tooltip="|\\n)([^:"]+): \w+ \d', dot)
        assert sorted(names) == sorted(layer.name for layer in network)
        assert len(labels(dot)) <= limit


def test_do_innermost_blocks_collapse_first() -> None:
    """With 60 nodes, GoogLeNet's branches are nodes inside open modules; with 20 the modules are."""
    network = build("googlenet")
    assert not any("layers," in label for label in labels(graph_dot(network)))
    branches, modules = (labels(graph_dot(network, max_nodes=limit)) for limit in (60, 20))
    branch_macs = 28 * 28 * (192 * 96 + 96 * 128 * 9)
    assert f"branch3x3\\n4 layers, {branch_macs / 1e6:.0f} M MACs" in branches
    assert "inception3a\\n14 layers, 128 M MACs" in modules  # GoogLeNet arXiv:1409.4842, Table 1: 128M


def test_is_a_chain_of_merged_layers_one_node() -> None:
    """Convolution, batch norm and activation make up one node throughout MobileNet."""
    network = build("mobilenet")
    assert len(labels(graph_dot(network))) == sum(layer.op not in MERGED_OPS for layer in network)


def test_is_the_text_the_same_every_time() -> None:
    """Two builds of the same network give the same text."""
    assert graph_dot(build("squeezenext")) == graph_dot(build("squeezenext"))


@needs_dot
@pytest.mark.parametrize("family", ["squeezenext", "mobilenet", "inception_v3", "shufflenet_v2"])
def test_does_dot_draw_every_node_and_edge(family: str) -> None:
    """The SVG is well formed and has a group for each node and edge of the text, within a second or so."""
    network = build(family)
    dot = graph_dot(network)
    start = time.perf_counter()
    groups = Counter(
        element.get("class")
        for element in ElementTree.fromstring(graph_svg(network)).iter("{http://www.w3.org/2000/svg}g")
    )
    assert groups["node"] == len(labels(dot)) + 1
    assert groups["edge"] == len(edges(dot))
    assert time.perf_counter() - start < 10


@needs_dot
def test_does_dot_read_odd_names(residual: Network) -> None:
    """Quotes and backslashes reach the title unharmed."""
    assert 'say "hi"\\' in "".join(ElementTree.fromstring(graph_svg(residual)).itertext())


def test_does_the_error_name_what_to_install(residual: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Graphviz, SVG is refused with the commands that install it; the text still works."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"'dot'.*apt-get install graphviz"):
        graph_svg(residual)
    assert graph_dot(residual)


def test_is_a_failure_of_dot_reported(residual: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that exits with an error is not taken for a picture."""
    failing = shutil.which("false")
    if failing is None:
        pytest.skip("no program 'false' here")
    monkeypatch.setattr(shutil, "which", lambda _: failing)
    with pytest.raises(AccelsimError, match="dot could not draw the graph"):
        graph_svg(residual)


def test_does_the_suffix_choose_the_form(residual: Network, tmp_path: Path) -> None:
    """Text goes to .dot and .gv; anything unknown is refused by name."""
    for suffix in ("dot", "gv"):
        assert save_graph(residual, tmp_path / f"net.{suffix}").read_text() == graph_dot(residual)
    with pytest.raises(InputError, match=r"net.png: a graph is written as .svg, .dot or .gv, not as '.png'"):
        save_graph(residual, tmp_path / "net.png")
    with pytest.raises(InputError, match="max_nodes must be at least 1, got 0"):
        graph_dot(residual, max_nodes=0)


@needs_dot
def test_is_a_saved_svg_what_dot_drew(residual: Network, tmp_path: Path) -> None:
    """The file holds the drawing."""
    assert "<svg" in save_graph(residual, tmp_path / "net.svg").read_text()
