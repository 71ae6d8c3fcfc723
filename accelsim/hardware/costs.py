"""What one access of an accelerator's parts costs, and how large they are.

Energies are those that the description gives; those it leaves out come from its energy set: a memory in the PEs as a
register file accessed a word at a time, a memory between them and DRAM as a buffer accessed ``access_bits`` at a time,
the outermost as DRAM. A memory with a part for every operand is taken as one of their sum.
"""

from __future__ import annotations

from accelsim.dims import Operand
from accelsim.errors import HardwareError
from accelsim.hardware.area import ArrayArea, array_area, mac_um2
from accelsim.hardware.energy import ACCESS_BITS, EnergySet, energy_set
from accelsim.hardware.parts import Description, Fanout, Memory
from accelsim.hardware.tables import BITS_PER_KB


def set_of(hardware: Description) -> EnergySet:
    """Return the energy set that fills what is left out.

    Raises:
        HardwareError: The description names none.
    """
    if hardware.energy is None:
        raise HardwareError("no energy set fills it (energy: eyeriss or horowitz45)")
    return energy_set(hardware.energy)


def mac_energy(hardware: Description) -> float:
    """Return the energy of one MAC, in the hardware's unit."""
    if hardware.mac.energy is not None:
        return hardware.mac.energy
    widths = [hardware.operand_width(operand) for operand in Operand]
    return set_of(hardware).mac_energy(*widths)


def read_energy(hardware: Description, memory: Memory) -> float:
    """Return the energy of reading one machine word."""
    return _by_set(hardware, memory) if memory.read_energy is None else memory.read_energy


def write_energy(hardware: Description, memory: Memory) -> float:
    """Return the energy of writing one machine word."""
    return _by_set(hardware, memory) if memory.write_energy is None else memory.write_energy


def link_energy(hardware: Description, fanout: Fanout) -> float:
    """Return the energy of moving one machine word over one link."""
    if fanout.link_energy is not None:
        return fanout.link_energy
    # The set's one link energy is for any length where it knows none, so that no length need be given.
    return set_of(hardware).link_word_energy(hardware.word_bits, fanout.link_mm or 1.0)


def area(hardware: Description) -> ArrayArea:
    """Return the area at 45 nm of MACs and memories, DRAM excluded.

    Each memory, and each operand's part of one, is a macro or flip-flops of its own; see ``docs/energy.md``.
    """
    widths = [hardware.operand_width(operand) for operand in Operand]
    in_pes: list[tuple[float, int]] = []
    buffers: list[tuple[float, int]] = []
    for memory in hardware.memories:
        if not memory.bounded:
            continue
        if hardware.in_pes(memory):
            in_pes += [(kb, min(hardware.word_bits, int(kb * BITS_PER_KB))) for kb in _parts_kb(hardware, memory)]
        else:
            access = memory.access_bits or ACCESS_BITS
            parts = [(kb, min(access, int(kb * BITS_PER_KB))) for kb in _parts_kb(hardware, memory)]
            buffers += parts * hardware.instances(memory)
    return array_area(pes=hardware.pes, mac_um2=mac_um2(*widths), pe_storages=tuple(in_pes), buffers=tuple(buffers))


def capacity_kb(hardware: Description, memory: Memory) -> float:
    """Return the capacity of one instance of a memory in KiB, all operands together."""
    return sum(_parts_kb(hardware, memory))


def _by_set(hardware: Description, memory: Memory) -> float:
    costs = set_of(hardware)
    if not memory.bounded:
        return costs.dram_word_energy(hardware.word_bits)
    size_kb = capacity_kb(hardware, memory)
    if hardware.in_pes(memory):
        return costs.register_word_energy(size_kb, hardware.word_bits)
    return costs.buffer_word_energy(size_kb, hardware.word_bits, memory.access_bits or ACCESS_BITS)


def _parts_kb(hardware: Description, memory: Memory) -> list[float]:
    """Return the capacities of a memory's parts, in KiB."""
    if memory.size_kb is not None:
        return [memory.size_kb]
    words: list[int] = list((memory.operand_words or {}).values())
    if memory.size_words is not None:
        words = [memory.size_words]
    if memory.pe_words is not None:  # a tile in wait takes the same room again
        words = [count * (1 + (name in memory.double_buffered)) for name, count in memory.pe_words.items()]
    return [count * hardware.word_bits / BITS_PER_KB for count in words]
