"""Whether the parts of a description fit each other, and the place of the first that does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from accelsim.errors import HardwareError, did_you_mean
from accelsim.hardware import costs
from accelsim.hardware.energy import energy_set
from accelsim.hardware.parts import AxisSpec, Dataflow, Description, Fanout, Memory
from accelsim.typecheck import Problem, YamlPath

CHOICES_OF_DATAFLOW = ("best", "any", "given")
"""Words that ask for the best of all dataflows, no constraint, or a mapping by hand; no dataflow may be called so."""

MOST_MEMORIES = 5

_PROGRAM_FIELDS = {
    "memories": ("pe_words", "double_buffered", "switch_cycles"),
    "fanouts": ("rows", "cols", "read_words_per_row", "write_words_per_col"),
}
_GENERAL_FIELDS = {
    "memories": (
        "size_words",
        "operand_words",
        "keeps",
        "may_bypass",
        "read_words_per_cycle",
        "write_words_per_cycle",
        "buffering",
        "register_read",
        "slides",
    ),
    "fanouts": ("axes", "forward", "words_per_cycle"),
}


def misfit(description: Description) -> Problem | None:
    """Return the first place where parts of a description do not fit each other, and how; or None."""
    for check in (
        _name_misfits,
        _kind_misfits,
        _fanout_misfits,
        _level_misfits,
        _dataflow_misfits,
        _energy_misfits,
        _assumption_misfits,
    ):
        for problem in check(description):
            return problem
    return None


def axis_names(description: Description) -> dict[str, AxisSpec]:
    """Return all axes by ``fanout.axis``, and by ``axis`` where only one fan-out has one of that name."""
    pairs = [(fanout.name, axis) for fanout in description.fanouts for axis in fanout.all_axes]
    names = [axis.name for _, axis in pairs]
    return {f"{fanout}.{axis.name}": axis for fanout, axis in pairs} | {
        axis.name: axis for _, axis in pairs if names.count(axis.name) == 1
    }


def _name_misfits(description: Description) -> Iterator[Problem]:
    """Find memories and fanouts that share a name."""
    first: dict[str, str] = {}
    for field in ("memories", "fanouts"):
        for index, part in enumerate(getattr(description, field)):
            if part.name in first:
                yield (field, index, "name"), f"the name {part.name!r} is that of {first[part.name]} already"
            first[part.name] = f"{field}[{index}]"


def _fanout_misfits(description: Description) -> Iterator[Problem]:
    """Find fanouts below something that cannot feed them, and fields that a grid's ports replace."""
    for index, fanout in enumerate(description.fanouts):
        kind = "a memory" if fanout.axes else "a memory with size_kb"
        feeders = [memory.name for memory in description.memories if fanout.axes or memory.size_kb is not None]
        if fanout.below not in feeders:
            yield (
                ("fanouts", index, "below"),
                f"expected the name of {kind} ({', '.join(feeders) or 'there is none'}), "
                f"got {fanout.below!r}{did_you_mean(fanout.below, feeders)}",
            )
        twice = [other.name for other in description.fanouts[:index] if other.below == fanout.below]
        if twice and fanout.axes:
            yield ("fanouts", index, "below"), f"{fanout.below} feeds {twice[0]} already; give that one more axes"
        for place, memory in enumerate(description.memories):
            for field in ("words_per_cycle", "latency_cycles"):
                if memory.name == fanout.below and not fanout.axes and getattr(memory, field):
                    yield (
                        ("memories", place, field),
                        f"{memory.name} feeds {fanout.name}, whose read_words_per_row and write_words_per_col are its "
                        "ports; leave this field out",
                    )


def _kind_misfits(description: Description) -> Iterator[Problem]:
    """Find fields that fixed programs do not know, or that only they know."""
    programs = description.programs
    fields = _GENERAL_FIELDS if programs else _PROGRAM_FIELDS
    why = (
        f"the fixed program of {programs[0]} (nest) does not know this field"
        if programs
        else "is a field for fixed programs, and no dataflow has a nest"
    )
    for part, names in fields.items():
        for index, entry in enumerate(getattr(description, part)):
            for name in names:
                if getattr(entry, name) not in (None, (), False, 0, {}):
                    yield (part, index, name), why
    for name in ("operand_bits", "stores_padding") if programs else ("zero_fraction",):
        if getattr(description, name):
            yield (name,), why


