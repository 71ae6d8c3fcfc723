"""Picture of a network's graph: Graphviz text, and SVG where Graphviz is installed.

A node is a convolution, a linear layer, a pool, and so on, with the batch norm, activation and dropout that follow it
and nothing else reads; its colour is the layer's kind. Blocks are boxes around their layers. An edge carries the shape
of its tensor, once for every tensor. Where a network has more nodes than fit a picture, its innermost blocks become
single nodes; layers outside all blocks always have their own.
"""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from accelsim.errors import AccelsimError, InputError, MissingExtraError
from accelsim.report.files import write_whole
from accelsim.units import engineering
from accelsim.workload.layer import Kind, Layer, Op
from accelsim.workload.network import INPUT, Network

KIND_COLOURS: dict[Kind, str] = {
    Kind.STANDARD: "#80C7EF",
    Kind.POINTWISE: "#ECB740",
    Kind.DEPTHWISE: "#40B696",
    Kind.GROUPED: "#D99BBD",
    Kind.LINEAR: "#F4EB71",
    Kind.OTHER: "#E6E6E6",
}
"""Okabe and Ito's palette, which the colour-blind can tell apart, a quarter lighter so that black text stands out."""

MERGED_OPS = frozenset({Op.BATCH_NORM, Op.ACTIVATION, Op.DROPOUT, Op.FLATTEN})
"""Operations that are drawn as part of the layer whose only reader they are."""

JOIN_OPS = frozenset({Op.ADD, Op.MUL, Op.CONCAT})
"""Operations drawn as ellipses, since their point is what meets there."""

MAX_NODES = 250
"""Nodes up to which a picture shows single layers: beyond, labels are too small and the layout takes seconds."""

CLUSTER_COLOURS = ("#F7F7F7", "#EDEDED")
"""Fills of blocks and of the blocks inside them, by turns."""

SHORT_NAMES = {"batch_norm": "BN", "relu": "ReLU", "relu6": "ReLU6", "lrn": "LRN"}


@dataclass(kw_only=True)
class _Node:
    """What one node shows: a layer with those merged into it, or a whole block.

    Attributes:
        cluster: Path of the blocks drawn around it.
        block: Name of the block that the node stands for, empty if it is a layer.
        layers: What it shows, the layer itself first.
    """

    cluster: str
    block: str
    layers: list[Layer] = field(default_factory=list)


def graph_dot(network: Network, *, max_nodes: int = MAX_NODES) -> str:
    """Return the network's graph in Graphviz's language.

    Args:
        network: The network.
        max_nodes: Nodes above which the innermost blocks are drawn as single nodes, as far out as needed.

    Returns:
        The text of a ``digraph``.

    Raises:
        InputError: ``max_nodes`` is not positive.
    """
    if max_nodes < 1:
        raise InputError(f"max_nodes must be at least 1, got {max_nodes}")
    nodes, place = _nodes(network, max_nodes)
    ids = {key: f"n{number}" for number, key in enumerate(nodes)} | {INPUT: INPUT}
    entry = _attributes(label=f"input {network.input_shape}", style="filled", fillcolor="white")
    lines = [
        f"digraph {_quoted(network.name)} {{",
        '  graph [nodesep=0.25, ranksep=0.22, fontname="Helvetica", fontsize=13, labelloc=t, '
        f"label={_title(network)}];",
        '  node [shape=box, fontname="Helvetica", fontsize=10, height=0.2, margin="0.1,0.03"];',
        '  edge [fontname="Helvetica", fontsize=8, fontcolor="#444444", color="#666666", arrowsize=0.6];',
        f"  {INPUT} [{entry}];",
        *_clusters(nodes, ids),
        *_edges(network, place, ids),
        "}",
    ]
    return "\n".join(lines) + "\n"


def graph_svg(network: Network, *, max_nodes: int = MAX_NODES) -> str:
    """Return the network's graph as SVG, laid out by Graphviz.

    Args:
        network: The network.
        max_nodes: As of ``graph_dot``.

    Returns:
        The text of an SVG file; a node's tooltip has its layers, parameters and MACs.

    Raises:
        MissingExtraError: Graphviz's ``dot`` is not installed.
        AccelsimError: ``dot`` failed.
    """
    program = shutil.which("dot")
    if program is None:
        raise MissingExtraError(
            "drawing a graph needs Graphviz's program 'dot', which is not installed: "
            "'apt-get install graphviz' on Debian and Ubuntu, 'brew install graphviz' on macOS, "
            "'winget install graphviz' on Windows"
        )
    text = graph_dot(network, max_nodes=max_nodes)
    run = subprocess.run([program, "-Tsvg"], input=text, capture_output=True, text=True, encoding="utf-8", check=False)
    if run.returncode:
        raise AccelsimError(f"network {network.name}: dot could not draw the graph: {run.stderr.strip()}")
    return run.stdout


