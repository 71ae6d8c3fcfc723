"""Compare every named network with the public definitions of it, to the unit and layer by layer.

    PYTHONPATH=. python benchmarks/check_zoo.py [NETWORK ...] [--golden] [--times]

For each reference whose library is installed, parameters of convolutions, linear layers, biases and batch norms and
MACs are counted with hooks while the model runs on shapes alone (torch's meta device), and the convolutions and linear
layers are listed in the order in which they run. Counts have to be equal, and that order has to be ours or another in
which our graph can run. The exit code is 1 if anything differs, or if a network names neither a reference nor a reason
for having none.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from zoo_references import CITED, REFERENCES, Reference

from accelsim.workload.loader import load_network, network_names
from accelsim.workload.network import Network
from tests.zoo_digest import digest_of_lines, layer_line

PARTS = ("conv", "linear", "bias", "bn")
"""What parameters are split into, as in a network's totals."""


@dataclass
class Measured:
    """Parameters by part, MACs, and the layers on the array in the order in which they run."""

    params: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PARTS, 0))
    macs: int = 0
    lines: list[str] = field(default_factory=list)


def measure_ours(network: Network) -> Measured:
    """Count our own network."""
    totals = network.totals
    return Measured(
        params={part: totals[f"params_{part}"] for part in PARTS},
        macs=totals["macs"],
        lines=[layer_line(layer) for layer in network.array_layers],
    )


