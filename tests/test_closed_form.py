"""Does the closed form count what a walk through every iteration counts?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from nest_oracle import Oracle
from nest_strategies import layers, machines, nests, slides

from accelsim.dims import Operand
from accelsim.engine.closed_form import evaluate, transfers
from accelsim.mapping.nest import Unrolling


@given(st.data())
def test_every_count_equals_the_walk(data):
    """Words at both ends, on links and read back, of the busiest instance too; MACs and iterations."""
    layer = data.draw(layers())
    machine = data.draw(machines(unbounded=True, sliding=data.draw(st.booleans())))
    compare_with_walk(data.draw(nests(layer, machine)), layer, machine)


@given(slides())
def test_sliding_windows_take_what_the_walk_takes(case):
    """Pixels that a window shares with the one before it stay; networks with a rate carry what the source sends."""
    layer, machine, nest = case
    compare_with_walk(nest, layer, machine)


def compare_with_walk(nest, layer, machine):
    cost, oracle = evaluate(nest, layer, machine), Oracle(nest, layer, machine)
    assert (cost.macs, cost.iterations) == (oracle.macs, oracle.steps)
    for way, flow in zip(transfers(nest), cost.traffic, strict=True):
        count = oracle.moved[way]
        assert flow.source_words == count["source"]
        assert flow.target_words == count["target"]
        assert flow.read_back_words == count["back"]
        zero = tuple((0,) * 8 for step in nest.steps[: way.source] if isinstance(step, Unrolling))
        inner = tuple((0,) * 8 for step in nest.steps[: way.target] if isinstance(step, Unrolling))
        assert flow.busiest_source_words == oracle.per_source[(*way, zero)]["source"]
        assert flow.busiest_read_back_source_words == oracle.per_source[(*way, zero)]["back"] * (
            way.operand is Operand.O
        )
        assert flow.busiest_target_words == oracle.per_source[(*way, "target", inner)]["words"]
        for fanout in machine.fanouts:
            names = {f"{fanout.name}.{axis.name}" for axis in fanout.axes}
            inside = [
                index
                for index, step in enumerate(nest.steps)
                if isinstance(step, Unrolling) and step.axis in names and way.source <= index < way.target
            ]
            if inside:
                earlier = [index for index in range(way.source, inside[0]) if isinstance(nest.steps[index], Unrolling)]
                straight = count[f"link{earlier[-1]}"] if earlier else count["source"]
                for crossing in flow.crossings:
                    if crossing.fanout == fanout.name and way.source + 1 >= inside[0]:
                        assert crossing.words == oracle.per_source[(*way, zero)]["source"]
                        assert crossing.back_words == oracle.per_source[(*way, zero)]["back"] * (
                            way.operand is Operand.O
                        )
                words = count[f"link{inside[-1]}"] + (0 if fanout.forward else count["back"])
                assert flow.link_words[fanout.name] == words - (straight if fanout.forward else 0)