def save_graph(network: Network, path: str | Path, *, max_nodes: int = MAX_NODES) -> Path:
    """Write the network's graph to a file, whose suffix (``.svg``, ``.dot`` or ``.gv``) says in which form.

    Returns:
        The path.

    Raises:
        InputError: Another suffix, or the file cannot be written.
        MissingExtraError: SVG was asked for and Graphviz's ``dot`` is not installed.
    """
    target = Path(path)
    if target.suffix not in (".svg", ".dot", ".gv"):
        raise InputError(f"{target}: a graph is written as .svg, .dot or .gv, not as {target.suffix!r}")
    draw = graph_svg if target.suffix == ".svg" else graph_dot
    return write_whole(target, draw(network, max_nodes=max_nodes).encode())


def _merged(network: Network) -> dict[str, str]:
    """Map every layer to the layer in whose node it is drawn."""
    readers = Counter(source for sources in network.inputs.values() for source in sources)
    blocks = {layer.name: layer.block for layer in network}
    owner: dict[str, str] = {}
    for layer in network:
        source = network.inputs[layer.name][0]
        merges = layer.op in MERGED_OPS and readers[source] == 1 and blocks.get(source) == layer.block
        owner[layer.name] = owner[source] if merges else layer.name
    return owner


def _nodes(network: Network, max_nodes: int) -> tuple[dict[str, _Node], dict[str, str]]:
    """Return the nodes by key, and the key of the node that shows each layer."""
    owner = _merged(network)
    blocks = {layer.name: layer.block for layer in network if owner[layer.name] == layer.name}
    levels = max((len(_path(block)) for block in blocks.values()), default=0)
    while levels and len({_key(name, block, levels) for name, block in blocks.items()}) > max_nodes:
        levels -= 1
    sizes = Counter(_key(name, block, levels) for name, block in blocks.items())
    nodes: dict[str, _Node] = {}
    place: dict[str, str] = {}
    for layer in network:
        path = _path(layer.block)
        key = _key(owner[layer.name], layer.block, levels)
        if key not in nodes:
            whole = len(path) > levels and sizes[key] > 1
            nodes[key] = _Node(cluster="/".join(path[:levels]), block=path[levels] if whole else "")
        nodes[key].layers.append(layer)
        place[layer.name] = key
    return nodes, place


def _key(name: str, block: str, levels: int) -> str:
    """Return what identifies a layer's node when ``levels`` levels of blocks are open: its block's path or its name.

    The separator keeps a block from having the key of a layer of the same name.
    """
    path = _path(block)
    return "block\0" + "/".join(path[: levels + 1]) if len(path) > levels else name


def _path(block: str) -> list[str]:
    return block.split("/") if block else []


def _clusters(nodes: Mapping[str, _Node], ids: Mapping[str, str]) -> list[str]:
    """Return the statements of all nodes, those of a block inside its cluster."""
    members: dict[str, list[str]] = {"": []}
    children: dict[str, list[str]] = {"": []}
    for key, node in nodes.items():
        path = _path(node.cluster)
        for level in range(1, len(path) + 1):
            cluster = "/".join(path[:level])
            if cluster not in members:
                members[cluster], children[cluster] = [], []
                children["/".join(path[: level - 1])].append(cluster)
        members[node.cluster].append(f"{ids[key]} [{_attributes(**_node_style(node))}];")
    return _cluster("", members, children)


def _cluster(cluster: str, members: Mapping[str, list[str]], children: Mapping[str, list[str]]) -> list[str]:
    depth = len(_path(cluster))
    inner = [f"{'  ' * (depth + 1)}{line}" for line in members[cluster]]
    for child in children[cluster]:
        inner += _cluster(child, members, children)
    if not cluster:
        return inner
    indent = "  " * depth
    style = _attributes(
        label=_path(cluster)[-1],
        style="filled,rounded",
        fillcolor=CLUSTER_COLOURS[(depth - 1) % len(CLUSTER_COLOURS)],
        color="#BBBBBB",
        fontsize="10",
        labeljust="l",
    )
    return [
        f"{indent}subgraph {_quoted(f'cluster_{cluster}')} {{",
        f"{indent}  graph [{style}];",
        *inner,
        f"{indent}}}",
    ]