def measure_reference(reference: Reference, input_shape: Sequence[int]) -> Measured:
    """Run the reference on shapes alone and count what its layers do."""
    import torch  # noqa: PLC0415

    measured = Measured()

    def count(module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        weight, bias = module.weight.numel(), module.bias.numel() if module.bias is not None else 0
        if isinstance(module, torch.nn.Conv2d):
            measured.params["conv"] += weight
            measured.macs += output.shape[-2] * output.shape[-1] * weight
        elif isinstance(module, torch.nn.Linear):
            measured.params["linear"] += weight
            measured.macs += weight
        else:
            measured.params["bn"] += weight + bias
            return
        measured.params["bias"] += bias
        measured.lines.append(module_line(module, inputs[0].shape, output.shape))

    with torch.device("meta"), torch.no_grad():
        model = reference.make().eval()
        for module in model.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear | torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                module.register_forward_hook(count)
        model(torch.empty(1, *input_shape))
        total = sum(parameter.numel() for parameter in model.parameters())
    if total != sum(measured.params.values()):
        raise AssertionError(f"{reference.what} has {total} parameters, its layers {sum(measured.params.values())}")
    return measured


def module_line(module: Any, before: Sequence[int], after: Sequence[int]) -> str:
    """Describe a layer of a reference as ``layer_line`` does ours."""
    bias = module.bias is not None
    if not hasattr(module, "kernel_size"):
        return f"{module.in_features}>{module.out_features} b{bias:d}"
    shapes = ["x".join(str(size) for size in shape[1:]) for shape in (before, after)]
    pairs = ["x".join(str(size) for size in pair) for pair in (module.kernel_size, module.stride, module.padding)]
    return f"{shapes[0]}>{shapes[1]} k{pairs[0]} s{pairs[1]} p{pairs[2]} g{module.groups} b{bias:d}"


def is_legal_order(network: Network, lines: Sequence[str]) -> bool:
    """Tell whether our graph can run in the order of ``lines``: each is a layer whose predecessors all ran.

    Two layers that look alike may both be ready, of which one leads nowhere; hence a search with a way back.
    """
    sources = array_predecessors(network)
    alike: dict[str, list[str]] = {}
    for layer in network.array_layers:
        alike.setdefault(layer_line(layer), []).append(layer.name)
    if len(lines) != len(network.array_layers):
        return False
    order: list[str] = []
    done: set[str] = set()

    def ready(line: str) -> Iterator[str]:
        return (name for name in alike.get(line, []) if name not in done and sources[name] <= done)

    choices = [ready(lines[0])]
    while choices and len(order) < len(lines):
        name = next(choices[-1], None)
        if name is not None:
            order.append(name)
            done.add(name)
            choices += [ready(line) for line in lines[len(order) : len(order) + 1]]
            continue
        choices.pop()
        if order:
            done.discard(order.pop())
    return len(order) == len(lines)


def array_predecessors(network: Network) -> dict[str, set[str]]:
    """Return, for each layer on the array, the nearest ones that it depends on."""
    reached: dict[str, set[str]] = {"input": set()}
    direct: dict[str, set[str]] = {}
    for layer in network:
        before = set().union(*(reached[source] for source in network.inputs[layer.name]))
        if layer.on_array:
            direct[layer.name] = before
        reached[layer.name] = {layer.name} if layer.on_array else before
    return direct


def compare(network: Network, reference: Reference) -> tuple[str, bool, Measured]:
    """Return what differs, or in which order the layers run; whether they agree; and the reference's counts."""
    ours, theirs = measure_ours(network), measure_reference(reference, network.input_shape)
    differences = [
        f"{part} {ours.params[part]} for {theirs.params[part]}"
        for part in PARTS
        if ours.params[part] != theirs.params[part]
    ]
    if ours.macs != theirs.macs:
        differences.append(f"MACs {ours.macs} for {theirs.macs}")
    if ours.lines == theirs.lines:
        order = "same order"
    elif is_legal_order(network, theirs.lines):
        order = "same graph, another order"
    else:
        order = ""
        pairs = zip(ours.lines, theirs.lines, strict=False)
        first = next((f"{a} for {b}" for a, b in pairs if a != b), f"{len(ours.lines)} layers for {len(theirs.lines)}")
        differences.append(f"layers: {first}")
    return "; ".join(differences) or order, not differences, theirs


def main() -> int:
    """Compare, print a line for each reference, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", help="names; default: every named network")
    parser.add_argument("--golden", action="store_true", help="print the counts and digests that tests cite")
    parser.add_argument("--times", action="store_true", help="print the slowest networks to build")
    options = parser.parse_args()
    failures = 0
    seconds: dict[str, float] = {}
    for name in options.networks or network_names():
        network = load_network(name)
        start = time.perf_counter()
        load_network(name)
        seconds[name] = time.perf_counter() - start
        if options.golden:
            print_golden(name, network)
        elif not options.times:
            failures += check(name, network)
    if options.times:
        for name in sorted(seconds, key=seconds.__getitem__, reverse=True)[:10]:
            say(f"{name:30} {seconds[name] * 1e3:7.1f} ms")
    elif not options.golden:
        say(f"{len(seconds)} networks, {failures} differences")
    return 1 if failures else 0


def check(name: str, network: Network) -> int:
    """Print how a network compares with all that is known of it; return the number of differences."""
    failures = 0
    totals = network.totals
    head = f"{name:26} {totals['params']:>11} {totals['macs']:>12}"
    for reference in REFERENCES.get(name, []):
        if not reference.installed:
            say(f"{head}  -         {reference.library} {reference.what}: not installed")
            continue
        text, equal, _ = compare(network, reference)
        failures += not equal
        note = f" [{reference.adapt}]" if reference.adapt else ""
        say(f"{head}  {'equal' if equal else 'DIFFERS':8}  {reference.library} {reference.what}{note}: {text}")
    if name in CITED:
        cited = CITED[name]
        ours = (totals["params"], totals["macs"], digest_of_lines(measure_ours(network).lines))
        known = [(mine, theirs) for mine, theirs in zip(ours, cited.counts, strict=True) if theirs is not None]
        equal = all(mine == theirs for mine, theirs in known)
        failures += not equal
        verdict = ("equal" if equal else "DIFFERS") if known else "no count"
        text = ", ".join(f"{mine} for {theirs}" for mine, theirs in known if mine != theirs)
        say(f"{head}  {verdict:8}  {cited.source}{': ' if text else ''}{text}")
    elif name not in REFERENCES:
        failures += 1
        say(f"{head}  DIFFERS   no reference is named, and no reason why")
    return failures


def print_golden(name: str, network: Network) -> None:
    """Print counts and digest as the first installed reference has them, if it runs in our order."""
    for reference in REFERENCES.get(name, []):
        if reference.installed:
            _, equal, theirs = compare(network, reference)
            if equal and theirs.lines == measure_ours(network).lines:
                parts = ", ".join(str(theirs.params[part]) for part in PARTS)
                known_by = digest_of_lines(theirs.lines)
                say(f'    "{name}": Golden({parts}, {theirs.macs}, "{known_by}"),  # {reference.library}')
                return


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
