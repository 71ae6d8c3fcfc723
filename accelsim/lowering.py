"""The bridge from layers and hardware to the plain arrays that kernels take.

Everything that a kernel needs to know is resolved here, once: names become indices, sizes become words, dataflows
become flags. Magnitudes are checked, since a kernel's integers would overflow in silence.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from accelsim import cache
from accelsim.dims import Dim, Operand
from accelsim.errors import HardwareError, WorkloadError
from accelsim.hardware import costs
from accelsim.hardware.spec import Dataflow, Hardware, Memory
from accelsim.mapping.arrays import Count, LayerArrays, MachineArrays
from accelsim.workload.layer import Layer

MAX_LOOP_ITERATIONS = 2**50
"""Largest product of a layer's dims; keeps every count far below 2^63 and exact in a float64."""

MAX_SEARCHED_SIZE = 2**24
"""Largest dim of a layer, side of its input, stride, dilation and padding; also of outputs times taps along one axis,
which the kernels walk one by one."""

MAX_NEST_SIZE = 2**17
"""Largest dim of a layer that is searched on a general machine, which takes a minute of processor time for one such
dim (an output for every word of a large vocabulary) and grows faster than the dim."""

MAX_FILTER_TAPS = 2**16
"""Largest product of R and S; zero skipping has a table of the iterations that may be left of a filter."""

MAX_TRAFFIC_WORDS = 2**60
"""Most words that any mapping of a layer may move of one operand; far below 2^63, where kernels would overflow."""

MAX_TILINGS = 2**26
"""Most tilings of a layer that are compared; each has a bound in memory."""

TILED_DIMS = (Dim.N, Dim.G, Dim.K, Dim.C, Dim.P, Dim.Q)
"""Dims that the buffer's tiles cut; filters stay whole."""


def check_size(layer: Layer, *, largest_dim: int = MAX_SEARCHED_SIZE) -> None:
    """Refuse a layer that is too large to be searched in reasonable time, or to be counted exactly.

    Args:
        layer: The layer.
        largest_dim: The largest dim that can be searched.

    Raises:
        WorkloadError: Names the layer, what is too large, and how large it may be.
    """
    taps = layer.R * layer.S
    for what, size, most in (
        *((f"dim {name}", size, largest_dim) for name, size in layer.dims._asdict().items()),
        ("input height", layer.H, MAX_SEARCHED_SIZE),
        ("input width", layer.W, MAX_SEARCHED_SIZE),
        ("stride", max(layer.stride), MAX_SEARCHED_SIZE),
        ("dilation", max(layer.dilation), MAX_SEARCHED_SIZE),
        ("padding", max(layer.padding), MAX_SEARCHED_SIZE),
        ("P x R", layer.P * layer.R, MAX_SEARCHED_SIZE),
        ("Q x S", layer.Q * layer.S, MAX_SEARCHED_SIZE),
        ("R x S", taps, MAX_FILTER_TAPS),
        ("number of MACs", math.prod(layer.dims), MAX_LOOP_ITERATIONS),
        ("number of words that a mapping may move", _most_traffic_words(layer), MAX_TRAFFIC_WORDS),
    ):
        if size > most:
            raise WorkloadError(
                f"layer {layer.name}: its {what} is {_large(size)}, at most {most} (2^{most.bit_length() - 1}) can be "
                "searched"
            )


def _most_traffic_words(layer: Layer) -> int:
    """Return a bound of the words of one operand that any mapping moves.

    Weights and partial sums move once for each MAC at most. A tile of inputs spans stride x outputs + dilation x taps
    pixels along an axis at most, however the outputs and the taps are cut.
    """
    return math.prod(layer.dims) * math.prod(map(sum, zip(layer.stride, layer.dilation, strict=True)))


def _large(size: int) -> str:
    return str(size) if size < 10**15 else f"{size:.3g}" if size < 10**300 else "more than 10^300"


def lower_layer(layer: Layer) -> LayerArrays:
    """Return a layer that runs on the array as kernels see it.

    Raises:
        WorkloadError: The layer is too large to be counted exactly.
    """
    check_size(layer)
    return LayerArrays(
        dims=np.array(layer.dims, dtype=np.int64),
        stride=np.array(layer.stride, dtype=np.int64),
        dilation=np.array(layer.dilation, dtype=np.int64),
        pad=np.array((layer.padding.top, layer.padding.left), dtype=np.int64),
        size=np.array(layer.array_input_size, dtype=np.int64),
        dram_words=np.array(layer.stored, dtype=np.float64),
    )


