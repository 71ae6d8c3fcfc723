"""The bridge from machines and layers to the mapper's arrays, and the skeletons that cover all mappings.

A skeleton fixes what is no size: which memories let an operand by, the order of the operands' places within a memory,
and which operand's tile stays while the innermost loops of a zone run. Covering all mappings takes few of them:

- At most one operand gains from a zone's loop order. The dims that an operand does not depend on (N, P, Q for W; K for
  I; C, R, S for O) are different ones for each, so that the innermost loop of a zone leaves one operand's tile in
  place, or none. Running all the loops that this operand does not depend on innermost costs the others nothing.
- Uneven places of a memory can be taken one operand at a time. A loop just outside a place that does not change its
  tile can run inside it; so the only zone whose order matters is the last one of a memory, and the operand that gains
  is the one placed first in the next memory, or one that passes that memory by.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from accelsim.dims import USES, Dim, Operand
from accelsim.mapping.hierarchy import Buffering, LoopConstraint, Machine, Reduction, Store
from accelsim.mapping.nest import Nest, Place, Unrolling, windows
from accelsim.mapping.search_arrays import LayerArrays, MachineArrays, Skeleton
from accelsim.workload.layer import Dims, Layer

FREE = {operand: tuple(dim for dim in Dim if dim not in USES[operand]) for operand in Operand}
"""By operand, the dims that do not change it."""

_BUFFERING = {Buffering.SINGLE: 0, Buffering.DOUBLE: 1, Buffering.ROLLING: 2}


def lower_layer(layer: Layer, machine: Machine) -> LayerArrays:
    """Return a layer as kernels see it on a machine (which decides whether padding is stored)."""
    return LayerArrays(
        dims=np.array(layer.dims, dtype=np.int64),
        window=np.array([tuple(window) for window in windows(layer, machine)], dtype=np.int64),
    )


def lower_machine(machine: Machine, constraint: LoopConstraint) -> MachineArrays:
    """Return a machine under a dataflow as kernels see it.

    The constraint's unrollings are folded into the dims that axes allow.
    """
    stores = machine.stores
    axes = [(number, fanout, axis) for number, fanout in enumerate(machine.fanouts) for axis in fanout.axes]
    allowed = [
        axis.allowed & constraint.unroll.get(f"{fanout.name}.{axis.name}", axis.allowed) for _, fanout, axis in axes
    ]
    return MachineArrays(
        words=_floats([np.inf if store.words is None else store.words for store in stores]),
        operand_words=_floats([[store.operand_words.get(o, np.inf) for o in Operand] for store in stores]),
        room=_ints([store.room for store in stores]),
        rates=_floats([[s.read_words_per_cycle, s.write_words_per_cycle, s.words_per_cycle] for s in stores]),
        latency=_ints([store.latency_cycles for store in stores]),
        buffering=_ints([_BUFFERING[store.buffering] for store in stores]),
        read_energy=_floats([store.read_energy for store in stores]),
        write_energy=_floats([store.write_energy for store in stores]),
        axis_size=_ints([axis.size for _, _, axis in axes]),
        axis_dims=_ints([_mask(dims) for dims in allowed]),
        axis_most=_ints([axis.most_dims for _, _, axis in axes]),
        axis_shares=_ints([_mask(axis.shares) for _, _, axis in axes]),
        axis_chain=_ints([axis.reduction is Reduction.CHAIN for _, _, axis in axes]),
        axis_fanout=_ints([number for number, _, _ in axes]),
        link_energy=_floats([fanout.link_energy for fanout in machine.fanouts]),
        forward=_ints([fanout.forward for fanout in machine.fanouts]),
        mac_energy=_floats([machine.mac_energy]),
        width=_floats([machine.width(operand) for operand in Operand]),
        by_kind=_ints([0]),
    )


class Frame(NamedTuple):
    """A skeleton, and what it leaves open.

    Attributes:
        skeleton: The skeleton, with one choice for every zone.
        choices: By stage, the choices of the zone just outside it: the operand that stays, and the mask of dims that
            may have no loop there.
    """

    skeleton: Skeleton
    choices: tuple[tuple[tuple[Operand, int], ...], ...]


def frames(machine: Machine, constraint: LoopConstraint, *, uneven: bool) -> list[Frame]:
    """Return skeletons that cover all mappings of a machine under a dataflow."""
    found: list[Frame] = []
    for groups in placings(machine, uneven=uneven):
        found += _with_orders(machine, constraint, groups, uneven=uneven)
    return found


def placings(machine: Machine, *, uneven: bool) -> Iterator[tuple[tuple[frozenset[Operand], ...], ...]]:
    """Yield, by memory, the operands of each of its places in order, for every bypass and every order."""
    for kept in _bypasses(machine):
        yield from _placings(kept, uneven=uneven)


def _bypasses(machine: Machine) -> Iterator[tuple[frozenset[Operand], ...]]:
    """Yield, for every choice of bypasses, the operands that each memory keeps."""
    choices = []
    for store in machine.stores:
        options = [
            store.keeps - frozenset(by)
            for count in range(len(store.may_bypass) + 1)
            for by in itertools.combinations(sorted(store.may_bypass), count)
        ]
        choices.append(options)
    yield from itertools.product(*choices)


def _placings(
    kept: tuple[frozenset[Operand], ...], *, uneven: bool
) -> Iterator[tuple[tuple[frozenset[Operand], ...], ...]]:
    """Yield, by memory, the operands of each of its places in order."""
    choices: list[list[tuple[frozenset[Operand], ...]]] = []
    for index, operands in enumerate(kept):
        if index == 0 or not uneven:
            choices.append([(operands,) if operands else ()])
        else:
            choices.append([tuple(frozenset({o}) for o in order) for order in itertools.permutations(sorted(operands))])
    yield from itertools.product(*choices)


def _with_orders(
    machine: Machine, constraint: LoopConstraint, groups: tuple[tuple[frozenset[Operand], ...], ...], *, uneven: bool
) -> Iterator[Frame]:
    """Yield the skeletons of one placing: which operand stays in each memory's last zone, and in the MAC."""
    used = [index for index, places in enumerate(groups) if places]
    choices = []
    for position, index in enumerate(used):
        last = position == len(used) - 1
        if last:
            sources = _mac_sources(machine.stores, groups)
            options = sorted({o for o, store in sources.items() if not store.reads_per_mac(o)})
            free = options or [Operand.W]
        elif uneven:
            following = groups[used[position + 1]]
            placed = frozenset().union(*following)
            free = [*following[0], *(operand for operand in Operand if operand not in placed)]
        else:
            free = list(Operand)
        choices.append(_stays(free, constraint.stationary.get(machine.stores[index].name)))
    on_change = any(not store.reads_per_mac(o) for o, store in _mac_sources(machine.stores, groups).items())
    *outside, innermost = choices
    for final in innermost:
        for fixed in (0, 1) if on_change else (0,):
            stays = dict(zip(used, [*(choice[0] for choice in outside), final], strict=True))
            skeleton = _skeleton(machine, groups, stays, fixed)
            by_stage = [tuple(choice) for choice in outside]
            if len(skeleton.stage_start) - 1 > len(outside):  # axes alone follow the last memory
                by_stage.append((final,))
            yield Frame(skeleton, tuple(by_stage))