def _level_misfits(description: Description) -> Iterator[Problem]:
    """Find levels that are not in the order of a hierarchy, and fields of theirs that change nothing."""
    for operand, bits in description.operand_bits.items():
        if bits == description.word_bits:
            yield ("operand_bits", operand), f"a machine word has {bits} bits anyway; leave it out"
    if description.programs:
        return
    if not 2 <= len(description.memories) <= MOST_MEMORIES:
        found = f"got {len(description.memories)}"
        yield ("memories",), f"expected 2 to {MOST_MEMORIES} memories, the outermost unbounded, {found}"
    for index in range(len(description.memories)):
        yield from _memory_misfits(description, index)
    for index, fanout in enumerate(description.fanouts):
        for number, axis in enumerate(fanout.axes):
            if axis.most_dims > max(2, len(axis.allowed)):
                allowed = ", ".join(dim.name for dim in sorted(axis.allowed))
                yield (
                    ("fanouts", index, "axes", number, "most_dims"),
                    f"{axis.most_dims} dims cannot share it, only {allowed} may be unrolled here",
                )


def _memory_misfits(description: Description, index: int) -> Iterator[Problem]:
    """Find fields that the outermost memory has and cannot have, sizes that others lack, reads that no MAC does."""
    memory, place = description.memories[index], ("memories", index)
    if index == 0:
        for field in ("size_kb", "size_words", "operand_words", "keeps", "may_bypass", "buffering", "slides"):
            if getattr(memory, field):
                yield (*place, field), f"{memory.name} is outermost: unbounded, and W, I and O are in it anyway"
    elif not memory.bounded:
        yield place, "missing size_kb, size_words or operand_words; only the outermost memory is unbounded"
    elif memory.size_kb is not None and memory.capacity_words(description.word_bits) == 0:
        yield (*place, "size_kb"), f"a memory of {memory.size_kb:g} KiB does not hold one machine word"
    fed = _fed_macs(description, index)
    if memory.register_read is not None and not fed:
        yield (*place, "register_read"), f"no MAC reads {memory.name}: memories inside it keep all that it keeps"
    for name in memory.register_read if isinstance(memory.register_read, dict) else ():
        if name not in fed:
            yield (
                (*place, "register_read", name),
                f"no MAC reads {name} from {memory.name}: a memory inside it keeps {name}",
            )


def _fed_macs(description: Description, index: int) -> list[str]:
    """Return the operands that some mapping lets a MAC take from the memory at ``index``."""
    return [
        name
        for name in description.memories[index].kept
        if all(name not in inner.kept or name in inner.may_bypass for inner in description.memories[index + 1 :])
    ]


def _dataflow_misfits(description: Description) -> Iterator[Problem]:
    """Find reserved names, and dataflows that the machine cannot run."""
    for name, dataflow in description.dataflows.items():
        if name in CHOICES_OF_DATAFLOW:
            meaning = {"best": "asks for the best of all dataflows", "any": "asks for no constraint"}
            yield (
                ("dataflows", name),
                f"{name!r} {meaning.get(name, 'stands for a mapping by hand')} and cannot be the name of one",
            )
        yield from (_program_misfits if dataflow.nest else _constraint_misfits)(description, name, dataflow)


def _program_misfits(description: Description, name: str, dataflow: Dataflow) -> Iterator[Problem]:
    """Find places that the PEs do not have, and zeros of which nobody says how many there are."""
    registers = [memory for memory in description.memories if memory.pe_words is not None]
    places = [f"{memory.name}.{operand}" for memory in registers for operand in memory.pe_words or ()]
    for index, entry in enumerate(dataflow.nest):
        if "." in entry and entry not in places:
            yield (
                ("dataflows", name, "nest", index),
                f"expected a dim or a place in the PEs ({', '.join(places) or 'there is none'}), "
                f"got {entry!r}{did_you_mean(entry, places)}",
            )
    skipped = dataflow.skips_zeros_of
    if skipped and skipped not in description.zero_fraction:
        known = ", ".join(description.zero_fraction) or "there is none"
        yield (
            ("dataflows", name, "skips_zeros_of"),
            f"expected an operand that zero_fraction gives ({known}), got {skipped!r}",
        )


