"""The machine: Eyeriss as JSSC 2017 describes it."""

from __future__ import annotations

from accelsim.dims import Dim, Operand
from accelsim.mapping.hierarchy import Axis, Buffering, Machine, Reduction, SpatialFanout, Store

W, I, O = Operand  # noqa: E741 - the field's names

CORE_MHZ = 200
LINK_MHZ = 60
"""Clocks of the measurement: JSSC 2017, Table V."""

MAPS_AND_SUMS = frozenset({I, O})


def eyeriss() -> Machine:
    """Return Eyeriss: 12 x 14 PEs, a 100 KB buffer of inputs and partial sums, 8 KB of filters read ahead."""
    link_words_per_cycle = 64 / 16 * LINK_MHZ / CORE_MHZ
    return Machine(
        name="eyeriss",
        stores=(
            Store(name="DRAM", words_per_cycle=link_words_per_cycle, read_energy=200, write_energy=200),
            Store(
                name="GLB",
                keeps=MAPS_AND_SUMS,
                words=100 * 1024 // 2,
                read_energy=6,
                write_energy=6,
                buffering=Buffering.ROLLING,
            ),
            Store(
                name="filter_buffer",
                keeps=frozenset({W}),
                words=8 * 1024 // 2,
                read_energy=6,
                write_energy=6,
                buffering=Buffering.ROLLING,
            ),
            Store(
                name="filter_spad",
                keeps=frozenset({W}),
                words=224,
                read_energy=1,
                write_energy=1,
                buffering=Buffering.SINGLE,
            ),
            Store(
                name="spads",
                keeps=MAPS_AND_SUMS,
                operand_words={I: 12, O: 24},
                read_energy=1,
                write_energy=1,
                buffering=Buffering.ROLLING,
                slides=True,
            ),
        ),
        fanouts=(
            SpatialFanout(
                name="array",
                below="filter_buffer",
                axes=(
                    Axis(
                        name="rows",
                        size=12,
                        dims=frozenset({Dim.R, Dim.C, Dim.K, Dim.P}),
                        most_dims=3,
                        reduction=Reduction.CHAIN,
                    ),
                    Axis(name="cols", size=14, dims=frozenset({Dim.P, Dim.K}), reduction=Reduction.NONE),
                ),
                link_energy=2,
                words_per_cycle={W: 4, I: 1, O: 4},
            ),
        ),
        mac_energy=1,
        stores_padding=True,
    )
