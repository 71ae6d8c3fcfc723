"""Whether the closed form, under the three stated rules, charges random mappings the energy that ZigZag charges them.

    PYTHONPATH=. python -m benchmarks.peers.check_terms [--count 300] [--seed 0]

Needs the extra ``peers``. Draws layers and uneven mappings on ref16 whose tiles divide the layer, sized to fit. ZigZag
rounds every term down to whole accesses of a memory's full width; the exit code is 1 if one differs by an access or
more.
"""

from __future__ import annotations

import argparse
import random
import sys

from accelsim.dims import Dim, Operand
from accelsim.engine.closed_form import evaluate
from accelsim.errors import InputError
from accelsim.mapping.nest import Nest, check
from accelsim.workload.layer import Layer
from benchmarks.peers import peer_zigzag, ref16

SIZES = (1, 2, 3, 4, 6, 8, 12)


def draw_layer(draw: random.Random) -> Layer:
    """Return a small convolution, dilated now and then, depthwise now and then.

    Not a strided one: ZigZag leaves out the pixels between windows, accelsim brings the span of a tile.
    """
    kernel = draw.choice((1, 2, 3, 5))
    dilation = draw.choice((1, 1, 2))
    size = draw.choice(SIZES) + (kernel - 1) * dilation
    channels, filters = draw.choice(SIZES) * 2, draw.choice(SIZES) * 2
    groups = channels if draw.random() < 0.2 else 1
    if groups > 1:
        filters = channels
    name = f"{channels}->{filters} {size}x{size} {kernel}x{kernel} dilation {dilation} groups {groups}"
    return Layer.conv(name, channels, filters, size, kernel, dilation=dilation, groups=groups)


def draw_nest(draw: random.Random, layer: Layer) -> Nest:
    """Return a mapping of the layer; it may not fit, or may be none that a nest can state.

    Raises:
        InputError: As ``peer_zigzag.from_loops``.
    """
    factors = [(dim, prime) for dim in Dim for prime in _primes(layer.dims[dim])]
    draw.shuffle(factors)
    axes: list[dict[Dim, int]] = []
    for size in ref16.ARRAY:
        dim, count = draw.choice([dim for dim in Dim if layer.dims[dim] > 1] or [Dim.N]), 1
        for factor in [factor for factor in factors if factor[0] is dim]:
            if count * factor[1] <= size and draw.random() < 0.8:
                count *= factor[1]
                factors.remove(factor)
        axes.append({dim: count} if count > 1 else {})
    depths = {}
    for operand in Operand:
        inner, outer = sorted(draw.randint(0, len(factors)) for _ in range(2))
        depths["rf", operand], depths["buffer", operand] = inner // 2, outer
    return peer_zigzag.from_loops(layer, factors, depths, axes)


def _primes(number: int) -> list[int]:
    found, prime = [], 2
    while number > 1:
        while number % prime == 0:
            found.append(prime)
            number //= prime
        prime += 1
    return found


def main() -> None:
    """Compare as many mappings as asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if sentence := peer_zigzag.missing():
        print(sentence)
        return
    draw, machine = random.Random(options.seed), ref16.machine("ZigZag")
    compared = wrong = 0
    while compared < options.count:
        layer = draw_layer(draw)
        try:
            nest = draw_nest(draw, layer)
            check(nest, layer, machine)
        except InputError:
            continue
        compared += 1
        theirs = peer_zigzag.judge(nest, layer)
        cost = evaluate(nest, layer, machine)
        counted = ref16.words_as_zigzag(cost, nest, layer)
        off = [
            term
            for term in sorted({*counted, *theirs.words})
            if not 0 <= counted.get(term, 0) - theirs.words.get(term, 0) < peer_zigzag.WORDS_PER_ACCESS[term.level]
        ]
        wrong += bool(off)
        if off:
            print(f"{layer.name}: ZigZag {theirs.energy:.0f}, by its rules {ref16.energy(counted, cost.macs):.0f}")
        for term in off:
            print(f"  {term}: ZigZag {theirs.words.get(term, 0):.0f}, by its rules {counted.get(term, 0)}")
    print(f"{compared} random mappings compared, {wrong} differ")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