def _stays(free: list[Operand], forced: Operand | None) -> list[tuple[Operand, int]]:
    """Return (operand that stays, mask of dims that may have no loop) for a zone.

    Under a constraint the loops that do not change its operand are innermost; another operand can gain only where
    there are none of them.
    """
    if forced is None:
        return [(operand, 0) for operand in free]
    barred = _mask(FREE[forced])
    return [(forced, 0)] + [(operand, barred) for operand in Operand if operand is not forced]


def _mac_sources(stores: tuple[Store, ...], groups: tuple[tuple[frozenset[Operand], ...], ...]) -> dict[Operand, Store]:
    """Return, by operand, the memory that feeds the MAC."""
    found = {}
    for store, places in zip(stores, groups, strict=True):
        for operands in places:
            for operand in operands:
                found[operand] = store
    return found


def _skeleton(
    machine: Machine,
    groups: tuple[tuple[frozenset[Operand], ...], ...],
    stays: dict[int, tuple[Operand, int]],
    fixed: int,
) -> Skeleton:
    axis_number = {f"{f.name}.{a.name}": i for i, (f, a) in enumerate((f, a) for f in machine.fanouts for a in f.axes)}
    kind, ident, operands, stay, once = [], [], [], [], []
    for index, (store, places) in enumerate(zip(machine.stores, groups, strict=True)):
        for kept in places:
            kind.append(0)
            ident.append(index)
            operands.append(_mask(kept))
            stay.append(int(stays[index][0]))
            once.append(stays[index][1])
        fanout = machine.fanout_below(store.name)
        for axis in fanout.axes if fanout else ():
            kind.append(1)
            ident.append(axis_number[f"{fanout.name}.{axis.name}"] if fanout else 0)
            operands.append(0)
            stay.append(-1)
            once.append(0)
    stage = _stages(kind, ident)
    starts = [stage.index(number) for number in range(max(stage) + 1)] if max(stage) >= 0 else []
    transfers = []
    steps = len(kind)
    for operand in Operand:
        at = [step for step in range(steps) if (operands[step] >> operand) & 1]
        transfers += [(int(operand), a, b) for a, b in itertools.pairwise([*at, steps])]
    return Skeleton(
        kind=_ints(kind),
        ident=_ints(ident),
        operands=_ints(operands),
        stays=_ints(stay),
        once=_ints(once),
        stage=_ints(stage),
        stage_start=_ints([*starts, steps]),
        operand=_ints([t[0] for t in transfers]),
        source=_ints([t[1] for t in transfers]),
        target=_ints([t[2] for t in transfers]),
        target_stage=_ints([max(stage) if t[2] == steps else stage[t[2]] for t in transfers]),
        per_mac=_ints([t[2] == steps and machine.stores[ident[t[1]]].reads_per_mac(Operand(t[0])) for t in transfers]),
        fixed=_ints([fixed]),
    )


