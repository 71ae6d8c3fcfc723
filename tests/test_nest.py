"""Does a mapping survive being written down, and is a wrong one refused?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nest_strategies import layers, machines, nests

from accelsim.dims import Dim
from accelsim.errors import InputError
from accelsim.mapping.hierarchy import ALL_OPERANDS, Axis, Machine, SpatialFanout, Store
from accelsim.mapping.nest import Nest, Place, Unrolling, check, from_data, to_data, to_text
from accelsim.workload.layer import Dims, Layer

LAYER = Layer.conv("conv", 4, 6, 5, 3)
MACHINE = Machine(
    name="small",
    stores=(Store(name="DRAM"), Store(name="GLB", words=500)),
    fanouts=(SpatialFanout(name="array", below="GLB", axes=(Axis(name="rows", size=4),)),),
)


def mapping(tile=LAYER.dims, counts=None, order=tuple(Dim)):
    return Nest(
        steps=(
            Place(store="DRAM", operands=ALL_OPERANDS, tile=LAYER.dims, order=order),
            Place(store="GLB", operands=ALL_OPERANDS, tile=tile, order=tuple(Dim)),
            Unrolling(axis="array.rows", counts=counts or {}),
        )
    )


@given(st.data())
def test_plain_data_round_trips(data):
    """What to_data writes, from_data reads; the text names every step."""
    layer, machine = data.draw(layers()), data.draw(machines(unbounded=True))
    nest = data.draw(nests(layer, machine))
    check(nest, layer, machine)
    assert from_data(to_data(nest)) == nest
    assert len(to_text(nest).splitlines()) == len(nest.steps)


@pytest.mark.parametrize(
    ("nest", "message"),
    [
        (mapping(tile=Dims(1, 1, 7, 4, 3, 3, 3, 3)), "K = 7"),
        (mapping(counts={Dim.K: 5}), "4 instances"),
        (mapping(tile=Dims(1, 1, 2, 4, 3, 3, 3, 3), order=()), "lacks K"),
        (mapping(), ""),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(nest, message):
    """One sentence that names the step and what is allowed."""
    if not message:
        check(nest, LAYER, MACHINE)
        return
    with pytest.raises(InputError, match=message):
        check(nest, LAYER, MACHINE)


def test_unknown_keys_are_refused():
    """A typo does not change the mapping."""
    with pytest.raises(InputError, match="expected memory"):
        from_data([{"memory": "DRAM", "tiles": {}}])