def _edges(network: Network, place: Mapping[str, str], ids: Mapping[str, str]) -> list[str]:
    """Return the statements of the edges between different nodes; a tensor's first edge has its shape."""
    shapes = {layer.name: layer.output_shape for layer in network} | {INPUT: network.input_shape}
    keys = {**place, INPUT: INPUT}
    labelled: set[str] = set()
    lines: dict[tuple[str, str, str], str] = {}
    for layer in network:
        for source in network.inputs[layer.name]:
            edge = (keys[source], keys[layer.name], source)
            if edge[0] == edge[1] or edge in lines:
                continue
            label = "" if source in labelled else f" [{_attributes(label=f' {shapes[source]}')}]"
            labelled.add(source)
            lines[edge] = f"  {ids[edge[0]]} -> {ids[edge[1]]}{label};"
    return list(lines.values())


def _node_style(node: _Node) -> dict[str, str]:
    """Return a node's Graphviz attributes."""
    head, *merged = node.layers
    tooltip = "\n".join(_tooltip(layer) for layer in node.layers)
    if node.block:
        macs = sum(layer.macs for layer in node.layers)
        label = f"{node.block}\n{len(node.layers)} layers, {engineering(macs)} MACs"
        look = {"shape": "box3d", "style": "filled", "fillcolor": "white", "margin": "0.15,0.08"}
        return {"label": label, **look, "tooltip": tooltip}
    joins = head.op in JOIN_OPS
    title = f"{_short_name(head)} {_description(head)}".strip()
    extra = " + ".join(SHORT_NAMES.get(what, what) for what in (layer.detail or layer.op.value for layer in merged))
    return {
        "label": (" + " if joins else "\n").join(filter(None, (title, extra))),
        "shape": "ellipse" if joins else "box",
        "style": "filled" if joins else "filled,rounded",
        "fillcolor": KIND_COLOURS[head.kind],
        "tooltip": tooltip,
    }


def _short_name(layer: Layer) -> str:
    """Return the layer's name without its block, which the cluster around it names, and "" if it says no more."""
    name = layer.name.removeprefix(f"{layer.block}/")
    return "" if layer.op is not Op.CONV and name.rstrip("0123456789") == layer.op.value else f"{name}:"


def _description(layer: Layer) -> str:
    """Return what the layer does, in the words of its field."""
    step = f" /{layer.stride[0]}" if layer.stride[0] == layer.stride[1] else f" /{layer.stride[0]}x{layer.stride[1]}"
    stride = "" if layer.stride == (1, 1) else step
    if layer.op is Op.CONV:
        what = {Kind.DEPTHWISE: "depthwise", Kind.GROUPED: f"conv in {layer.G} groups"}.get(layer.kind, "conv")
        return f"{layer.R}x{layer.S} {what}{stride}, {layer.G * layer.K}"
    if layer.op is Op.LINEAR:
        return f"linear, {layer.K}"
    if layer.op in (Op.MAX_POOL, Op.AVG_POOL):
        return f"{layer.R}x{layer.S} {layer.op.value.replace('_', ' ')}{stride}"
    name = SHORT_NAMES.get(layer.op.value, layer.op.value.replace("_", " "))
    detail = SHORT_NAMES.get(layer.detail, layer.detail)
    return detail if layer.op is Op.ACTIVATION else f"{name} {detail}".strip()


def _tooltip(layer: Layer) -> str:
    inputs = ", ".join(str(shape) for shape in layer.input_shapes)
    counts = f", {engineering(layer.params)} parameters" if layer.params else ""
    counts += f", {engineering(layer.macs)} MACs" if layer.macs else ""
    return f"{layer.name}: {layer.op.value} {inputs} -> {layer.output_shape}{counts}"


def _title(network: Network) -> str:
    """Return the picture's title and the key to its colours, as a Graphviz table."""
    totals = network.totals
    text = f"{network.name}: {engineering(totals['params'])} parameters, {engineering(totals['macs'])} MACs"
    kinds = [kind for kind in Kind if any(layer.kind is kind for layer in network)]
    key = "".join(
        f'<TD BGCOLOR="{KIND_COLOURS[kind]}"><FONT POINT-SIZE="10">{kind.value}</FONT></TD>' for kind in kinds
    )
    return (
        f'<<TABLE BORDER="0" CELLSPACING="4"><TR><TD COLSPAN="{len(kinds)}">{escape(text)}</TD></TR>'
        f"<TR>{key}</TR></TABLE>>"
    )


def _attributes(**values: str) -> str:
    return ", ".join(f"{name}={_quoted(value)}" for name, value in values.items())


def _quoted(text: str) -> str:
    """Return a Graphviz string; line breaks become its own escape."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