def _stages(kind: list[int], ident: list[int]) -> list[int]:
    """Return the stage of every step: axes belong to the memory that follows them; what follows the last, to itself."""
    stage = [-1]
    number = 0
    for step in range(1, len(kind)):
        before = step - 1
        ends = kind[before] == 0 and stage[before] >= 0 and (kind[step] == 1 or ident[step] != ident[before])
        number += ends
        stage.append(number)
    return stage


def build_nest(machine: Machine, skeleton: Skeleton, inner: np.ndarray, layer: Layer) -> Nest:
    """Return the mapping that a skeleton and the sizes inside its steps (int64[8, steps]) describe."""
    axis_names = [f"{fanout.name}.{axis.name}" for fanout in machine.fanouts for axis in fanout.axes]
    steps: list[Place | Unrolling] = []
    outer = np.array(layer.dims, dtype=np.int64)
    for step in range(len(skeleton.kind)):
        sizes = inner[:, step]
        if skeleton.kind[step] == 1:
            counts = {dim: int(-(-outer[dim] // sizes[dim])) for dim in Dim if outer[dim] > sizes[dim]}
            steps.append(Unrolling(axis=axis_names[skeleton.ident[step]], counts=counts))
        else:
            free = FREE[Operand(int(skeleton.stays[step]))]
            order = (*(dim for dim in Dim if dim not in free), *free)
            steps.append(
                Place(
                    store=machine.stores[skeleton.ident[step]].name,
                    operands=frozenset(o for o in Operand if (int(skeleton.operands[step]) >> o) & 1),
                    tile=Dims(*(int(size) for size in outer)),
                    order=tuple(dim for dim in order if outer[dim] > sizes[dim]),
                )
            )
        outer = sizes
    return Nest(steps=tuple(steps))


def _mask(members: Iterable[int]) -> int:
    return sum(1 << int(member) for member in members)


def _ints(values: object) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def _floats(values: object) -> np.ndarray:
    return np.array(values, dtype=np.float64)