def lower_machine(hardware: Hardware, dataflow_name: str, layer: Layer) -> MachineArrays:
    """Return the machine in one of its dataflows as kernels see it, for one layer (its filter sets the skip table).

    Raises:
        HardwareError: The hierarchy or the dataflow is not one that the engine models.
    """
    dataflow = hardware.dataflows[dataflow_name]
    dram, buffer = _outer_levels(hardware)
    grid = hardware.fanouts[0].grid
    check_dataflow(hardware, dataflow_name)
    _check_memories(hardware, buffer)
    inside = _inside(dataflow)
    kept = Operand.W if Operand.W in dataflow.places else Operand.I
    split = np.ones(8, dtype=np.int64)
    register, _ = dataflow.places[kept]
    if dataflow.nest.count(Dim.K.name) > 1:  # the one loop that registers cut: see check_dataflow
        split[Dim.K] = hardware.register_words(dataflow_name, Operand.O)
    density = 1.0 - (hardware.zero_fraction[dataflow.skips_zeros_of] if dataflow.skips_zeros_of else 0.0)
    return MachineArrays(
        axis_dims=np.array([Dim[name] for name in dataflow.axes], dtype=np.int64),
        axis_sizes=np.array((grid.rows, grid.cols), dtype=np.int64),
        split=split,
        inside=inside,
        kept=int(kept),
        kept_hidden=kept.name in hardware.memory(register).double_buffered,
        in_rf=np.array([operand in dataflow.places for operand in Operand]),
        switch_cycles=float(hardware.memory(register).switch_cycles),
        skip_density=density,
        skip_table=_skip_table(int(split.max()), layer.R * layer.S, density),
        buffer_words=buffer.capacity_words(hardware.word_bits) or 0,
        dram_words_per_cycle=float(dram.words_per_cycle or math.inf),
        dram_latency=float(dram.latency_cycles),
        read_port=float(grid.read_words_per_row * grid.rows),
        write_port=float(grid.write_words_per_col * grid.cols),
        unit_energy=unit_energies(hardware, dataflow_name),
    )


class LoweredMachine:
    """A machine's arrays by dataflow and number of filter taps, which is all of a layer that they depend on."""

    def __init__(self, hardware: Hardware) -> None:
        self.hardware = hardware
        self._arrays: dict[tuple[str, int], MachineArrays] = {}
        self._energies: dict[str, np.ndarray] = {}
        self._keys: dict[tuple[str, int], bytes] = {}

    def arrays(self, dataflow_name: str, layer: Layer) -> MachineArrays:
        """Return what ``lower_machine`` does, computed once; not to be changed."""
        key = (dataflow_name, layer.R * layer.S)
        if key not in self._arrays:
            self._arrays[key] = lower_machine(self.hardware, dataflow_name, layer)
        return self._arrays[key]

    def key(self, dataflow_name: str, layer: Layer) -> bytes:
        """Return a hash of ``arrays``, as a part of a question to the cache, computed once."""
        key = (dataflow_name, layer.R * layer.S)
        if key not in self._keys:
            self._keys[key] = cache.key_of(self.arrays(dataflow_name, layer))
        return self._keys[key]

    def unit_energies(self, dataflow_name: str) -> np.ndarray:
        """Return what the function of that name does, computed once; not to be changed."""
        if dataflow_name not in self._energies:
            self._energies[dataflow_name] = unit_energies(self.hardware, dataflow_name)
        return self._energies[dataflow_name]


_latest: LoweredMachine | None = None


def lowered(hardware: Hardware) -> LoweredMachine:
    """Return the lowered machine, the same as last time while it is the same machine."""
    global _latest  # noqa: PLW0603 - a network's layers ask one after the other
    latest = _latest
    if latest is None or latest.hardware is not hardware:
        _latest = latest = LoweredMachine(hardware)
    return latest


