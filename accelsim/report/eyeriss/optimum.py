"""The best mapping within the paper's own parameters: all of Table II's that fit the chip, best first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from accelsim.dims import Operand
from accelsim.engine.closed_form import evaluate
from accelsim.errors import NoMappingError
from accelsim.mapping.hierarchy import Machine
from accelsim.mapping.nest import tile_words, windows
from accelsim.mapping.row_stationary import RowStationary, fold, row_stationary_nest
from accelsim.report.eyeriss.chip import FILTER_SPAD, FILTERS, GLB, SPAD
from accelsim.workload.layer import Layer

BANKS, BANK_WORDS = 25, 512 * 64 // 16
"""The buffer of inputs and partial sums: banks that hold either the one or the other (JSSC 2017, section V-A)."""


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best mapping.

    Attributes:
        mapping: Its parameters.
        space: Mappings that fit the chip.
        evaluated: Those whose lower bound did not rule them out.
    """

    mapping: RowStationary
    space: int
    evaluated: int


def best_mapping(layer: Layer, machine: Machine) -> Best:
    """Return the mapping of least energy x delay, of equals the first in the order of the parameters.

    Raises:
        NoMappingError: None fits.
    """
    found = sorted(
        (lower_bound(mapping, layer, machine), index, mapping)
        for index, mapping in enumerate(candidates(layer, machine))
    )
    best: tuple[float, int, RowStationary] | None = None
    evaluated = 0
    for bound, index, mapping in found:
        if best is not None and bound > best[0]:
            break
        evaluated += 1
        scored = (evaluate(row_stationary_nest(mapping, layer, machine), layer, machine).edp, index, mapping)
        best = scored if best is None or scored[:2] < best[:2] else best
    if best is None:
        raise NoMappingError(f"{layer.name}: no row-stationary mapping fits {machine.name}")
    return Best(mapping=best[2], space=len(found), evaluated=evaluated)


def candidates(layer: Layer, machine: Machine) -> Iterator[RowStationary]:
    """Yield the parameters that fit: of the sizes that give the same number of passes the smallest.

    Of m, which costs nothing but room, only the largest that fits.
    """
    dims = layer.dims
    rows, cols = machine.fanouts[0].axes
    buffers = {store.name: store for store in machine.stores}
    most_sets = rows.size // dims.R * cols.size
    for e in sizes(dims.P, rows.size // dims.R * cols.size):
        for r in range(1, min(dims.C, most_sets) + 1):
            for t in range(1, min(dims.K, most_sets) + 1):
                if fold(RowStationary(m=1, n=1, e=e, p=1, q=1, r=r, t=t), layer, rows.size, cols.size) is None:
                    continue
                for q in sizes(-(-dims.C // r), buffers[SPAD].operand_words[Operand.I] // dims.S):
                    most = buffers[SPAD].operand_words[Operand.O]
                    most = min(most, (buffers[FILTER_SPAD].words or 0) // (q * dims.S))
                    most = min(most, (buffers[FILTERS].words or 0) // (t * q * r * dims.R * dims.S))
                    for p, n in product(sizes(-(-dims.K // t), most), sizes(dims.N, dims.N)):
                        mapping = RowStationary(m=p * t, n=n, e=e, p=p, q=q, r=r, t=t)
                        filters = _most_filters(mapping, layer, machine)
                        if filters:
                            yield replace(mapping, m=filters)


def sizes(whole: int, most: int) -> list[int]:
    """Return the tile sizes up to ``most`` that change the number of tiles: of equals the smallest."""
    return sorted({-(-whole // tiles) for tiles in range(1, whole + 1) if -(-whole // tiles) <= most})


def _most_filters(mapping: RowStationary, layer: Layer, machine: Machine) -> int:
    """Return the largest useful m whose partial sums fit the banks that the inputs leave; 0: none."""
    dims = layer.dims
    window = windows(layer, machine)
    tile = dims._replace(N=mapping.n, G=1, C=min(mapping.q * mapping.r, dims.C), P=mapping.e)
    banks = BANKS - -(-tile_words(Operand.I, tile, window) // BANK_WORDS)
    groups = -(-dims.K // mapping.m)
    for tiles in range(1, groups + 1):
        filters = min(-(-groups // tiles) * mapping.m, dims.K)
        if tile_words(Operand.O, tile._replace(K=filters), window) <= banks * BANK_WORDS:
            return filters
    return 0


def lower_bound(mapping: RowStationary, layer: Layer, machine: Machine) -> float:
    """Return a number that energy x delay of the mapping does not undercut.

    Energy: MACs with their reads and writes in the PEs, and the words of the other memories by the paper's account of
    a pass. Delay: the MACs of the fullest PE and the filters' way to it, or the partial sums' way back.
    """
    dims, energy = layer.dims, {store.name: store.read_energy for store in machine.stores}
    images, strips = -(-dims.N // mapping.n), range(0, dims.P, mapping.e)
    channels, filters = mapping.q * mapping.r, mapping.p * mapping.t
    window = windows(layer, machine)
    line = dims._replace(P=1, R=1, C=1, N=1, G=1)
    rows = sum(window[0].most_pixels(min(mapping.e, dims.P - at), dims.R) for at in strips)
    inputs = dims.N * dims.G * dims.C * rows * tile_words(Operand.I, line, window)
    stays = channels >= dims.C
    reloads = 1 if stays else -(-dims.K // mapping.m)
    weights = layer.weights * (1 if stays else images * len(strips))
    sums = layer.output_words * -(-dims.C // channels)
    dram = inputs * reloads + weights + layer.output_words
    glb = inputs * (reloads + -(-dims.K // filters)) + 2 * sums
    per_mac = machine.mac_energy + energy[FILTER_SPAD] + 3 * energy[SPAD]
    spent = layer.macs * per_mac + dram * energy["DRAM"] + glb * energy[GLB] + 2 * weights * energy[FILTERS]
    rates = machine.fanouts[0].words_per_cycle
    busy = dims.N * dims.G * len(strips) * dims.Q * dims.S
    busy *= _fullest(dims.C, channels, mapping.q)
    busy *= sum(_fullest(min(mapping.m, dims.K - at), filters, mapping.p) for at in range(0, dims.K, mapping.m))
    return spent * max(busy + weights / rates[Operand.W], sums / rates[Operand.O])


def _fullest(whole: int, tile: int, part: int) -> int:
    """Return what the first of the instances that share out every tile of a dim has of it in all."""
    return whole // tile * part + min(whole % tile, part)
