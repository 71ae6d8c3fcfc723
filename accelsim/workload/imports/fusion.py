"""Rewriting of imported operations that exporters take apart, so that every road gives the same layers.

Each rule keeps what is computed: an activation or a normalisation written as several operations becomes one, a
constant added to each output channel becomes the bias, a factor that is one number goes into the weights beside it,
and a transposition that only products read is none, since the array reads its operands in any order.
"""

from __future__ import annotations

from math import prod

from accelsim.workload.imports.operations import Graph, Step

SELF_GATED = {"sigmoid": "silu", "hard_sigmoid": "hard_swish"}
"""What x times a function of x is called."""

FREE = frozenset({"view", "folded"})
"""Kinds that only rename a value."""


def fuse(graph: Graph) -> None:
    """Apply all rules to a graph, in place."""
    fusion = _Fusion(graph)
    for step in list(graph.steps):
        if id(step) in fusion.gone:
            continue
        if step.kind == "binary" and step.details["function"] == "mul":
            _ = fusion.self_gated(step) or fusion.gelu(step)
        elif step.kind == "binary" and step.details["function"] == "div":
            fusion.layer_norm(step)
        elif step.kind == "unary" and step.details["function"] in ("add", "sub"):
            fusion.bias(step)
    graph.steps = [step for step in graph.steps if id(step) not in fusion.gone]
    for step in graph.steps:
        if step.kind == "unary" and step.details["function"] in ("mul", "div") and step.details.get("scalar"):
            step.kind = "folded"
    _drop_unused(graph)
    _free_transpositions(graph)