def _constraint_misfits(description: Description, name: str, dataflow: Dataflow) -> Iterator[Problem]:
    """Find axes and memories that there are not, and entries that forbid nothing or ask for what cannot be."""
    axes = axis_names(description)
    for key, dims in dataflow.unroll.items():
        place: YamlPath = ("dataflows", name, "unroll", key)
        if key not in axes:
            yield place, f"there is no such axis{did_you_mean(key, axes)}; there are {', '.join(axes)}"
            continue
        allowed = {dim.name for dim in axes[key].allowed}
        wrong = [dim for dim in dims if dim not in allowed]
        if wrong:
            yield place, f"{', '.join(wrong)} cannot be unrolled there; allowed are {', '.join(sorted(allowed))}"
        if set(dims) == allowed:
            yield place, "these are all dims that the axis allows anyway; leave it out"
    memories = [memory.name for memory in description.memories]
    for key in dataflow.stationary:
        if key not in memories:
            yield (
                ("dataflows", name, "stationary", key),
                f"there is no such memory{did_you_mean(key, memories)}; there are {', '.join(memories)}",
            )


def _energy_misfits(description: Description) -> Iterator[Problem]:
    """Find energies that nobody says, sets that fill nothing, and fields that only a set would read."""
    filled = 0
    for place, field, value, law in _energies(description):
        if value is not None:
            continue
        filled += 1
        if description.energy is None:
            yield place, f"missing field {field!r}, a number of at least 0; or name an energy set to fill it (energy)"
            continue
        try:
            law()
        except HardwareError as wrong:
            yield place, f"{field}: {wrong}"
    if description.energy is None:
        yield from _unread_sizes(description)
        return
    costs_set = energy_set(description.energy)
    if not filled:
        yield ("energy",), "every energy is given, so that the set fills nothing; leave it out"
    if costs_set.unit != description.energy_unit:
        yield ("energy_unit",), f"energy set {description.energy} is in {costs_set.unit}, got {description.energy_unit}"
    yield from _unread_sizes(description)


def _energies(description: Description) -> Iterator[tuple[YamlPath, str, float | None, Any]]:
    """Yield every energy: the place of its part, its field, its value if given, and how to find it."""
    yield ("mac",), "energy", description.mac.energy, lambda: costs.mac_energy(description)
    for index, memory in enumerate(description.memories):
        place: YamlPath = ("memories", index)
        yield place, "read_energy", memory.read_energy, lambda it=memory: costs.read_energy(description, it)
        yield place, "write_energy", memory.write_energy, lambda it=memory: costs.write_energy(description, it)
    for index, fanout in enumerate(description.fanouts):
        place = ("fanouts", index)
        yield place, "link_energy", fanout.link_energy, lambda it=fanout: costs.link_energy(description, it)


def _unread_sizes(description: Description) -> Iterator[Problem]:
    """Find widths of accesses and lengths of links that no law reads, and lengths that one would need."""
    by_size = description.energy == "horowitz45"
    for index, memory in enumerate(description.memories):
        if memory.access_bits is not None and not (by_size and _buffer_by_set(description, memory)):
            yield (
                ("memories", index, "access_bits"),
                "only a buffer whose energies come from the set horowitz45 has a use for it; leave it out",
            )
    for index, fanout in enumerate(description.fanouts):
        if fanout.link_mm is not None and not by_size:
            yield ("fanouts", index, "link_mm"), "only the energy set horowitz45 knows lengths; leave it out"
        if by_size and _needs_length(fanout):
            yield ("fanouts", index), "missing field 'link_mm', the length of a link, or 'link_energy'"


def _buffer_by_set(description: Description, memory: Memory) -> bool:
    given = memory.read_energy is not None and memory.write_energy is not None
    return memory.bounded and not given and not description.in_pes(memory)


def _needs_length(fanout: Fanout) -> bool:
    return fanout.link_energy is None and fanout.link_mm is None


def _assumption_misfits(description: Description) -> Iterator[Problem]:
    """Find reasons for fields that do not exist."""
    fields = {path for path in _field_paths(msgspec.to_builtins(description)) if not path.startswith("assumptions")}
    for path in description.assumptions:
        if path not in fields:
            yield ("assumptions", path), f"no field has this path{did_you_mean(path, sorted(fields), count=1)}"


def _field_paths(value: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of all values inside ``value``; entries of lists go by their name."""
    named = value if isinstance(value, dict) else {}
    if isinstance(value, list | tuple):
        named = {entry["name"]: entry for entry in value if isinstance(entry, dict) and "name" in entry}
    for key, child in named.items():
        inner = f"{path}.{key}" if path else str(key)
        yield inner
        yield from _field_paths(child, inner)