def tile_candidates(
    layer: LayerArrays, machine: MachineArrays, *, whole_blocks: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return the tile sizes worth trying along every tiled dim, the largest first.

    Of all sizes that give the same number of tiles only the smallest is taken; where the array takes a dim in
    blocks, it is rounded up to whole blocks, so that no tile but the last leaves PEs idle.

    Args:
        layer: The layer.
        machine: The machine.
        whole_blocks: False leaves the sizes as they are: for buffers too small for whole blocks.

    Returns:
        int64[6, most] sizes, padded with ones, and int64[6] how many each dim has.

    Raises:
        WorkloadError: There are more tilings than can be compared.
    """
    blocks = _blocks(machine) if whole_blocks else [1] * len(Dim)
    choices = [_sizes(size, block) for size, block in zip(layer.dims.tolist(), blocks, strict=True)][: len(TILED_DIMS)]
    tilings = math.prod(map(len, choices))
    if tilings > MAX_TILINGS:
        raise WorkloadError(
            f"{_large(tilings)} tilings of its dims {', '.join(map(str, layer.dims))} would have to be compared, at "
            f"most {MAX_TILINGS} (2^{MAX_TILINGS.bit_length() - 1}) can be"
        )
    sizes = np.ones((len(choices), max(map(len, choices))), dtype=np.int64)
    for row, choice in enumerate(choices):
        sizes[row, : len(choice)] = choice
    return sizes, np.array([len(choice) for choice in choices], dtype=np.int64)


@lru_cache(maxsize=4096)  # a search asks for the same dims and blocks on every machine
def _sizes(dim: int, block: int) -> tuple[int, ...]:
    sizes = [dim]  # the smallest that gives 1, 2, ... tiles, from each to the next smaller one
    while sizes[-1] > 1:
        tiles = -(-dim // (sizes[-1] - 1))
        sizes.append(-(-dim // tiles))
    return tuple(dict.fromkeys(min(dim, -(-size // block) * block) for size in sizes))


def _blocks(machine: MachineArrays) -> list[int]:
    """Return how much of every dim the array and its registers take at a time."""
    blocks: list[int] = machine.split.tolist()
    for axis in (1, 0):  # the rows have the last word, as in the kernels
        blocks[int(machine.axis_dims[axis])] = int(machine.axis_sizes[axis])
    return blocks


def _outer_levels(hardware: Hardware) -> tuple[Memory, Memory]:
    """Return DRAM and the buffer, or refuse a hierarchy of another shape."""
    outer = hardware.outer_memories
    if len(outer) != 2 or outer[0].size_kb is not None or outer[1].size_kb is None or len(hardware.fanouts) != 1:
        raise HardwareError(
            f"{hardware.name}: the engine models an unbounded memory, one buffer with size_kb and one array of PEs "
            f"with registers; got memories {', '.join(memory.name for memory in outer)} outside the PEs "
            f"and {len(hardware.fanouts)} fanouts"
        )
    if hardware.fanouts[0].below != outer[1].name:
        raise HardwareError(f"{hardware.name}: fanouts.{hardware.fanouts[0].name}.below must be {outer[1].name!r}")
    return outer[0], outer[1]


def _check_memories(hardware: Hardware, buffer: Memory) -> None:
    """Refuse fields of memories that the kernels would ignore."""
    if set(buffer.double_buffered) != {operand.name for operand in Operand}:
        found = ", ".join(buffer.double_buffered) or "none"
        raise HardwareError(
            f"{hardware.name}: memory {buffer.name}: the engine models a buffer with double_buffered W, I and O, "
            f"got {found}"
        )
    for memory in hardware.memories:
        words = dict(memory.pe_words or {})
        if "O" in words and ("O" in memory.double_buffered or memory.switch_cycles):
            raise HardwareError(
                f"{hardware.name}: memory {memory.name}: the engine models accumulators that drain while the array "
                "waits, without double_buffered O and switch_cycles"
            )
        spare = [f"{name} {count}" for name, count in words.items() if name != "O" and count > 1]
        if spare:
            raise HardwareError(
                f"{hardware.name}: memory {memory.name}: the engine models one word of W and one of I in use in every "
                f"PE, got pe_words {', '.join(spare)}"
            )


def _inside(dataflow: Dataflow) -> np.ndarray:
    """Return bool[3, 8]: whether the dim's (outermost) loop runs inside the place of the operand's tile."""
    inside = np.zeros((3, 8), dtype=np.bool_)
    for operand, (_, position) in dataflow.places.items():
        for dim in Dim:
            inside[operand, dim] = dataflow.nest.index(dim.name) > position
    return inside


def check_dataflow(hardware: Hardware, name: str) -> None:
    """Refuse a dataflow that the kernels do not model.

    They model weights alone in the PEs, inputs alone, or inputs inside partial sums.

    Raises:
        HardwareError: The dataflow is another one; says what is in the way.
    """
    flow = hardware.dataflows[name]
    kept = {operand.name for operand in flow.places}
    rules = {frozenset("W"): _weights_rules, frozenset("I"): _inputs_rules, frozenset("IO"): _outputs_rules}
    if frozenset(kept) not in rules:
        found = ", ".join(sorted(kept)) or "nothing"
        raise HardwareError(f"{hardware.name}: dataflow {name}: the PEs keep {found}; they must keep W, I, or I and O")
    for holds, rule in rules[frozenset(kept)](flow):
        if not holds:
            raise HardwareError(
                f"{hardware.name}: dataflow {name}: with {' and '.join(sorted(kept))} in the PEs {rule}; "
                f"got rows {flow.rows}, cols {flow.cols}, nest {' '.join(flow.nest)}"
            )


_Rules = tuple[tuple[bool, str], ...]


def _inside_of(flow: Dataflow, operand: Operand) -> set[str]:
    """Return the dims with a loop inside the place of an operand."""
    return {entry for entry in flow.nest[flow.places[operand][1] :] if "." not in entry}


def _weights_rules(flow: Dataflow) -> _Rules:
    axes = set(flow.axes)
    return (
        (axes <= set("GKCRS"), "rows and cols must unroll dims of the weights (G, K, C, R, S)"),
        (len(axes & set("CRS")) < 2, "one axis at most may add partial sums up (C, R or S)"),
        (not axes & _inside_of(flow, Operand.W), "the loops of the unrolled dims must be outside the place of W"),
        (_no_dim_twice(flow), "no dim may stand twice"),
        (flow.skips_zeros_of is None, "zeros cannot be skipped"),
    )


def _inputs_rules(flow: Dataflow) -> _Rules:
    axes = set(flow.axes)
    outside = axes | set("PQ") | (set("K") if axes & set("PQ") else set())
    return (
        (flow.axes[0] in "NGCP" and flow.axes[1] in "NGCQ", "rows must unroll N, G, C or P and cols N, G, C or Q"),
        (
            not outside & _inside_of(flow, Operand.I),
            f"the loops of {', '.join(sorted(outside))} must be outside the place of I",
        ),
        (_no_dim_twice(flow), "no dim may stand twice"),
        (flow.skips_zeros_of is None, "zeros cannot be skipped"),
    )


def _outputs_rules(flow: Dataflow) -> _Rules:
    inside_sums = flow.nest[flow.places[Operand.O][1] :]
    outer = [entry for entry in flow.nest if entry not in inside_sums or flow.nest.count(entry) > 1]
    cut = [entry for entry in set(flow.nest) if flow.nest.count(entry) > 1]
    skips = flow.skips_zeros_of is not None
    return (
        (flow.axes[0] in "NGP" and flow.axes[1] in "NGQ", "rows must unroll N, G or P and cols N, G or Q"),
        (flow.places[Operand.O][1] < flow.places[Operand.I][1], "the place of O must be outside that of I"),
        (set(outer) == set("NGPQK"), "the loops outside the place of O must be N, G, P, Q and K"),
        (cut in ([], ["K"]), "only K may stand twice"),
        (not cut or flow.nest[-1] == "K", "the inner loop of K must be the innermost, so that inputs shift once a tap"),
        (flow.skips_zeros_of in (None, "W"), "only zeros of W can be skipped"),
        (
            not skips or (_inside_of(flow, Operand.I) - {"K"} == set("RS") and "G" not in flow.axes),
            "skipping needs C outside and both R and S inside the place of I, and G not unrolled",
        ),
    )


def _no_dim_twice(flow: Dataflow) -> bool:
    return len(set(flow.nest)) == len(flow.nest)


def _skip_table(splits: int, taps: int, density: float) -> np.ndarray:
    """Return the binomial sums that ``chunk_cycles`` looks up; see ``MachineArrays.skip_table``."""
    table = np.zeros((2, splits + 1, splits * taps + 1))
    if density == 1.0:
        return table
    left = np.arange(splits * taps + 1)
    for held in range(1, splits + 1):
        total = held * taps
        log_choose = np.array(
            [math.lgamma(total + 1) - math.lgamma(n + 1) - math.lgamma(total - n + 1) for n in range(total + 1)]
        )
        n = left[: total + 1]
        mass = np.exp(log_choose + n * math.log(density) + (total - n) * math.log1p(-density))
        table[0, held, : total + 1] = np.cumsum(mass)
        table[1, held, : total + 1] = np.cumsum(mass * n)
    return table


def unit_energies(hardware: Hardware, dataflow: str) -> np.ndarray:
    """Return float64[len(Count)], the energy of one of each count under a dataflow, in the hardware's unit."""
    dram, buffer = _outer_levels(hardware)
    energies = np.zeros(len(Count))
    energies[Count.MAC] = costs.mac_energy(hardware)
    energies[Count.LINK] = costs.link_energy(hardware, hardware.fanouts[0])
    for operand, (name, _) in hardware.dataflows[dataflow].places.items():
        memory = hardware.memory(name)
        energies[Count[f"RF_READ_{operand.name}"]] = costs.read_energy(hardware, memory)
        energies[Count[f"RF_WRITE_{operand.name}"]] = costs.write_energy(hardware, memory)
    for operand in Operand:
        energies[Count[f"GLB_READ_{operand.name}"]] = costs.read_energy(hardware, buffer)
        energies[Count[f"GLB_WRITE_{operand.name}"]] = costs.write_energy(hardware, buffer)
        energies[Count[f"DRAM_READ_{operand.name}"]] = costs.read_energy(hardware, dram)
    energies[Count.DRAM_WRITE_O] = costs.write_energy(hardware, dram)
    return energies