class _Fusion:
    """The graph by makers and readers, and the steps that are gone."""

    def __init__(self, graph: Graph) -> None:
        self.outputs = set(graph.outputs)
        self.shapes = graph.shapes
        self.maker = graph.makers()
        self.readers = {value: len(steps) for value, steps in graph.readers().items()}
        self.only_reader = {value: steps[0] for value, steps in graph.readers().items() if len(steps) == 1}
        self.gone: set[int] = set()

    def private(self, value: str, *, readings: int = 1) -> bool:
        """Tell whether nobody but the step at hand needs a value."""
        return value not in self.outputs and self.readers.get(value, 0) == readings

    def made_by(self, value: str, kind: str, *functions: str) -> Step | None:
        """Return the step that makes a value if it is of a kind, and has one of the functions if any are named."""
        step = self.maker.get(value)
        if step is None or step.kind != kind or id(step) in self.gone:
            return None
        return step if not functions or step.details.get("function") in functions else None

    def absorb(self, into: Step, *steps: Step) -> None:
        """Take steps out of the graph; their nodes belong to ``into``."""
        for step in steps:
            into.absorbed += step.nodes
            self.gone.add(id(step))

    def self_gated(self, step: Step) -> bool:
        """Join x * sigmoid(x) and its like."""
        for gate, x in (step.reads, step.reads[::-1]):
            maker = self.made_by(gate, "unary", *SELF_GATED)
            if maker is not None and maker.reads == [x] and self.private(gate):
                step.kind, step.reads = "unary", [x]
                step.details = {"function": SELF_GATED[maker.details["function"]]}
                self.absorb(step, maker)
                self.readers[x] -= 1
                return True
        return False

    def gelu(self, step: Step) -> bool:
        """Join x * (1 + erf(x / sqrt(2))), whichever side a factor 1/2 is on."""
        for half, sum_ in (step.reads, step.reads[::-1]):
            added = self.made_by(sum_, "unary", "add")
            erf = added and self.made_by(added.reads[0], "unary", "erf")
            scaled = erf and self.made_by(erf.reads[0], "unary", "div", "mul")
            if added is None or erf is None or scaled is None:
                continue
            x = scaled.reads[0]
            halved = self.made_by(half, "unary", "mul", "div")
            parts = [scaled, erf, added]
            if half != x and (halved is None or halved.reads != [x] or not self.private(half)):
                continue
            if half != x and halved is not None:
                parts.append(halved)
            if all(self.private(part.makes[0]) for part in parts):
                step.kind, step.reads, step.details = "unary", [x], {"function": "gelu"}
                self.absorb(step, *parts)
                self.readers[x] -= 1
                return True
        return False

    def bias(self, step: Step) -> None:
        """Make a constant that is added to every output channel the bias of the layer before."""
        value = step.reads[0]
        maker = self.made_by(value, "linear") or self.made_by(value, "conv") or self.made_by(value, "conv_transpose")
        if maker is None or maker.details["bias"] or not self.private(value):
            return
        constant = step.details["constant"]
        rank = len(self.shapes[step.makes[0]])
        aligned = (1,) * (rank - len(constant)) + tuple(constant)
        axis = rank - 1 if maker.kind == "linear" else 1
        channels = maker.details["features" if maker.kind == "linear" else "channels"]
        if len(aligned) != rank or aligned[axis] != channels or prod(constant) != channels:
            return
        maker.details["bias"] = True
        maker.makes = step.makes
        self.maker[step.makes[0]] = maker
        maker.name = maker.name or step.name
        self.absorb(maker, step)

    def layer_norm(self, step: Step) -> None:
        """Join (x - mean) / sqrt(mean((x - mean)^2) + eps), and the gamma and beta that follow."""
        centred, deviation = step.reads
        root = self.made_by(deviation, "unary", "sqrt")
        shifted = root and self.made_by(root.reads[0], "unary", "add")
        variance = shifted and self.made_by(shifted.reads[0], "move", "mean")
        square = variance and (
            self.made_by(variance.reads[0], "unary", "pow") or self.made_by(variance.reads[0], "binary", "mul")
        )
        difference = self.made_by(centred, "binary", "sub")
        mean = difference and self.made_by(difference.reads[1], "move", "mean")
        if root is None or shifted is None or variance is None or square is None or difference is None or mean is None:
            return
        x = difference.reads[0]
        if set(square.reads) != {centred} or mean.reads != [x]:
            return
        parts = [mean, difference, square, variance, shifted, root]
        if not all(self.private(part.makes[0]) for part in parts if part is not difference):
            return
        if centred in self.outputs or self.readers[centred] != 1 + len(square.reads):
            return
        step.kind, step.reads, step.details = "layer_norm", [x], {"function": "layer_norm"}
        self.absorb(step, *parts)
        for function in ("mul", "add"):
            after = self.only_reader.get(step.makes[0])
            if after is None or after.kind != "unary" or after.details["function"] != function:
                return
            if step.makes[0] in self.outputs or after.details.get("scalar"):
                return
            step.params += after.params
            step.name = step.name or after.name
            step.makes = after.makes
            self.maker[step.makes[0]] = step
            self.absorb(step, after)


def _drop_unused(graph: Graph) -> None:
    """Remove steps that no output depends on; their nodes count as folded."""
    needed = set(graph.outputs)
    kept = []
    for step in reversed(graph.steps):
        if needed.isdisjoint(step.makes):
            graph.folded += step.nodes
            continue
        wanted = [index for index, value in enumerate(step.makes) if value in needed]
        if "bounds" in step.details:
            step.details["bounds"] = tuple(step.details["bounds"][index] for index in wanted)
        step.makes = [step.makes[index] for index in wanted]
        needed.update(step.reads)
        kept.append(step)
    graph.steps = kept[::-1]


def _free_transpositions(graph: Graph) -> None:
    """Make a transposition whose every reader, through views, is a product, a view."""
    outputs = set(graph.outputs)
    product_only: dict[str, bool] = {}
    readers = graph.readers()
    for step in reversed(graph.steps):
        for value in step.makes:
            product_only[value] = value not in outputs and all(
                reader.kind in ("linear", "matmul") or (reader.kind in FREE and product_only[reader.makes[0]])
                for reader in readers[value]
            )
        if step.kind == "transpose" and product_only[step.makes[0]]:
            step.kind = "view"
