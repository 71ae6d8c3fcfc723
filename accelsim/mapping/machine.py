"""From a hardware description to the machine and the constraints that general mappings respect.

A description with memories and axes becomes the machine that it says. The grid of a fixed program becomes a machine of
the same sizes, ports, energies and buffering, on which any mapping can be evaluated: its ports are those of the buffer
that feeds it, partial sums run down its rows from PE to PE, words pass from neighbour to neighbour, and registers may
be left out of a mapping, since no program uses all of them. What only programs do is not in that machine: they skip
zeros, and the array stands still for ``switch_cycles``.
"""

from __future__ import annotations

import math

from accelsim.dims import Dim, Operand
from accelsim.errors import HardwareError, did_you_mean
from accelsim.hardware import costs
from accelsim.hardware.checks import axis_names
from accelsim.hardware.spec import AxisSpec, Fanout, Hardware, Memory
from accelsim.mapping.hierarchy import (
    ALL_OPERANDS,
    ANY,
    Axis,
    Buffering,
    LoopConstraint,
    Machine,
    Reduction,
    RegisterRead,
    SpatialFanout,
    Store,
    dataflow,
)

STANDARD_DATAFLOWS = ("ws", "is", "os", "os_soc_mop", "os_moc_sop", "os_moc_mop", "rs", "nlr")
"""Constraints of the field that any machine without fixed programs, its innermost fan-out of two axes, has by name."""

OUTERMOST_FIRST = (Operand.O, Operand.I, Operand.W)
"""Order of a grid's registers in a nest: accumulators outermost, so that the loops of a sum run inside their place."""


def machine_of(hardware: Hardware) -> Machine:
    """Return the accelerator as a machine for general mappings.

    Raises:
        HardwareError: It has more memories than can be modelled.
    """
    fanouts = sorted(hardware.fanouts, key=lambda fanout: hardware.position(fanout.below))
    stores = [_store(hardware, memory) for memory in hardware.memories if memory.pe_words is None]
    grid_stores = [store for memory in hardware.memories for store in _registers(hardware, memory)]
    grid_stores.sort(key=lambda store: OUTERMOST_FIRST.index(max(store.keeps)))
    return Machine(
        name=hardware.name,
        stores=(*stores, *grid_stores),
        fanouts=tuple(_fanout(hardware, fanout) for fanout in fanouts),
        mac_energy=costs.mac_energy(hardware),
        word_bits=hardware.word_bits,
        operand_bits={Operand[name]: bits for name, bits in hardware.operand_bits.items()},
        stores_padding=hardware.stores_padding,
    )


def constraint_of(hardware: Hardware, dataflow_name: str) -> LoopConstraint:
    """Return a dataflow as a constraint on general mappings.

    Args:
        hardware: The accelerator.
        dataflow_name: ``any``, the name of one of its dataflows that is a constraint, or (where there are no fixed
            programs, whose names they could be taken for) of one of the field's.

    Raises:
        HardwareError: There is no such dataflow, it is a fixed program, or the machine's shape does not suit it.
    """
    if dataflow_name == ANY.name:
        return ANY
    flow = hardware.dataflows.get(dataflow_name)
    if flow is None:
        standard = () if hardware.programs else STANDARD_DATAFLOWS
        if dataflow_name in standard:
            return dataflow(dataflow_name, machine_of(hardware))
        known = list(dict.fromkeys(["best", *hardware.dataflows, ANY.name, *standard]))
        raise HardwareError(
            f"{hardware.name} has no dataflow {dataflow_name!r}{did_you_mean(dataflow_name, known)}; "
            f"it has {', '.join(known)}"
        )
    if flow.nest:
        raise HardwareError(f"{hardware.name}: dataflow {dataflow_name} is a fixed program, not a constraint")
    names = axis_names(hardware)
    full = {axis: f"{fanout.name}.{axis.name}" for fanout in hardware.fanouts for axis in fanout.all_axes}
    return LoopConstraint(
        name=dataflow_name,
        unroll={full[names[key]]: frozenset(Dim[dim] for dim in dims) for key, dims in flow.unroll.items()},
        stationary={memory: Operand[operand] for memory, operand in flow.stationary.items()},
    )


def _store(hardware: Hardware, memory: Memory) -> Store:
    """Return a memory outside a grid; one that feeds a grid has the grid's ports."""
    read, write = memory.read_words_per_cycle, memory.write_words_per_cycle
    for fanout in hardware.fanouts:
        if fanout.below == memory.name and not fanout.axes:
            grid = fanout.grid
            read, write = grid.read_words_per_row * grid.rows, grid.write_words_per_col * grid.cols
    return Store(
        name=memory.name,
        keeps=_operands(memory.kept),
        may_bypass=_operands(memory.may_bypass),
        words=memory.capacity_words(hardware.word_bits),
        operand_words={Operand[name]: words for name, words in (memory.operand_words or {}).items()},
        read_words_per_cycle=read or math.inf,
        write_words_per_cycle=write or math.inf,
        words_per_cycle=memory.words_per_cycle or math.inf,
        latency_cycles=memory.latency_cycles,
        read_energy=costs.read_energy(hardware, memory),
        write_energy=costs.write_energy(hardware, memory),
        buffering=Buffering(memory.buffering or "double"),
        register_read=_register_read(memory),
        slides=memory.slides,
    )


def _register_read(memory: Memory) -> RegisterRead | dict[Operand, RegisterRead]:
    """Return when MACs read a memory: one word for all its operands, or by operand."""
    if isinstance(memory.register_read, dict):
        return {Operand[name]: RegisterRead(read) for name, read in memory.register_read.items()}
    return RegisterRead(memory.register_read or "per_mac")


def _registers(hardware: Hardware, memory: Memory) -> list[Store]:
    """Return a grid's registers, one store per operand: each has its own place, and waits or does not."""
    stores = []
    for name, words in (memory.pe_words or {}).items():
        operand = Operand[name]
        waits = name in memory.double_buffered
        stores.append(
            Store(
                name=f"{memory.name}.{name}",
                keeps=frozenset({operand}),
                may_bypass=frozenset({operand}),
                operand_words={operand: words * (2 if waits else 1)},
                read_energy=costs.read_energy(hardware, memory),
                write_energy=costs.write_energy(hardware, memory),
                buffering=Buffering.DOUBLE if waits else Buffering.SINGLE,
            )
        )
    return stores


def _fanout(hardware: Hardware, fanout: Fanout) -> SpatialFanout:
    return SpatialFanout(
        name=fanout.name,
        below=fanout.below,
        axes=tuple(_axis(axis) for axis in fanout.all_axes),
        link_energy=costs.link_energy(hardware, fanout),
        forward=fanout.forward or not fanout.axes,
        words_per_cycle={Operand[name]: rate for name, rate in fanout.words_per_cycle.items()},
    )


def _axis(axis: AxisSpec) -> Axis:
    return Axis(
        name=axis.name,
        size=axis.size,
        dims=frozenset(Dim[name] for name in axis.dims or Dim.__members__),
        most_dims=axis.most_dims,
        shares=_operands(axis.shares) | {Operand.O},
        reduction=Reduction(axis.reduction),
    )


def _operands(names: tuple[str, ...]) -> frozenset[Operand]:
    return ALL_OPERANDS & {Operand[name] for name in names}
