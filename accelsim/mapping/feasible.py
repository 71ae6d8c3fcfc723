"""Why no mapping fits a machine: the memory that is too small for the smallest tiles, and what would be enough.

The smallest tile of an operand is one word. A memory with double buffering sets two tiles aside for it, unless the
whole operand takes less room than that: what is whole needs no second half. No mapping needs less in any memory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from accelsim.dims import Operand
from accelsim.mapping.hierarchy import Buffering, LoopConstraint, Machine, Store
from accelsim.mapping.nest import UNIT, room_words, tile_words, windows
from accelsim.workload.layer import Layer


@dataclass(frozen=True, kw_only=True)
class Shortage:
    """A memory that is too small for the smallest tiles of a layer.

    Attributes:
        store: The memory.
        operands: Operands that need room in it: all that share it, or the one whose own part is too small.
        needed_words: Machine words that the smallest tile of each of them needs.
        words: Machine words that there are.
        single_words: Machine words that would be needed if the memory were single-buffered.
    """

    store: Store
    operands: tuple[Operand, ...]
    needed_words: tuple[float, ...]
    words: int
    single_words: float

    @property
    def total_words(self) -> float:
        """Machine words needed in all."""
        return sum(self.needed_words)


def shortages(layer: Layer, machine: Machine, *, together: bool = False) -> list[Shortage]:
    """Return the memories that are too small for any tiles of a layer, the outermost first.

    Operands that a mapping may let by need no room. An operand of another width counts in machine words.

    Args:
        layer: The layer.
        machine: The machine.
        together: Take one tile for all operands, of size 1 along every dim, and do not let one be whole on its own
            (an input of one pixel under several windows is): what an even mapping needs.
    """
    found = []
    for store in machine.stores:
        single = replace(store, buffering=Buffering.SINGLE)
        must = sorted(store.keeps - store.may_bypass)
        if store.words is not None:
            found += _shortage(store, single, must, store.words, layer, machine, together)
        for operand, words in sorted(store.operand_words.items()):
            if operand in must:
                found += _shortage(store, single, [operand], words, layer, machine, together)
    return found


def why_nothing_fits(layer: Layer, machine: Machine, constraint: LoopConstraint) -> str:
    """Return the sentence that says why a layer has no mapping, and the smallest change that gives it one."""
    lacking = shortages(layer, machine) or shortages(layer, machine, together=True)
    if lacking:
        parts = "; ".join(_sentence(shortage) for shortage in lacking)
        return f"layer {layer.name}: no mapping fits {machine.name}: {parts}"
    limits = [f"unroll {axis}: {', '.join(d.name for d in sorted(dims))}" for axis, dims in constraint.unroll.items()]
    limits += [f"stationary {memory}: {operand.name}" for memory, operand in constraint.stationary.items()]
    return (
        f"layer {layer.name}: no mapping on {machine.name} respects dataflow {constraint.name} "
        f"({'; '.join(limits) or 'no constraint'}), though the smallest tiles fit every memory; "
        "leave one of its constraints out, or use dataflow any"
    )


def _shortage(
    store: Store,
    single: Store,
    operands: list[Operand],
    words: int,
    layer: Layer,
    machine: Machine,
    together: bool,
) -> list[Shortage]:
    def least(operand: Operand, memory: Store) -> float:
        cut = room_words(operand, UNIT, layer, memory, window)
        whole = cut if together else tile_words(operand, layer.dims, window)
        return min(cut, whole) * machine.width(operand)

    window = windows(layer, machine)
    needed = tuple(least(operand, store) for operand in operands)
    if sum(needed) <= words:
        return []
    alone = sum(least(operand, single) for operand in operands)
    return [Shortage(store=store, operands=tuple(operands), needed_words=needed, words=words, single_words=alone)]


def _sentence(shortage: Shortage) -> str:
    store = shortage.store
    needs = ", ".join(
        f"{operand.name} {words:g}" for operand, words in zip(shortage.operands, shortage.needed_words, strict=True)
    )
    own = f"its part for {shortage.operands[0].name} has" if store.operand_words else "it has"
    enough = f"{shortage.total_words:g} words are enough"
    if shortage.single_words <= shortage.words:
        enough += f", and with buffering single {shortage.single_words:g}"
    return (
        f"{store.name} is too small: the smallest tiles need {shortage.total_words:g} words ({needs}), "
        f"{own} {shortage.words}; {enough}"
    )
